"""What routes depend on: a database session, the caller, the idempotency key, a checked PIN."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, TypeGuard

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import SecretStr

from shared.auth import pins
from shared.auth.errors import AuthenticationRequired
from shared.auth.rules import MAX_TOKEN_LENGTH
from shared.auth.sessions import SignedIn
from shared.auth.tokens import Identity
from shared.http.client_address import peer_of, source_of
from shared.http.cookies import DEVICE_COOKIE, SESSION_COOKIE, require_same_origin
from shared.http.errors import InvalidRequest
from shared.http.fields import IDEMPOTENCY_KEY_PATTERN
from shared.http.security import signs_in
from shared.idempotency.claims import Answer
from shared.idempotency.errors import IdempotencyKeyMissing
from shared.runtime.logs import note
from shared.runtime.resources import Resources
from shared.transfers.senders import Sender

PIN_TOKEN_HEADER = "X-Pin-Token"  # noqa: S105 - the name of a header
_API = "/api/"
_REPLAYED = ((b"idempotent-replayed", b"true"),)
_JSON = (b"content-type", b"application/json")
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)


async def current_resources(request: Request) -> Resources:
    """The database, Redis and keys that the process opened at its start."""
    resources: Resources = request.app.state.resources
    return resources


CurrentResources = Annotated[Resources, Depends(current_resources)]


def address_of(request: Request) -> str:
    """The caller's network address, behind the proxies that we trust."""
    resources: Resources = request.app.state.resources
    return str(source_of(request, resources.settings).nearest or peer_of(request) or "unknown")


async def _client_address(request: Request) -> str:
    return address_of(request)


ClientAddress = Annotated[str, Depends(_client_address)]
"""The caller's network address, behind the proxies that we trust."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who comes to sign in or up: the network address, and what the browser kept of earlier sign-ins ("": nothing)."""

    address: str
    device_cookie: str


async def _visitor(request: Request) -> Visitor:
    return Visitor(address_of(request), request.cookies.get(DEVICE_COOKIE, ""))


CurrentVisitor = Annotated[Visitor, Depends(_visitor)]


def given_token(request: Request) -> str:
    """The bearer token, or else the session cookie. Raises AuthenticationRequired, and CrossOrigin when the cookie came
    with a request of another site.
    """
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    if token and scheme.lower() == "bearer":
        return token
    cookie = request.cookies.get(SESSION_COOKIE)
    if not cookie:
        raise AuthenticationRequired
    require_same_origin(request)
    return cookie


@signs_in
async def signed_in(request: Request) -> SignedIn:
    """The owner of the bearer token, or else of the session cookie, with the wallet. One request is checked once.

    Raises AuthenticationRequired, TokenInvalid, TokenExpired, TokenRevoked, and CrossOrigin when the cookie came
    with a request of another site.
    """
    found: SignedIn | None = getattr(request.state, "signed_in", None)
    if found is None:
        resources: Resources = request.app.state.resources
        is_page = not request.scope["path"].startswith(_API)
        found = request.state.signed_in = await resources.sessions.check(given_token(request), for_page=is_page)
        request.state.caller = found.identity  # pages show their navigation to a signed-in caller
        note(owner_id=str(found.identity.owner_id))
    return found


SignedInCaller = Annotated[SignedIn, Depends(signed_in)]


@signs_in
async def current_caller(request: Request) -> Identity:
    """The owner of the bearer token, or else of the session cookie. Raises what `signed_in` raises.

    A request with a PIN token asks about the PIN in the same question.
    """
    if PIN_TOKEN_HEADER in request.headers:
        return (await _caller_with_pin(request))[0]
    return (await signed_in(request)).identity


