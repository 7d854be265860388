"""A connection of another process can be cut from outside."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from chaos.connections import CannotCut, cut

READS_UNTIL_THE_END = """
import socket
listening = socket.create_server(("127.0.0.1", 0))
calling = socket.create_connection(listening.getsockname())
accepted, _ = listening.accept()
print(listening.getsockname()[1], flush=True)
print(calling.recv(1), flush=True)
"""


def test_both_ends_see_a_cut_connection_end() -> None:
    with subprocess.Popen([sys.executable, "-c", READS_UNTIL_THE_END], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        try:
            assert cut(psutil.Process(child.pid), to_port=port + 1) == 0
            assert cut(psutil.Process(child.pid), to_port=port) == 1
        except CannotCut as reason:
            child.kill()
            pytest.skip(f"this system lends no sockets: {reason}")
        assert child.stdout.readline() == "b''\n"
