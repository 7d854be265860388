from pathlib import Path

import pytest

from infra.local.layout import CHECKOUT, PROCESSES, BadPortBase, Layout


def test_without_settings_the_home_is_var_in_the_checkout_and_ports_start_at_8000() -> None:
    layout = Layout.from_environment({})
    assert layout.home == CHECKOUT / "var"
    assert layout.port("user_app") == 8001


def test_every_process_has_the_port_it_is_known_by() -> None:
    layout = Layout(Path("/anywhere"), 11000)
    ports = {name: layout.port(name) for name in PROCESSES}
    assert ports == {
        "postgres": 11032,
        "redis": 11079,
        "smtp": 11025,
        "user_app": 11001,
        "merchant_app": 11002,
        "bank_webhook": 11003,
        "dummy_bank": 11004,
        "withdraw_worker": None,
        "scheduler": None,
    }


def test_a_relative_home_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Layout.from_environment({"BATUA_HOME": "here"}).home == tmp_path / "here"


@pytest.mark.parametrize("base", ["eight", "80", "65500", "-1", "8000.5"])
def test_a_port_base_without_room_for_every_port_is_refused_by_name(base: str) -> None:
    with pytest.raises(BadPortBase, match="BATUA_PORT_BASE"):
        Layout.from_environment({"BATUA_PORT_BASE": base})


def test_what_the_home_holds_is_for_its_owner_only(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "home", 11000)
    layout.make_directories()
    modes = {path.name: path.stat().st_mode & 0o777 for path in layout.home.iterdir()}
    assert modes == {"run": 0o700, "log": 0o700, "mail": 0o700, "postgres": 0o700}
