"""What a pay link shows before sign-in: which shop asks for how much. Of a person it shows the wallet id alone.

A wallet id that does not exist looks like a person's, so that no stranger learns which exist.
"""

from __future__ import annotations

from fastapi import Request, Response

from shared.auth.rules import is_handle
from shared.ledger.parties import holder_of_wallet
from shared.pages.paths import SIGN_IN, SIGN_UP, sign_in_path
from shared.pages.rendering import render
from shared.pages.typed_amounts import Clear, read_amount
from shared.runtime.resources import Resources
from shared.transfers.errors import RecipientNotFound


async def show_invitation(request: Request, resources: Resources, wallet_id: str) -> Response:
    """The page. Raises RecipientNotFound for what can be no wallet id."""
    handle = wallet_id.strip().lower()
    if not is_handle(handle):
        raise RecipientNotFound
    holder = await resources.read(lambda session: holder_of_wallet(session, handle))
    asked = read_amount(request.query_params.get("amount", ""))
    sign_in = sign_in_path(request)
    return render(
        request,
        "pay-invitation.html",
        shop=holder.owner_name if holder is not None and holder.kind == "merchant" else None,
        wallet_id=handle,
        amount=asked.paise if isinstance(asked, Clear) else None,
        sign_in_path=sign_in,
        sign_up_path=sign_in.replace(SIGN_IN, SIGN_UP, 1),
    )
