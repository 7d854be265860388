"""What keeps the local stack from starting or running, in words for the person at the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class StackError(Exception):
    """The base of these errors: the command line prints their text and ends, without a traceback."""


@dataclass(eq=False)
class HomeNotUsable(StackError):
    """The stack cannot keep its files in `BATUA_HOME`."""

    home: Path
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.home} cannot hold the stack's files ({self.reason}): "
            "set BATUA_HOME to a directory that you may write to"
        )


@dataclass(eq=False)
class BadReadySeconds(StackError):
    """`BATUA_READY_SECONDS` is not a number of seconds."""

    value: str

    def __str__(self) -> str:
        return f"BATUA_READY_SECONDS must be a number of seconds above 0, not {self.value!r}"


@dataclass(eq=False)
class AlreadyRunning(StackError):
    """Another stack runs in this home."""

    home: Path

    def __str__(self) -> str:
        return f"a stack is already running in {self.home}: stop it, or set BATUA_HOME and BATUA_PORT_BASE"


@dataclass(eq=False)
class AnotherIsStarting(StackError):
    """Another stack is starting on the same ports at this moment."""

    port_base: int

    def __str__(self) -> str:
        return (
            f"another stack is starting on port base {self.port_base} at this moment: "
            "stop it, or set BATUA_HOME and BATUA_PORT_BASE"
        )


@dataclass(eq=False)
class PasswordRefused(StackError):
    """Our own database server does not know our password."""

    port: int
    secrets_file: Path

    def __str__(self) -> str:
        return (
            f"the PostgreSQL on port {self.port} refuses the password in {self.secrets_file}: "
            "the database was made with other secrets"
        )


@dataclass(eq=False)
class MigrationTooSlow(StackError):
    """The schema was not up to date in time."""

    seconds: float

    def __str__(self) -> str:
        return (
            f"the migrations had not ended after {self.seconds:.0f} s and were stopped: those that were applied stay, "
            "what the last one had begun is undone. Start again to go on; if that ends the same way, set "
            f"BATUA_READY_SECONDS above {self.seconds / 2:.0f}: migrations may take twice as long"
        )


@dataclass(eq=False)
class MigrationFailed(StackError):
    """The schema could not be brought up to date; carries what the command said."""

    output: str

    def __str__(self) -> str:
        return f"the database could not be migrated: {self.output.strip()}"