async def _caller_with_pin(request: Request) -> tuple[Identity, Sender]:
    found: tuple[Identity, Sender] | None = getattr(request.state, "caller_with_pin", None)
    if found is None:
        resources: Resources = request.app.state.resources
        claims = resources.tokens.read(given_token(request))
        sender = await resources.senders.find(owner_id=claims.owner_id, session_id=claims.token_id)
        identity = resources.tokens.identify(claims, sender.session)
        found = request.state.caller_with_pin = identity, sender
        request.state.caller = identity
        note(owner_id=str(identity.owner_id))
    return found


Caller = Annotated[Identity, Depends(current_caller)]


@signs_in
async def current_token(request: Request) -> str:
    """The token of the caller, verified: a stream verifies it again and again. Raises what `signed_in` raises."""
    await signed_in(request)
    return given_token(request)


CurrentToken = Annotated[str, Depends(current_token)]


async def idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Names this request: sent again, it is answered as the first time and moves nothing",
            json_schema_extra={"pattern": IDEMPOTENCY_KEY_PATTERN},
        ),
    ] = None,
) -> str:
    """1 to 255 visible ASCII characters. Raises IdempotencyKeyMissing."""
    if not is_idempotency_key(key):
        raise IdempotencyKeyMissing
    return key


def is_idempotency_key(key: str | None) -> TypeGuard[str]:
    """Whether a request was given a key that can name it."""
    return key is not None and _IDEMPOTENCY_KEY.fullmatch(key) is not None


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


PinToken = Annotated[
    str | None, Header(alias=PIN_TOKEN_HEADER, max_length=MAX_TOKEN_LENGTH, description="Instead of `pin` in the body")
]


@dataclass(frozen=True, slots=True)
class PinChecker:
    """Checks the PIN, or the PIN token sent instead of it. Call it before any other work."""

    request: Request
    caller: Identity
    pin_token: str | None
    sender: Sender | None = None
    """What Postgres said of the PIN when it was asked about the session. Needed with a PIN token."""

    async def __call__(self, pin: SecretStr | None) -> None:
        """Raises PinIncorrect, PinLocked, PinTokenInvalid, and InvalidRequest when neither was sent."""
        resources: Resources = self.request.app.state.resources
        if self.pin_token is not None:
            assert self.sender is not None
            pins.check_token(
                self.sender.pin,
                tokens=resources.tokens,
                settings=resources.settings,
                identity=self.caller,
                pin_token=self.pin_token,
            )
            return
        if pin is None:
            raise InvalidRequest.of("pin", "required, unless X-Pin-Token is sent")
        await pins.check(
            resources.sessionmaker,
            resources.reads,
            hasher=resources.hasher,
            settings=resources.settings,
            owner_id=self.caller.owner_id,
            pin=pin.get_secret_value(),
            address=address_of(self.request),
        )


@signs_in
async def pin_checker(request: Request, pin_token: PinToken = None) -> PinChecker:
    """The PIN check of a route: `check_pin: PinCheck`, then `await check_pin(body.pin)`."""
    if pin_token is None:
        return PinChecker(request, (await signed_in(request)).identity, None)
    identity, sender = await _caller_with_pin(request)
    return PinChecker(request, identity, pin_token, sender)


PinCheck = Annotated[PinChecker, Depends(pin_checker)]


class StoredAnswer(JSONResponse):
    """The response of a stored answer, with its text as it is stored. `Idempotent-Replayed` marks a repeated one."""

    def __init__(self, answer: Answer) -> None:  # the base would write the body as JSON once more
        self.status_code = answer.status
        self.body = answer.text
        self.background = None
        length = (b"content-length", b"%d" % len(answer.text))
        self.raw_headers = [*_REPLAYED, length, _JSON] if answer.is_replayed else [length, _JSON]


def note_made(answer: Answer, of: str) -> None:
    """Let the log lines of this request name what it made. `of` is what its id is called there: `transfer_id`."""
    made = answer.body.get("id")
    if made is not None:
        note(**{of: str(made)})


def respond(answer: Answer, of: str) -> JSONResponse:
    """The response of a stored answer, noted as `note_made` says."""
    note_made(answer, of)
    return StoredAnswer(answer)
