"""How root runs PostgreSQL, which refuses to start with root's user id.

The checkout and the home may lie in a directory that only root can enter, and we do not change permissions of
directories that are not ours. There are three ways; the first that works on this machine is used:

- `plain`: change to the user `nobody`. Works where `nobody` can reach the files.
- `capability`: change to `nobody`, but keep the capability to read and enter every directory.
- `namespace`: keep the user id, in a user namespace in which it is shown as `nobody`.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from infra.local.errors import StackError
from infra.local.layout import CHECKOUT

Way = Literal["unchanged", "plain", "capability", "namespace"]
WAYS_FOR_ROOT: tuple[Way, ...] = ("plain", "capability", "namespace")
UNPRIVILEGED_USER = "nobody"
PROBE_TIMEOUT_SECONDS = 60

_PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 28, 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_CLONE_NEWUSER = 0x10000000


@dataclass(eq=False)
class NoWayToRunPostgres(StackError):
    """On this machine root can neither change its user nor create a user namespace."""

    home: Path

    def __str__(self) -> str:
        return (
            "PostgreSQL refuses to run as root, and root cannot change to another user here: "
            f"start Batua as a plain user who can reach {self.home}"
        )


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _become_nobody() -> None:
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _become_nobody_with(capability: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # Without this bit the kernel ignores capabilities in access(2), which PostgreSQL uses to find its own files.
    _check(libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
    _become_nobody()
    mask = 1 << capability
    data = (_Capabilities * 2)(_Capabilities(mask, mask, mask), _Capabilities(0, 0, 0))
    _check(libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION, 0)), ctypes.byref(data)))
    _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0))


def _keep_a_capability() -> None:
    bounding = Path("/proc/self/status").read_text(encoding="ascii").split("CapPrm:", 1)[1].split()[0]
    may_read_all = int(bounding, 16) & (1 << _DAC_READ_SEARCH)
    _become_nobody_with(_DAC_READ_SEARCH if may_read_all else _DAC_OVERRIDE)


def _enter_namespace() -> None:
    user, uid, gid = pwd.getpwnam(UNPRIVILEGED_USER), os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user.pw_uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{user.pw_gid} {gid} 1", encoding="ascii")


def give_up_privileges(way: Way) -> None:
    """Change this process until it ends. Raises OSError where the machine does not allow it."""
    match way:
        case "unchanged":
            return
        case "plain":
            _become_nobody()
        case "capability":
            _keep_a_capability()
        case "namespace":
            _enter_namespace()


def wrapped(way: Way, command: Sequence[str]) -> list[str]:
    """A command line that runs `command` without privileges."""
    return list(command) if way == "unchanged" else [sys.executable, "-m", __name__, way, *command]


def own_directory(way: Way, directory: Path) -> None:
    """Give the directory and its content to the user that PostgreSQL runs as, if it is not that user's already."""
    if way == "unchanged":
        return
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    uid, gid = (os.geteuid(), os.getegid()) if way == "namespace" else (user.pw_uid, user.pw_gid)
    if directory.stat().st_uid == uid:
        return
    for path in sorted(directory.rglob("*"), reverse=True):
        os.chown(path, uid, gid, follow_symlinks=False)
    os.chown(directory, uid, gid)


def find_way(*, directory: Path, program: Path) -> Way:
    """The first way in which `program` runs and can write to `directory`, which is given to its user.

    `program` must find its own path and exit 0. Raises NoWayToRunPostgres.
    """
    if os.geteuid() != 0:
        return "unchanged"
    script = 'cd "$0" && : >.probe && rm .probe && exec "$1"'
    for way in WAYS_FOR_ROOT:
        try:
            own_directory(way, directory)
        except OSError:
            continue
        command = wrapped(way, ["/bin/sh", "-c", script, str(directory), str(program)])
        probe = subprocess.run(  # noqa: S603 - our own interpreter and a program of the installed wheel
            command,
            cwd=CHECKOUT,
            capture_output=True,
            timeout=PROBE_TIMEOUT_SECONDS,
            check=False,
        )
        if probe.returncode == 0:
            return way
    raise NoWayToRunPostgres(directory)


if __name__ == "__main__":
    give_up_privileges(cast("Way", sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the caller names the program, no shell
