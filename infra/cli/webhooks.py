"""`batua webhooks`: what banks told us, what was made of it, and judging it again."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.banks import require_known
from infra.cli.database import in_transaction
from infra.cli.failures import exit_with
from infra.cli.freeze import Reason
from infra.cli.output import AsJson, as_lines, moment, show
from infra.cli.proposals import propose
from shared.banks.table import BANKS
from shared.models.webhook_delivery import Verdict
from shared.money import Money
from shared.operators import effects, lookups

app = typer.Typer(name="webhooks", help="What banks told us.", no_args_is_help=True)

NAME = "batua webhooks"
DeliveryId = Annotated[UUID, typer.Argument(metavar="ID", help="Our id of the delivery, from `webhooks list`.")]


@app.command("list")
def list_deliveries(
    verdict: Annotated[Verdict | None, typer.Option(help="Only with this verdict.")] = None,
    bank: Annotated[str | None, typer.Option(help=f"Only of this bank: {' or '.join(BANKS)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=lookups.MAX_LISTED, help="So many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List authentic deliveries, the newest first."""
    if bank is not None:
        require_known(bank)

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        return await lookups.deliveries(session, verdict=verdict, bank=bank, limit=limit)

    found = in_transaction(work, name=NAME)
    lines = [_line(delivery) for delivery in found]
    show({"deliveries": found}, lines or ["No such delivery."], as_json=as_json)


@app.command("show")
def show_delivery(delivery_id: DeliveryId, as_json: AsJson = False) -> None:
    """Show one delivery, what was made of it, and what operators did."""
    found = in_transaction(lambda session: lookups.delivery(session, delivery_id), name=NAME)
    if found is None:
        raise exit_with("No such delivery.")
    show(found, as_lines(found), as_json=as_json)


@app.command("replay")
def replay(delivery_id: DeliveryId, reason: Reason, as_json: AsJson = False) -> None:
    """Propose to judge a delivery again, as if it came now. Another operator confirms it."""
    propose(lambda session: effects.propose_replay(session, delivery_id, reason), as_json=as_json)


def _line(delivery: dict[str, Any]) -> str:
    """One line, however wide the terminal is."""
    notice = delivery["notice"]
    about = delivery["on_ramp_id"] or delivery["withdrawal_id"] or ""
    parts = (
        delivery["id"],
        moment(delivery["received_at"]),
        delivery["bank"],
        notice["event"],
        Money(notice["amount"]),
        delivery["verdict"],
        about,
    )
    return "  ".join(str(part) for part in parts if part)
