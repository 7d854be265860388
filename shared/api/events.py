"""`GET /events`: changes of the caller's wallet, transactions, on-ramps and withdrawals, as they happen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from shared.api.transactions import transaction_of
from shared.api.wallet import WalletOut
from shared.http.dependencies import CurrentResources, CurrentToken, SignedInCaller
from shared.http.on_ramps import on_ramp_body
from shared.http.problems import problem_responses
from shared.http.withdrawals import recent_withdrawal_body
from shared.ledger.accounts import Wallet
from shared.ledger.statement import Line
from shared.live.errors import StreamsExhausted, TooManyStreams
from shared.live.feed import MAX_CURSOR_LENGTH, Cursor, Event, Feed
from shared.live.hub import Hub
from shared.live.stream import EventStream, chunks
from shared.on_ramps.views import OnRampView
from shared.withdrawals.views import RecentWithdrawal

router = APIRouter(tags=["events"])

_EXAMPLE = """retry: 2000

id: 41-1795167000123456
event: transaction
data: {"id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10", "direction": "CREDIT", "kind": "payment", "amount": 20000, ...}

id: 41-1795167000123456
event: balance
data: {"wallet_id": "chaipoint@batua", "balance": 170000, "held": 0, "available": 170000, "currency": "INR", ...}

: still here
"""
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Server-sent events without an end. `transaction` is a line of `GET /transactions`, `balance` is "
            "`GET /wallet`, `onramp` an item of `GET /on-ramps`, `withdrawal` one of `GET /withdrawals` with the "
            "`latest` step of its timeline; the last three say how it stands now, so a repeat changes nothing. "
            "Without a cursor the stream begins with the balance, open on-ramps and withdrawals, and those finished "
            "in the last minute. A comment comes every 15 seconds at least. The stream ends with the session."
        ),
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The `id` of the last event that was received: what was missed comes first, up to 500 movements. "
        "One that is not ours counts as none",
    ),
]
After = Annotated[
    str | None, Query(description="The same for a first connection, for which browsers send no `Last-Event-ID`")
]


async def _current_hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={**_STREAM, **problem_responses(TooManyStreams, StreamsExhausted)},
)
async def stream_events(
    *,
    signed_in: SignedInCaller,
    token: CurrentToken,
    resources: CurrentResources,
    hub: Annotated[Hub, Depends(_current_hub)],
    last_event_id: LastEventId = None,
    after: After = None,
) -> EventStream:
    """Balance, transactions, on-ramps and withdrawals, live."""
    caller = signed_in.identity
    feed = Feed(caller.owner_id, _cursor(last_event_id) or _cursor(after))
    listener = await hub.join(caller.owner_id, signed_in.wallet.account_id)
    sent = chunks(resources, hub=hub, listener=listener, feed=feed, body_of=_body_of, identity=caller, token=token)
    return EventStream(sent, on_close=lambda: hub.leave(listener))


def _body_of(event: Event) -> Mapping[str, Any]:
    match event.subject:
        case Wallet() as wallet:
            return WalletOut.of(wallet).model_dump(mode="json")
        case Line() as line:
            return transaction_of(line).model_dump(mode="json")
        case OnRampView() as on_ramp:
            return on_ramp_body(on_ramp)
        case RecentWithdrawal() as recent:
            return recent_withdrawal_body(recent)


def _cursor(text: str | None) -> Cursor | None:
    return None if text is None or len(text) > MAX_CURSOR_LENGTH else Cursor.parse(text)
