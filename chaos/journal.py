"""What each caller asked for, with which key, and what it was told. The judgement believes nothing else of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

Kind = Literal["send", "send_many", "refund", "on_ramp", "withdraw"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer to a request. `after_yes`: this attempt began when the caller had been told yes already."""

    status: int
    body: Mapping[str, Any]
    after_yes: bool = False

    @property
    def is_yes(self) -> bool:
        """Whether what was asked for is done."""
        return 200 <= self.status < 300


@dataclass(slots=True, eq=False)
class Request:
    """One thing asked for under one key, however often it was sent."""

    number: int
    kind: Kind
    caller: str
    path: str
    body: Mapping[str, Any]
    key: str
    answers: list[Answer] = field(default_factory=list)
    silences: int = 0
    """Attempts without a whole answer: each may have been done, or may still be."""
    is_settled: bool = False
    """The caller knows: it was told yes, or no after every attempt had ended."""

    @property
    def yes(self) -> Answer | None:
        """The first answer that says it is done."""
        return next((answer for answer in self.answers if answer.is_yes), None)

    @property
    def note(self) -> str:
        """What a statement shows of it; no two requests share one."""
        return f"chaos {self.number}"


class Journal:
    """Every request of a run, oldest first."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.attempts = 0
        """How often a request was sent."""
        self.cancelled: set[str] = set()
        """Withdrawals whose caller was told that they are cancelled."""
        self._numbers = count(1)

    def begin(self, kind: Kind, caller: str, path: str, body: Mapping[str, Any]) -> Request:
        """Note a request before it is sent for the first time. Its movements get a note of their own."""
        number = next(self._numbers)
        request = Request(number, kind, caller, path, body, key=f"{caller}-{number}")
        if kind in ("send", "refund"):
            request.body = {**body, "note": request.note}
        elif kind == "send_many":
            items = [{**item, "note": f"{request.note}.{index}"} for index, item in enumerate(body["items"])]
            request.body = {**body, "items": items}
        self.requests.append(request)
        return request

    def told_yes(self, kind: Kind) -> list[Request]:
        """The requests of this kind that were done."""
        return [request for request in self.requests if request.kind == kind and request.yes]

    def write(self, file: Path) -> None:
        """Keep it, one request a line, without PINs."""
        with file.open("w", encoding="utf-8") as stream:
            for request in self.requests:
                line = {
                    "number": request.number,
                    "kind": request.kind,
                    "caller": request.caller,
                    "path": request.path,
                    "key": request.key,
                    "body": {name: value for name, value in request.body.items() if name != "pin"},
                    "silences": request.silences,
                    "is_settled": request.is_settled,
                    "answers": [[answer.status, answer.body, answer.after_yes] for answer in request.answers],
                }
                stream.write(json.dumps(line) + "\n")
