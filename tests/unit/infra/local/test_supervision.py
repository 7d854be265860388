from configparser import RawConfigParser
from pathlib import Path

import pytest

from infra.local.layout import PROCESSES, Layout
from infra.local.supervision import Supervisor, remove_socket, socket_file, write_configuration


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "100% home", 11000)
    layout.make_directories()
    return layout


def configuration(layout: Layout) -> RawConfigParser:
    write_configuration(layout)
    parser = RawConfigParser()
    parser.read(layout.supervisor_configuration, encoding="utf-8")
    return parser


def test_every_process_is_started_again_for_ever_and_its_log_is_bounded(layout: Layout) -> None:
    parser = configuration(layout)
    for name in PROCESSES:
        program = dict(parser[f"program:{name}"])
        assert program["autorestart"] == "true"
        assert program["startsecs"] == "0"
        assert program["stdout_logfile"].endswith(f"100%% home/log/{name}.log")
        assert 0 < int(program["stdout_logfile_maxbytes"]) <= 10_000_000
        assert 0 < int(program["stdout_logfile_backups"]) <= 5


def test_services_stop_before_redis_and_redis_before_the_database(layout: Layout) -> None:
    parser = configuration(layout)
    tiers = ("postgres", "redis", "services")
    priorities = [int(parser[f"group:{tier}"]["priority"]) for tier in tiers]
    assert priorities == sorted(priorities)
    assert "user_app" in parser["group:services"]["programs"].split(",")


def test_no_secret_is_written_into_the_configuration(layout: Layout) -> None:
    write_configuration(layout)
    text = layout.supervisor_configuration.read_text(encoding="utf-8")
    assert "environment" not in text
    assert "BATUA_" not in text


def test_a_home_too_deep_for_a_socket_address_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    layout = Layout(tmp_path / ("deep" * 30), 11000)
    layout.make_directories()
    write_configuration(layout)
    file = socket_file(layout)
    assert len(str(file)) < 100
    assert file.parent.stat().st_mode & 0o777 == 0o700
    remove_socket(layout)
    assert not file.parent.exists()


def test_without_a_supervisor_asking_it_is_an_os_error(layout: Layout) -> None:
    with pytest.raises(OSError, match=r".+"):
        Supervisor(layout).states()
    assert not Supervisor(Layout(Path("/nowhere/at/all"), 11000)).is_listening()
