"""The caller of a route that sends money: session, PIN and both parties come with one question to Postgres.

The recipient is in the body, which FastAPI validates after the caller is known. So the body is looked at before, to ask
about the recipient too, and believed after: a recipient that was read otherwise is asked about again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from shared.auth.tokens import Identity
from shared.http.dependencies import PinChecker, given_token
from shared.http.fields import recipient_in
from shared.http.security import signs_in
from shared.runtime.logs import note
from shared.runtime.resources import Resources
from shared.transfers.senders import Sender


@dataclass(frozen=True, slots=True)
class SendingCaller:
    """Who sends, and what Postgres said of that owner and, if the body named one, of the recipient."""

    request: Request
    resources: Resources
    identity: Identity
    sender: Sender

    def pin_checker(self, pin_token: str | None) -> PinChecker:
        """The PIN check, by what Postgres said already."""
        return PinChecker(self.request, self.identity, pin_token, self.sender)

    async def sender_to(self, to: str, from_account: UUID | None) -> Sender:
        """The sender with these two accounts."""
        sender = self.sender
        if sender.to == to and sender.from_account == from_account:
            return sender
        return await self.resources.senders.find(
            owner_id=self.identity.owner_id, session_id=self.identity.session_id, to=to, from_account=from_account
        )


@signs_in
async def sending_caller(request: Request) -> SendingCaller:
    """The owner of the bearer token, or else of the session cookie.

    Raises AuthenticationRequired, TokenInvalid, TokenExpired, TokenRevoked, and CrossOrigin when the cookie came
    with a request of another site.
    """
    return await caller_sending(request, to=await _recipient_of(request))


CurrentSender = Annotated[SendingCaller, Depends(sending_caller)]


async def caller_sending(request: Request, *, to: str | None, from_account: UUID | None = None) -> SendingCaller:
    """The caller, asked about together with these two accounts. Raises what `sending_caller` raises."""
    resources: Resources = request.app.state.resources
    claims = resources.tokens.read(given_token(request))
    sender = await resources.senders.find(
        owner_id=claims.owner_id, session_id=claims.token_id, to=to, from_account=from_account
    )
    identity = request.state.caller = resources.tokens.identify(claims, sender.session)
    note(owner_id=str(identity.owner_id))
    return SendingCaller(request, resources, identity, sender)


async def _recipient_of(request: Request) -> str | None:
    try:
        body = await request.json()  # read before: FastAPI has parsed it
    except ValueError:
        return None
    return recipient_in(body.get("to")) if isinstance(body, dict) else None
