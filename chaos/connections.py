"""Cut TCP connections of other processes: both ends see them end, at whatever moment of a request that is.

It takes the process's socket with pidfd_getfd (Linux 5.6) and shuts it down. No proxy is needed in between.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket

import psutil

_PIDFD_GETFD = 438
"""The number of the system call, the same on every architecture."""


class CannotCut(Exception):
    """The system does not let us take a socket of another process."""


def cut(process: psutil.Process, *, to_port: int | None = None, own_port: int | None = None) -> int:
    """Cut the connections to a port, or those accepted on a port. Returns how many. Raises CannotCut."""
    try:
        found = process.net_connections("tcp")
    except psutil.Error:
        return 0
    done = 0
    for each in found:
        if each.status != psutil.CONN_ESTABLISHED or not each.raddr:
            continue
        if (to_port is not None and each.raddr[1] == to_port) or (own_port is not None and each.laddr[1] == own_port):
            done += _shut_down(process.pid, each.fd)
    return done


def _shut_down(pid: int, descriptor: int) -> int:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0
    except OSError as error:
        raise CannotCut(error.strerror) from None
    try:
        taken = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, handle, descriptor, 0)
        number = ctypes.get_errno()
    finally:
        os.close(handle)
    if taken < 0:
        if number in (errno.ESRCH, errno.EBADF):  # the process or its socket has ended meanwhile
            return 0
        raise CannotCut(os.strerror(number))
    with socket.socket(fileno=taken) as connection:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return 0
    return 1
