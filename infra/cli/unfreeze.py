"""`batua unfreeze`: propose to let money leave an owner's accounts again."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.freeze import OwnerName, Reason
from infra.cli.output import AsJson
from infra.cli.owners import one_owner
from infra.cli.proposals import propose
from shared.models import OperatorAction
from shared.operators import effects


def unfreeze(owner: OwnerName, reason: Reason, as_json: AsJson = False) -> None:
    """Propose to let money leave the accounts of an owner who is frozen. Another operator confirms it."""

    async def work(session: AsyncSession) -> OperatorAction:
        return await effects.propose_unfreeze(session, (await one_owner(session, owner)).id, reason)

    propose(work, as_json=as_json)
