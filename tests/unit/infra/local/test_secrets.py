import base64
from pathlib import Path

from infra.local.secrets import load_or_create_secrets, read_secrets


def test_the_first_run_writes_secrets_only_the_owner_can_read(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    written = load_or_create_secrets(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_secrets(file) == written


def test_the_next_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    first = load_or_create_secrets(file)
    before = file.read_bytes()
    assert load_or_create_secrets(file) == first
    assert file.read_bytes() == before


def test_a_file_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    load_or_create_secrets(file)
    file.chmod(0o644)
    load_or_create_secrets(file)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_secret_of_ones_own_is_kept_and_what_lacks_is_added(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("# mine\n\nBATUA_PIN_PEPPER = chosen-by-hand=yes\n", encoding="utf-8")
    secrets = load_or_create_secrets(file)
    assert secrets["BATUA_PIN_PEPPER"] == "chosen-by-hand=yes"
    assert len(secrets["BATUA_TOKEN_KEYS"]) >= 32


def test_no_two_homes_share_a_secret(tmp_path: Path) -> None:
    one, other = (load_or_create_secrets(tmp_path / name) for name in ("one", "other"))
    assert not set(one.values()) & set(other.values())
    assert len(set(one.values())) == len(one)


def test_webhook_secrets_are_32_random_bytes_as_standard_webhooks_wants_them(tmp_path: Path) -> None:
    secret = load_or_create_secrets(tmp_path / "secrets.env")["BATUA_BANK_HDFC_WEBHOOK_SECRETS"]
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
