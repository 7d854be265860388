import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.errors import AnotherIsStarting
from infra.local.layout import Layout
from infra.local.ports import PortInUse, alone_on, is_free, require_free_ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_named_with_the_process_that_needs_it_and_the_one_that_has_it(taken_port: int) -> None:
    layout = Layout(Path("/anywhere"), taken_port - 1)
    with pytest.raises(PortInUse) as refusal:
        require_free_ports(layout, ["withdraw_worker", "user_app"])
    message = str(refusal.value)
    assert f"port {taken_port}, which user_app needs" in message
    assert f"pid {os.getpid()}" in message
    assert "BATUA_PORT_BASE" in message
    assert "\n" not in message


def test_a_port_without_a_listener_is_free(taken_port: int) -> None:
    assert not is_free(taken_port)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert is_free(port)
    require_free_ports(Layout(Path("/anywhere"), port - 1), ["user_app"])


def test_two_stacks_may_not_start_on_one_port_base_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # beside it, another run may do the same
    refused = pytest.raises(AnotherIsStarting, match="port base 10900")
    with alone_on(10900), alone_on(10800), refused, alone_on(10900):
        pass
    with alone_on(10900):
        pass
