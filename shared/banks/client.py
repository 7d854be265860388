"""The client of one bank's API. Every call has a time limit, and every error says whether the bank may have acted."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from shared import spans
from shared.banks.connections import Connections
from shared.banks.errors import MayHaveBeenSent, NotSent, Refused
from shared.banks.lone_surrogates import read_json
from shared.banks.messages import (
    BANK_DOWN,
    SESSION_NOT_FOUND,
    TRANSFER_NOT_FOUND,
    PayoutAnswer,
    PayoutRequest,
    Refusal,
    SessionOpened,
    SessionRequest,
    SessionState,
    Statement,
    StatementItem,
)
from shared.banks.settings import BankEndpoint
from shared.banks.timed_calls import timed_call
from shared.clock import rfc3339

MAX_CONNECTIONS = 32
MAX_ANSWER_BYTES = 256 * 1024
MAX_STATEMENT_BYTES = 64 * 1024 * 1024
PING_TIMEOUT_SECONDS = 1.0
STATEMENT_TIMEOUT_FACTOR = 6
"""A bank statement is long: it may take this many times the usual timeout."""

_NOT_READ = frozenset({401, 403, 407, 425, 429})
"""The bank rejects the call itself: our key is wrong, or we call too often. It did not look at the payout."""
_NOT_A_REFUSAL = frozenset({408, 409})
"""The bank timed out, or the reference is in use: this does not say that it refuses the payout."""
_WEB_ADDRESS = re.compile(r"https?://[^\x00-\x20\x7f]+")
_UNSENT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

_Answer = TypeVar("_Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes


class BankClient:
    """One bank's API: netbanking sessions, payouts, statement. Create it in the event loop that uses it, and close it.

    `timeout_seconds` bounds a whole call: waiting for a connection, connecting, sending and reading. At most
    `max_connections` calls (default MAX_CONNECTIONS) are under way at once; others wait for a connection.
    Every method may raise NotSent or MayHaveBeenSent; those that ask for something new also Refused.
    """

    def __init__(
        self,
        bank: BankEndpoint,
        timeout_seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int | None = None,
    ) -> None:
        self.bank = bank
        self._timeout_seconds = timeout_seconds
        self._http = httpx.AsyncClient(
            base_url=bank.url.rstrip("/"),
            headers={"X-Api-Key": bank.api_key.get_secret_value(), "Accept": "application/json"},
            # Getting a connection ends well before the whole call does, so that when the call as a whole
            # runs out of time the request is the likely place, and "not sent" is only said when it is certain.
            timeout=httpx.Timeout(timeout_seconds, connect=timeout_seconds / 2, pool=timeout_seconds / 4),
            follow_redirects=False,
            trust_env=False,
            transport=transport or Connections(max_connections or MAX_CONNECTIONS, _trusted_certificates()),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @timed_call
    async def open_session(self, asked: SessionRequest) -> SessionOpened:
        """Open a netbanking session. The same reference gets the same session again."""
        reply = await self._call("POST", "/api/netbanking/sessions", body=asked)
        self._check(reply)
        opened = self._read(SessionOpened, reply)
        if not _WEB_ADDRESS.fullmatch(opened.url):
            raise self._may_have("the session's address is not one to send a person to")
        return opened

    @timed_call
    async def session_state(self, token: str) -> SessionState | None:
        """The state of a netbanking session; None when the bank does not know it."""
        return self._session_state(await self._call("GET", f"/api/netbanking/sessions/{quote(token, safe='')}"), token)

    @timed_call
    async def session_of(self, reference: str) -> SessionState | None:
        """The state of the netbanking session that we opened under `reference`; None when the bank knows none."""
        reply = await self._call("GET", "/api/netbanking/sessions", query={"reference": reference})
        if self._is_not_found(reply, SESSION_NOT_FOUND):
            return None
        self._check(reply)
        state = self._read(SessionState, reply)
        if state.reference != reference:
            raise self._may_have("the answer is about another session")
        return state

    @timed_call
    async def cancel_session(self, token: str) -> SessionState | None:
        """End an undecided netbanking session, so that it cannot be approved any more.

        Answers its state afterwards, approved or declined if it was decided before; None when the bank does not know
        it. May be repeated.
        """
        path = f"/api/netbanking/sessions/{quote(token, safe='')}/cancel"
        return self._session_state(await self._call("POST", path), token)

    @timed_call
    async def pay(self, asked: PayoutRequest) -> PayoutAnswer:
        """Send a payout. Refused is final; after MayHaveBeenSent ask with `enquire`."""
        reply = await self._call("POST", "/api/transfers", body=asked)
        self._check(reply)
        answer = self._payout_answer(reply, asked.reference)
        if answer.amount not in (None, asked.amount):
            raise self._may_have("the answer is about another amount")
        return answer

    @timed_call
    async def enquire(self, reference: str) -> PayoutAnswer | None:
        """The state of a payout; None when the bank says that it does not know the reference."""
        reply = await self._call("GET", f"/api/transfers/{quote(reference, safe='')}")
        if self._is_not_found(reply, TRANSFER_NOT_FOUND):
            return None
        self._check(reply)
        return self._payout_answer(reply, reference)

    @timed_call
    async def statement(self, start: datetime, end: datetime) -> list[StatementItem]:
        """All lines of our nodal account's statement from `start` to before `end`, oldest first."""
        reply = await self._call(
            "GET",
            "/api/statement",
            query={"from": rfc3339(start), "to": rfc3339(end)},
            timeout_seconds=self._timeout_seconds * STATEMENT_TIMEOUT_FACTOR,
            limit_bytes=MAX_STATEMENT_BYTES,
        )
        self._check(reply)
        statement = self._read(Statement, reply)
        if statement.next_cursor is not None:
            raise self._may_have("the statement is not whole")
        return statement.items

    @timed_call
    async def ping(self) -> bool:
        """Whether the bank answers within a second."""
        try:
            timeout_seconds = min(PING_TIMEOUT_SECONDS, self._timeout_seconds)
            reply = await self._call("GET", "/api/ping", timeout_seconds=timeout_seconds)
        except (NotSent, MayHaveBeenSent):
            return False
        return httpx.codes.is_success(reply.status)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        query: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        limit_bytes: int = MAX_ANSWER_BYTES,
    ) -> _Reply:
        content = None if body is None else body.model_dump_json(exclude_none=True)
        headers = {} if body is None else {"Content-Type": "application/json"}
        if (traceparent := spans.traceparent()) is not None:
            headers["traceparent"] = traceparent
        request = self._http.build_request(method, path, content=content, params=query, headers=headers)
        try:
            async with asyncio.timeout(timeout_seconds or self._timeout_seconds):
                return await self._exchange(request, limit_bytes)
        except _UNSENT_ERRORS as error:
            raise NotSent(self.bank.code, type(error).__name__) from error
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise self._may_have(type(error).__name__) from error

    async def _exchange(self, request: httpx.Request, limit_bytes: int) -> _Reply:
        response = await self._http.send(request, stream=True)
        try:
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > limit_bytes:
                    raise self._may_have(f"the answer is longer than {limit_bytes} bytes")
        finally:
            await response.aclose()
        return _Reply(response.status_code, bytes(received))

    def _check(self, reply: _Reply) -> None:
        if httpx.codes.is_success(reply.status):
            return
        refusal = _refusal(reply)
        if reply.status in _NOT_READ:
            raise NotSent(self.bank.code, f"status {reply.status}")
        if reply.status == httpx.codes.SERVICE_UNAVAILABLE and refusal is not None and refusal.code == BANK_DOWN:
            raise NotSent(self.bank.code, BANK_DOWN)
        if refusal is not None and httpx.codes.is_client_error(reply.status) and reply.status not in _NOT_A_REFUSAL:
            raise Refused(self.bank.code, refusal.code, refusal.message)
        raise self._may_have(f"status {reply.status}")

    def _session_state(self, reply: _Reply, token: str) -> SessionState | None:
        if self._is_not_found(reply, SESSION_NOT_FOUND):
            return None
        self._check(reply)
        state = self._read(SessionState, reply)
        if state.token != token:
            raise self._may_have("the answer is about another session")
        return state

    def _payout_answer(self, reply: _Reply, reference: str) -> PayoutAnswer:
        answer = self._read(PayoutAnswer, reply)
        if answer.reference not in (None, reference):
            raise self._may_have("the answer is about another payout")
        if answer.status == "SUCCESS" and answer.utr is None:
            raise self._may_have("paid, but without a UTR")
        return answer

    def _is_not_found(self, reply: _Reply, code: str) -> bool:
        """Whether the bank says with this code that it does not know what we ask about. Raises MayHaveBeenSent."""
        if reply.status != httpx.codes.NOT_FOUND:
            return False
        refusal = _refusal(reply)
        if refusal is not None and refusal.code == code:
            return True
        # A wrong address or a proxy also answers 404. Taken for the bank's answer, it would have a payout sent twice.
        raise self._may_have("a 404 that does not say what is not found")

    def _read(self, model: type[_Answer], reply: _Reply) -> _Answer:
        try:
            return read_json(model.model_validate_json, reply.body)
        except ValidationError as error:
            fields = sorted({".".join(map(str, problem["loc"])) or "body" for problem in _problems(error)})
            raise self._may_have(f"unreadable answer: {', '.join(fields)}") from None

    def _may_have(self, reason: str) -> MayHaveBeenSent:
        return MayHaveBeenSent(self.bank.code, reason)


@cache
def _trusted_certificates() -> ssl.SSLContext:
    """Reading the certificates takes longer than the rest of a client's set-up, so all clients share them."""
    return httpx.create_ssl_context(trust_env=False)


def clients_for(
    banks: Mapping[str, BankEndpoint], timeout_seconds: float, max_connections: int | None = None
) -> dict[str, BankClient]:
    """A client per bank, by the bank's code. The caller closes them."""
    return {code: BankClient(bank, timeout_seconds, max_connections=max_connections) for code, bank in banks.items()}


async def which_are_up(clients: Mapping[str, BankClient]) -> dict[str, bool]:
    """Whether each bank answers now. Asks all at the same time; takes about a second at most."""
    answers = await asyncio.gather(*(client.ping() for client in clients.values()))
    return dict(zip(clients, answers, strict=True))


def _refusal(reply: _Reply) -> Refusal | None:
    try:
        return read_json(Refusal.model_validate_json, reply.body)
    except ValidationError:
        return None


def _problems(error: ValidationError) -> list[Any]:
    return list(error.errors(include_url=False, include_context=False, include_input=False))
