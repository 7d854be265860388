"""What `make compose-up` makes for the containers: each secret in a file, and certificates that verify."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from infra.compose_secrets import OtherDatabase, prepare_compose
from infra.local.layout import CHECKOUT
from infra.local.secrets import read_secrets
from infra.private_certificates import RENEW_DAYS, make_certificates
from shared import clock
from shared.addresses import database_address, redis_address
from tests.support.deadlines import deadline
from tests.support.tls import certificate_for

COMPOSE = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """The file of settings, and the folder of secrets."""
    file, folder = tmp_path / "compose.env", tmp_path / "compose"
    prepare_compose(file, folder)
    return file, folder


def test_every_secret_that_the_containers_mount_is_made(made: tuple[Path, Path]) -> None:
    wanted = {Path(each["file"]).name for each in yaml.safe_load(COMPOSE)["secrets"].values()}
    there = {file.name for file in made[1].iterdir()}
    assert wanted - there == set()
    assert there - wanted == {"authority.key", "settings.env"}, "who signs certificates is mounted nowhere"


def test_every_variable_that_the_file_asks_for_is_given(made: tuple[Path, Path]) -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE))
    assert asked - read_secrets(made[0]).keys() == set()


def test_only_its_owner_enters_the_folder(made: tuple[Path, Path]) -> None:
    assert made[0].stat().st_mode & 0o777 == 0o600
    assert made[1].stat().st_mode & 0o777 == 0o700
    assert (made[1] / "authority.key").stat().st_mode & 0o777 == 0o400
    assert (made[1] / "pin_pepper").stat().st_mode & 0o777 == 0o444, "any user in a container reads it"


def test_the_next_run_changes_nothing(made: tuple[Path, Path]) -> None:
    file, folder = made
    before = {each: each.read_bytes() for each in (file, *folder.iterdir())}
    prepare_compose(file, folder)
    assert {each: each.read_bytes() for each in (file, *folder.iterdir())} == before


def test_further_settings_of_an_operator_are_kept(made: tuple[Path, Path]) -> None:
    assert "env_file: [./var/compose/settings.env]" in COMPOSE
    settings = made[1] / "settings.env"
    assert read_secrets(settings) == {}, "only comments"
    settings.write_text("BATUA_TRACES_URL=http://tempo:4318\n", encoding="utf-8")
    prepare_compose(*made)
    assert read_secrets(settings) == {"BATUA_TRACES_URL": "http://tempo:4318"}


def test_what_an_operator_wrote_is_kept_and_reaches_the_containers(tmp_path: Path) -> None:
    file, folder = tmp_path / "compose.env", tmp_path / "compose"
    file.write_text("BATUA_BANK_HDFC_WEBHOOK_SECRETS=whsec_new,whsec_old\nBATUA_ENV=production\n", encoding="utf-8")
    prepare_compose(file, folder)
    assert read_secrets(file)["BATUA_ENV"] == "production"
    assert (folder / "bank_hdfc_webhook_secrets").read_text() == "whsec_new,whsec_old"
    assert (folder / "dummy_bank_hdfc_webhook_secret").read_text() == "whsec_new"


def test_every_store_is_reached_by_tls_and_with_a_password(made: tuple[Path, Path]) -> None:
    for role in ("batua", "user_app", "merchant_app", "bank_webhook", "withdraw_worker"):
        url = (made[1] / f"{role}_database_url").read_text()
        assert "sslmode=verify-full&sslrootcert=/run/secrets/authority" in url
        assert database_address(url).password == (made[1] / f"postgres_password_{role}").read_text()
    for store, url_name in (("broker", "broker_url"), ("cache", "redis_url")):
        address = redis_address((made[1] / url_name).read_text())
        assert address.is_encrypted
        assert (made[1] / f"{store}_password_file").read_text() == f"requirepass {address.password}\n"


def test_a_cluster_is_reached_by_its_pooler_and_by_commands_past_it(tmp_path: Path) -> None:
    file, folder = tmp_path / "compose.env", tmp_path / "compose"
    prepare_compose(file, folder, ["simulator", "ha"])
    chosen = read_secrets(file)
    assert (chosen["BATUA_SINGLE_POSTGRES"], chosen["BATUA_DATABASE_POOLER"]) == ("0", "transaction")
    assert "@haproxy:5000/batua?sslmode=verify-full" in (folder / "batua_database_url").read_text()
    users = dict(line.split() for line in (folder / "pgbouncer_users").read_text().splitlines())
    assert len(users) == 4
    for role in ("user_app", "merchant_app", "bank_webhook", "withdraw_worker"):
        url = (folder / f"{role}_database_url").read_text()
        assert "@pgbouncer:6432/batua?sslmode=verify-full&sslrootcert=/run/secrets/authority" in url
        assert users[f'"{role}"'] == f'"{database_address(url).password}"'
    assert (folder / "haproxy.pem").exists()
    assert (folder / "pgbouncer.pem").exists()


def test_one_postgres_is_reached_without_a_pooler(made: tuple[Path, Path]) -> None:
    chosen = read_secrets(made[0])
    assert (chosen["BATUA_SINGLE_POSTGRES"], chosen["BATUA_DATABASE_POOLER"]) == ("1", "none")
    assert "@postgres:5432/batua" in (made[1] / "user_app_database_url").read_text()


@pytest.mark.parametrize(
    ("before", "now", "sentence"),
    [
        (["simulator"], ["simulator", "ha"], "would begin with empty ones: leave it out of PROFILES"),
        (["ha"], ["simulator"], "the cluster of the profile ha has the books: add ha to PROFILES"),
    ],
)
def test_containers_never_start_on_a_database_without_the_books(
    tmp_path: Path, before: list[str], now: list[str], sentence: str
) -> None:
    file, folder = tmp_path / "compose.env", tmp_path / "compose"
    prepare_compose(file, folder, before)
    kept = {each: each.read_bytes() for each in (file, *folder.iterdir())}
    with pytest.raises(OtherDatabase, match=sentence):
        prepare_compose(file, folder, now)
    assert {each: each.read_bytes() for each in (file, *folder.iterdir())} == kept
    prepare_compose(file, folder, [*before, "observability"])


def test_a_deployment_from_before_the_choice_keeps_its_one_postgres(made: tuple[Path, Path]) -> None:
    file, folder = made
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "SINGLE" not in line))
    with pytest.raises(OtherDatabase):
        prepare_compose(file, folder, ["ha"])
    prepare_compose(file, folder, ["simulator"])
    assert read_secrets(file)["BATUA_SINGLE_POSTGRES"] == "1"


def test_addresses_written_before_the_first_start_leave_the_choice(tmp_path: Path) -> None:
    file = tmp_path / "compose.env"
    file.write_text("BATUA_ENV=production\n", encoding="utf-8")
    prepare_compose(file, tmp_path / "compose", ["ha"])
    assert read_secrets(file)["BATUA_SINGLE_POSTGRES"] == "0"


@pytest.mark.parametrize("name", ["postgres", "localhost", "127.0.0.1"])
def test_a_client_verifies_the_certificate_for_its_names(tmp_path: Path, name: str) -> None:
    make_certificates(tmp_path, ["postgres"])
    assert _subject_seen(tmp_path, name) == "postgres"


def test_a_client_refuses_it_for_another_name_or_another_authority(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["postgres"])
    with pytest.raises(ssl.SSLCertVerificationError):
        _subject_seen(tmp_path, "broker")
    make_certificates(tmp_path / "other", ["postgres"])
    (tmp_path / "other" / "authority.pem").replace(tmp_path / "authority.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        _subject_seen(tmp_path, "postgres")


def test_a_certificate_that_ends_within_a_month_is_made_again_by_the_same_authority(tmp_path: Path) -> None:
    assert make_certificates(tmp_path, ["postgres"]) == ["authority", "postgres"]
    assert make_certificates(tmp_path, ["postgres"]) == []
    authority = (tmp_path / "authority.pem").read_bytes()
    later = clock.now() + timedelta(days=397 - RENEW_DAYS + 1)
    with clock.reading(lambda: later):
        assert make_certificates(tmp_path, ["postgres"]) == ["postgres"]
    assert (tmp_path / "authority.pem").read_bytes() == authority


def test_a_certificate_of_another_authority_is_kept(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["proxy"])
    (tmp_path / "bought").mkdir()
    bought = certificate_for("proxy", tmp_path / "bought")
    own = tmp_path / "proxy.pem"
    own.unlink()
    own.write_bytes(bought.certificate.read_bytes())
    much_later = clock.now() + timedelta(days=20_000)
    with clock.reading(lambda: much_later):
        assert make_certificates(tmp_path, ["proxy"]) == ["authority"]
    assert own.read_bytes() == bought.certificate.read_bytes()


def _subject_seen(directory: Path, name: str) -> str:
    """Shake hands with a server that shows the certificate of postgres, as a client who wants this name."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(directory / "postgres.pem", directory / "postgres.key")
    client_context = ssl.create_default_context(cafile=str(directory / "authority.pem"))
    ours, theirs = socket.socketpair()
    ours.settimeout(deadline())
    theirs.settimeout(deadline())

    def serve() -> None:
        with theirs:
            try:
                server_context.wrap_socket(theirs, server_side=True).close()
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours, client_context.wrap_socket(ours, server_hostname=name) as secured:
            certificate = secured.getpeercert()
            assert certificate is not None
            return str(certificate["subject"][0][0][1])
    finally:
        thread.join()
