"""The supervisor as a process. It ends with the process that started it, and notices ended processes within 0.1 s.

`python -m infra.local.supervisor_process <configuration> <pid of who starts it>`
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

from supervisor.medusa.asyncore_25 import ExitNow
from supervisor.options import ServerOptions
from supervisor.poller import Poller
from supervisor.supervisord import Supervisor

LOOK_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


class _FrequentPoller(Poller):  # type: ignore[misc]  # the package has no types
    """Looks for ended processes every 0.1 s; the package's own second is half of what a restart may take."""

    def poll(self, timeout: float) -> object:
        return super().poll(min(timeout, LOOK_SECONDS))


class _OwnSessions(ServerOptions):  # type: ignore[misc]  # the package has no types
    """Starts each process in a session of its own, between which Linux shares the CPU."""

    def setpgrp(self) -> None:
        """In the new process: a session is a process group, too."""
        os.setsid()


def end_with(parent: int) -> None:
    """Let the kernel send us SIGTERM when the process that started us ends, even if it is killed."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started the supervisor has ended already")


def main(configuration: str) -> None:
    """Supervise until asked to stop, then stop the tiers in order."""
    options = _OwnSessions()
    options.realize(["--nodaemon", "--configuration", configuration], doc=__doc__)
    options.first = True
    options.test = False
    options.poller = _FrequentPoller(options)
    with contextlib.suppress(ExitNow):
        Supervisor(options).main()
    options.close_httpservers()
    options.close_logger()


if __name__ == "__main__":
    end_with(int(sys.argv[2]))
    main(sys.argv[1])
