"""A caller as a careful one is: it repeats a request with the same key until it knows what became of it."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from chaos.journal import Answer, Journal, Kind, Request

PIN = "4812"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""All calls are plain HTTP on one machine."""
ANSWER_SECONDS = 8.0
CONNECT_SECONDS = 3.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.5
NEW_CONNECTION_SHARE = 0.05
"""Of the attempts: a caller is not always on the connection that it had before."""
COPIES_SHARE, GIVE_UP_SHARE, PIN_SHARE = 0.12, 0.08, 0.2
"""How often a request is sent twice at once; how often a caller leaves the question for later; how often the PIN itself
is sent, and not a token for it.
"""
_NOT_YET = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
_IN_FLIGHT = "request_in_flight"
_SAID_NO_TO_BANK = "bank_unavailable"


def new_client(base_url: str, slowness: float) -> httpx.AsyncClient:
    """A client for one service. It follows no redirect."""
    timeout = httpx.Timeout(ANSWER_SECONDS * slowness, connect=CONNECT_SECONDS * slowness)
    return httpx.AsyncClient(base_url=base_url, timeout=timeout, trust_env=False, verify=NO_TLS)


def is_final(answer: Answer) -> bool:
    """Whether the answer is a yes or a no, and not "ask again"."""
    code = answer.body.get("code")
    if code == _SAID_NO_TO_BANK:
        return True
    return answer.status < 500 and answer.status not in _NOT_YET and code != _IN_FLIGHT


class Caller:
    """The holder of a wallet: a person or a shop."""

    def __init__(
        self, client: httpx.AsyncClient, journal: Journal, dice: random.Random, profile: dict[str, str]
    ) -> None:
        self.name = profile["email"].partition("@")[0]
        self.dice = dice
        self.journal = journal
        self.own: list[Request] = []
        self.wallet_id = ""
        self._client = client
        self._profile = profile
        self._headers: dict[str, str] = {}
        self._pin_headers: dict[str, str] = {}

    async def sign_up(self) -> None:
        """Sign up, or sign in when an attempt without an answer had signed up. Returns when that is known."""
        login = {name: self._profile[name] for name in ("email", "password")}
        answer = await self.until_final("POST", "/api/v1/auth/register", self._profile)
        if answer.body.get("code") == "email_taken":
            answer = await self.until_final("POST", "/api/v1/auth/login", login)
        if not answer.is_yes:
            raise RuntimeError(f"{self.name} cannot sign up: {answer}")
        profile = answer.body.get("user") or answer.body["merchant"]
        self._headers = {"Authorization": f"Bearer {answer.body['token']}"}
        pin = await self.until_final("POST", "/api/v1/auth/pin", {"pin": PIN})
        self._pin_headers = {"X-Pin-Token": pin.body["pin_token"]}
        self.wallet_id = profile["wallet_id"]

    async def ask(self, kind: Kind, path: str, body: Mapping[str, Any]) -> Request:
        """Ask for something new. On return the caller knows, or has left the question for later."""
        request = self.journal.begin(kind, self.name, path, body)
        self.own.append(request)
        if self.dice.random() < PIN_SHARE:
            request.body = {**request.body, "pin": PIN}
        copies = 2 if self.dice.random() < COPIES_SHARE else 1
        await asyncio.gather(*(self._until_told(request) for _ in range(copies)))
        self._settle(request)
        return request

    async def repeat(self, request: Request) -> None:
        """Send what was answered already once more, whatever comes back."""
        await self._attempt(request)

    async def find_out(self, request: Request) -> None:
        """Ask again about a request whose attempts have all ended, until there is an answer."""
        while not request.is_settled:
            silences = request.silences
            answer = await self._attempt(request)
            if answer is not None and is_final(answer) and (answer.is_yes or request.silences == silences):
                request.is_settled = True
            else:
                await asyncio.sleep(1)

    async def until_final(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """An answer to a request that may be sent twice without harm."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            answer = await self._send(method, path, body, self._headers)
            if answer is not None and is_final(answer):
                return answer
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    async def get(self, path: str) -> Mapping[str, Any]:
        """What is at this path. Raises RuntimeError on a refusal."""
        answer = await self.until_final("GET", f"/api/v1{path}")
        if not answer.is_yes:
            raise RuntimeError(f"GET {path} answered {answer}")
        return answer.body

    async def get_all(self, path: str) -> list[Mapping[str, Any]]:
        """Every item of a list."""
        items: list[Mapping[str, Any]] = []
        cursor = ""
        while True:
            page = await self.get(f"{path}?limit=100{cursor}")
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    async def _until_told(self, request: Request) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            answer = await self._attempt(request)
            if answer is not None and is_final(answer):
                return
            if answer is None and self.dice.random() < GIVE_UP_SHARE:
                return
            await asyncio.sleep(pause_seconds * self.dice.uniform(0.5, 1))
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    def _settle(self, request: Request) -> None:
        was_refused = any(is_final(answer) for answer in request.answers) and not request.silences
        request.is_settled = request.yes is not None or was_refused

    async def _attempt(self, request: Request) -> Answer | None:
        after_yes = request.yes is not None
        self.journal.attempts += 1
        headers = {**self._headers, "Idempotency-Key": request.key}
        if "pin" not in request.body and request.kind != "on_ramp":
            headers |= self._pin_headers
        answer = await self._send("POST", request.path, request.body, headers, after_yes=after_yes)
        if answer is None:
            request.silences += 1
        elif is_final(answer):
            request.answers.append(answer)
        elif answer.status >= 500:
            request.silences += 1
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        *,
        after_yes: bool = False,
    ) -> Answer | None:
        """One attempt; None without a whole answer."""
        if self.dice.random() < NEW_CONNECTION_SHARE:
            headers = {**headers, "Connection": "close"}
        try:
            answer = await self._client.request(method, path, json=body, headers=headers)
            said = answer.json() if answer.content else {}
        except (httpx.HTTPError, ValueError):
            return None
        return Answer(answer.status_code, said, after_yes)
