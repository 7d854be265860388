import os
from pathlib import Path

import pytest

from infra.local.environment import (
    load_local_environment,
    local_secrets,
    owns_postgres,
    owns_redis,
    process_environment,
)
from infra.local.errors import BadReadySeconds
from infra.local.layout import PROCESSES, Layout
from infra.local.stack import Stack


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "home", 11000)


def environment(layout: Layout, process: str, **outer: str) -> dict[str, str]:
    return process_environment(process, layout=layout, secrets=local_secrets(layout), outer=outer)


@pytest.mark.parametrize(
    ("process", "role"),
    [
        ("user_app", "user_app"),
        ("merchant_app", "merchant_app"),
        ("bank_webhook", "bank_webhook"),
        ("withdraw_worker", "withdraw_worker"),
        ("scheduler", "withdraw_worker"),
        ("command", "batua"),
    ],
)
def test_each_service_enters_the_database_under_its_own_name(layout: Layout, process: str, role: str) -> None:
    url = environment(layout, process)["BATUA_DATABASE_URL"]
    assert url.startswith(f"postgresql://{role}:")
    assert url.endswith("@127.0.0.1:11032/batua")


def test_what_the_caller_has_set_wins(layout: Layout) -> None:
    given = {"BATUA_DATABASE_URL": "postgresql://elsewhere/batua", "BATUA_WITHDRAWALS__LEASE_SECONDS": "6"}
    assert environment(layout, "user_app", **given).items() >= given.items()


def test_a_server_the_caller_names_is_used_and_none_is_started() -> None:
    assert owns_postgres({})
    assert not owns_postgres({"BATUA_DATABASE_URL": "postgresql://elsewhere/batua"})
    assert owns_redis({"BATUA_REDIS_URL": ""})
    assert not owns_redis({"BATUA_REDIS_URL": "redis://elsewhere"})


def test_the_simulated_bank_sees_the_platform_only_from_outside(layout: Layout) -> None:
    seen = environment(layout, "dummy_bank", BATUA_PIN_PEPPER="ours-alone", PATH="/bin")
    ours = {name for name in seen if name.startswith("BATUA_")}
    assert ours == {"BATUA_HOME", "BATUA_PORT_BASE", "BATUA_PROCESS"}
    assert seen["PATH"] == "/bin"
    assert seen["DUMMY_BANK_HDFC_WEBHOOK_URL"] == "http://127.0.0.1:11003/webhooks/hdfc"


def test_bank_and_platform_agree_on_their_secrets_also_when_the_caller_chose_them(layout: Layout) -> None:
    given = {"BATUA_BANK_AXIS_WEBHOOK_SECRETS": "whsec_new,whsec_old", "BATUA_BANK_AXIS_API_KEY": "chosen"}
    bank, platform = (environment(layout, process, **given) for process in ("dummy_bank", "bank_webhook"))
    assert bank["DUMMY_BANK_AXIS_WEBHOOK_SECRET"] == "whsec_new"
    assert bank["DUMMY_BANK_AXIS_API_KEY"] == "chosen"
    assert bank["DUMMY_BANK_HDFC_WEBHOOK_SECRET"] == platform["BATUA_BANK_HDFC_WEBHOOK_SECRETS"]


def test_the_service_that_answers_the_internet_has_no_keys_of_account_numbers(layout: Layout) -> None:
    assert "BATUA_ACCOUNT_NUMBER_KEYS" not in environment(layout, "bank_webhook", BATUA_ACCOUNT_NUMBER_KEYS="1:ours")
    assert "BATUA_ACCOUNT_NUMBER_KEYS" in environment(layout, "withdraw_worker")


def test_no_process_is_given_a_database_password_but_in_its_own_address(layout: Layout) -> None:
    for process in PROCESSES:
        assert not [name for name in environment(layout, process) if "POSTGRES_PASSWORD" in name]


def test_the_servers_know_none_of_the_secrets(layout: Layout) -> None:
    secrets = set(local_secrets(layout).values())
    for process in ("postgres", "redis", "smtp"):
        assert not secrets & set(environment(layout, process).values())


def test_a_command_finds_the_local_stack_by_itself(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BATUA_")]:
        monkeypatch.delenv(name)
    # Set and taken away, so that what the call sets is undone at the end of the test.
    for name in process_environment("command", layout=layout, secrets=local_secrets(layout), outer={}):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("BATUA_HOME", str(layout.home))
    monkeypatch.setenv("BATUA_PORT_BASE", "11000")
    monkeypatch.setenv("BATUA_REDIS_URL", "redis://mine")
    load_local_environment()
    assert os.environ["BATUA_DATABASE_URL"].startswith("postgresql://batua:")
    assert os.environ["BATUA_REDIS_URL"] == "redis://mine"


def test_where_no_stack_was_ever_started_a_command_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATUA_HOME", str(tmp_path / "nothing"))
    monkeypatch.delenv("BATUA_DATABASE_URL", raising=False)
    load_local_environment()
    assert "BATUA_DATABASE_URL" not in os.environ
    assert not (tmp_path / "nothing").exists()


def test_a_stack_of_a_test_does_not_inherit_settings_from_who_runs_the_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATUA_DATABASE_URL", "postgresql://somewhere-real/batua")
    monkeypatch.setenv("DUMMY_BANK_DATABASE", "/somewhere/real.sqlite")
    stack = Stack(tmp_path, 11000, {"BATUA_BCRYPT_ROUNDS": "4"})
    local_secrets(stack.layout)
    assert stack.outer_environment["BATUA_BCRYPT_ROUNDS"] == "4"
    assert not {"BATUA_DATABASE_URL", "DUMMY_BANK_DATABASE"} & stack.outer_environment.keys()


def test_a_stack_of_the_command_line_takes_the_callers_settings_over_its_own_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATUA_HOME", str(tmp_path))
    monkeypatch.setenv("BATUA_WITHDRAWALS__SWEEP_SECONDS", "7")
    defaults = {"BATUA_WITHDRAWALS__SWEEP_SECONDS": "1", "BATUA_WITHDRAWALS__LEASE_SECONDS": "6"}
    settings = Stack.from_environment(defaults).outer_environment
    assert settings["BATUA_WITHDRAWALS__SWEEP_SECONDS"] == "7"
    assert settings["BATUA_WITHDRAWALS__LEASE_SECONDS"] == "6"
    assert settings["BATUA_HOME"] == str(Path(tmp_path))


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "inf", "nan"])
def test_a_bad_time_to_be_ready_is_one_clear_sentence(tmp_path: Path, seconds: str) -> None:
    with pytest.raises(BadReadySeconds) as refused:
        Stack(tmp_path, 11000, {"BATUA_READY_SECONDS": seconds})
    assert str(refused.value) == f"BATUA_READY_SECONDS must be a number of seconds above 0, not {seconds!r}"
