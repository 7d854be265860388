"""A secret may be a file: Docker and Kubernetes mount it, and the environment never has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from services.dummy_bank.settings import BankSimulatorSettings
from services.user_app.settings import UserAppSettings
from shared.config import DatabaseSettings, TokenSettings, read_settings
from shared.redis.settings import RedisSettings
from shared.secret_files import SecretsUnreadable, secret

KEY, OLD_KEY = "0123456789abcdefghijklmnop", "zyxwvutsrqponmlkjihgfedcba"
DATABASE_URL = f"postgresql://role:{KEY}@db.example:5432/batua?sslmode=require"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of secrets, empty, in an environment that has no setting."""
    for name in [name for name in os.environ if name.startswith(("BATUA_", "DUMMY_BANK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BATUA_SECRETS_DIRECTORY", str(tmp_path))
    return tmp_path


def test_a_setting_is_read_from_the_file_with_its_name(directory: Path) -> None:
    (directory / "BATUA_DATABASE_URL").write_text(f"{DATABASE_URL}\n")
    (directory / "batua_redis_url").write_text(f"rediss://:{KEY}@cache.example:6379/0")
    assert DatabaseSettings().database_url.get_secret_value() == DATABASE_URL
    assert RedisSettings().redis_url.get_secret_value().endswith("cache.example:6379/0")


def test_a_file_may_hold_a_list(directory: Path) -> None:
    (directory / "BATUA_TOKEN_KEYS").write_text(f"{KEY}, {OLD_KEY}\n")
    keys = TokenSettings().token_keys
    assert [key.get_secret_value() for key in keys] == [KEY, OLD_KEY]


def test_the_variable_counts_where_both_are_there(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "BATUA_TOKEN_KEYS").write_text(OLD_KEY)
    monkeypatch.setenv("BATUA_TOKEN_KEYS", KEY)
    keys = TokenSettings().token_keys
    assert [key.get_secret_value() for key in keys] == [KEY]


def test_a_directory_as_kubernetes_mounts_it(directory: Path) -> None:
    version = directory / "..2026_11_27"
    version.mkdir()
    (version / "BATUA_TOKEN_KEYS").write_text(KEY)
    (directory / "..data").symlink_to(version.name)
    (directory / "BATUA_TOKEN_KEYS").symlink_to("..data/BATUA_TOKEN_KEYS")
    assert TokenSettings().token_keys[0].get_secret_value() == KEY


def test_production_takes_a_good_secret_from_a_file_and_refuses_a_weak_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATUA_ENV", "production")
    (directory / "BATUA_DATABASE_URL").write_text(DATABASE_URL)
    assert read_settings(DatabaseSettings).is_production
    (directory / "BATUA_TOKEN_KEYS").write_text("changeme")
    with pytest.raises(SystemExit):
        read_settings(TokenSettings)
    assert "BATUA_TOKEN_KEYS is weak" in capsys.readouterr().err


def test_without_the_variable_no_file_is_read(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "BATUA_TOKEN_KEYS").write_text(KEY)
    monkeypatch.delenv("BATUA_SECRETS_DIRECTORY")
    with pytest.raises(SystemExit):
        read_settings(TokenSettings)


def test_a_directory_that_is_missing_keeps_a_process_from_starting(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATUA_SECRETS_DIRECTORY", str(directory / "none"))
    with pytest.raises(SystemExit) as stopped:
        read_settings(UserAppSettings)
    assert stopped.value.code == os.EX_CONFIG
    assert "BATUA_SECRETS_DIRECTORY names no directory" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_keeps_a_process_from_starting(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "BATUA_TOKEN_KEYS").write_bytes(b"\xff\xfe")
    with pytest.raises(SystemExit):
        read_settings(TokenSettings)
    assert "no UTF-8 text" in capsys.readouterr().err


def test_a_command_says_it_in_one_sentence(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATUA_SECRETS_DIRECTORY", str(directory / "none"))
    monkeypatch.setenv("BATUA_HOME", str(directory / "home"))
    result = CliRunner().invoke(app, ["migrate"])
    assert result.exit_code == 1
    assert "BATUA_SECRETS_DIRECTORY names no directory" in result.stderr


def test_a_secret_without_a_setting(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "BATUA_POSTGRES_PASSWORD_USER_APP"
    assert secret(name) is None
    (directory / name.lower()).write_text(f"{KEY}\n")
    assert secret(name) == KEY
    monkeypatch.setenv(name, OLD_KEY)
    assert secret(name) == OLD_KEY
    monkeypatch.setenv("BATUA_SECRETS_DIRECTORY", str(directory / "none"))
    with pytest.raises(SecretsUnreadable):
        secret(name)


def test_the_simulated_banks_have_a_directory_of_their_own(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUMMY_BANK_SECRETS_DIRECTORY", str(directory))
    for bank in ("HDFC", "AXIS"):
        (directory / f"DUMMY_BANK_{bank}_API_KEY").write_text(KEY)
        (directory / f"DUMMY_BANK_{bank}_WEBHOOK_SECRET").write_text("whsec_Zm9ydHktdHdvIGRpZmZlcmVudCBieXRlcw==")
        monkeypatch.setenv(f"DUMMY_BANK_{bank}_WEBHOOK_URL", "http://127.0.0.1:1/webhooks")
    monkeypatch.setenv("DUMMY_BANK_DATABASE", str(directory / "bank.sqlite"))
    monkeypatch.setenv("DUMMY_BANK_PUBLIC_URL", "http://127.0.0.1:1")
    banks = BankSimulatorSettings().banks
    assert banks["hdfc"].api_key.get_secret_value() == KEY
