"""What the drill needs beside Batua: Debian's etcd, HAProxy and PgBouncer, and Patroni in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.local.errors import StackError
from infra.local.layout import CHECKOUT

LOCK = CHECKOUT / "requirements-ha.lock"
"""Patroni and its driver, as `infra/ha/Dockerfile` installs them."""
VENV = CHECKOUT / "var" / "patroni"
INSTALL_SECONDS = 300
PACKAGES = {"etcd": "etcd-server", "haproxy": "haproxy", "pgbouncer": "pgbouncer", "ip": "iproute2"}
"""Each program, and the Debian package it is in."""


class NotInstalled(StackError):
    """A program is missing, and cannot be installed here."""


def patroni() -> Path:
    """Patroni's program, which is installed at the first call. Raises NotInstalled."""
    program = VENV / "bin" / "patroni"
    if not program.exists():
        python = str(VENV / "bin" / "python")
        _run([sys.executable, "-m", "venv", "--clear", str(VENV)])
        _run(
            [
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "-r",
                str(LOCK),
            ]
        )
    return program


def require_packages() -> None:
    """Have the programs of Debian, installing them where that is allowed: root on Debian. Raises NotInstalled."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotInstalled(f"the drill needs {', '.join(missing)}: only root on Debian can install them")
    _run(["apt-get", "-qq", "update"])
    _run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing])


def require_root() -> None:
    """The drill cuts networks and fills disks of its own: it makes network namespaces. Raises NotInstalled."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise NotInstalled("the drill needs root on Linux: each node has a network namespace and one a small disk")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode != 0:
        raise NotInstalled(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
