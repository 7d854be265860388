"""`sslmode` and `sslrootcert` in the address of the database: the same for services, migrations and commands."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from typer.testing import CliRunner

from infra.cli.main import app
from infra.local.secrets import postgres_password_name
from infra.postgres.roles import SERVICE_ROLES
from shared.config import DatabaseSettings
from shared.db.direct import direct_connection
from shared.db.outages import DATABASE_ERRORS
from shared.runtime.database import open_database
from tests.support.tls import Certificate, TlsFront, certificate_for, tls_front

NAME, OTHER_NAME = "localhost", "127.0.0.1"


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """For one name of this machine, and not for the other."""
    return certificate_for(NAME, tmp_path)


@pytest.fixture
async def front(database_url: str, certificate: Certificate) -> AsyncIterator[TlsFront]:
    """A server that speaks TLS only."""
    async with tls_front(database_url, certificate) as front:
        yield front


async def failure_at(url: str) -> BaseException | None:
    """Why none of what a service opens can ask the database; None if all can."""
    async with open_database(DatabaseSettings(database_url=SecretStr(url)), application_name="tests") as database:
        try:
            async with database.sessionmaker() as session:
                await session.execute(text("SELECT 1"))
            async with direct_connection(database.direct_engine) as connection:
                await connection.execute("SELECT 1")
        except DATABASE_ERRORS as error:
            return error
    return None


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (OTHER_NAME, ""),
        (OTHER_NAME, "?sslmode=prefer"),
        (OTHER_NAME, "?sslmode=require"),
        (OTHER_NAME, "?sslmode=verify-ca&sslrootcert={root}"),
        (NAME, "?sslmode=verify-full&sslrootcert={root}"),
    ],
)
async def test_a_way_that_may_be_encrypted_is(
    database_url: str, certificate: Certificate, front: TlsFront, host: str, words: str
) -> None:
    url = front.at(database_url, host, words.format(root=certificate.certificate))
    assert await failure_at(url) is None
    assert front.encrypted == 2


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (OTHER_NAME, "?sslmode=verify-full&sslrootcert={known}"),
        (NAME, "?sslmode=verify-full&sslrootcert={other}"),
        (NAME, "?sslmode=verify-ca&sslrootcert={other}"),
        (NAME, "?sslmode=require&sslrootcert={other}"),
    ],
)
async def test_a_server_that_shows_another_name_or_signer_is_refused(
    database_url: str, certificate: Certificate, front: TlsFront, host: str, words: str
) -> None:
    other = certificate_for("stranger", certificate.key.parent)
    words = words.format(known=certificate.certificate, other=other.certificate)
    error = await failure_at(front.at(database_url, host, words))
    assert isinstance(error, ssl.SSLCertVerificationError), error
    assert front.encrypted == 0


async def test_a_server_without_tls_is_refused_by_who_requires_it(database_url: str, certificate: Certificate) -> None:
    for words in ("sslmode=require", f"sslmode=verify-full&sslrootcert={certificate.certificate}"):
        assert isinstance(await failure_at(f"{database_url}?{words}"), ConnectionError)
    for words in ("sslmode=prefer", "sslmode=disable"):
        assert await failure_at(f"{database_url}?{words}") is None


async def test_a_server_that_speaks_tls_only_is_not_asked_in_plain_text(database_url: str, front: TlsFront) -> None:
    assert await failure_at(front.at(database_url, NAME, "?sslmode=disable")) is not None
    assert front.encrypted == 0


# Roles are of the whole server: two tests must not make them at the same time.
@pytest.mark.xdist_group("database roles")
async def test_commands_reach_it_in_the_same_way(
    fresh_database_url: str, tmp_path: Path, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATUA_HOME", str(tmp_path))
    for role in SERVICE_ROLES:
        monkeypatch.setenv(postgres_password_name(role), "for-tests-only-0123456789")
    async with tls_front(fresh_database_url, certificate) as front:
        words = f"?sslmode=verify-full&sslrootcert={certificate.certificate}"
        monkeypatch.setenv("BATUA_DATABASE_URL", front.at(fresh_database_url, NAME, words))
        migrated = await asyncio.to_thread(CliRunner().invoke, app, ["migrate", "--service-roles"])
        assert migrated.exit_code == 0, migrated.output
        assert front.encrypted == 3, "the migration, the grants, the audit trail"

        monkeypatch.setenv("BATUA_DATABASE_URL", front.at(fresh_database_url, OTHER_NAME, words))
        refused = await asyncio.to_thread(CliRunner().invoke, app, ["migrate"])
        assert refused.exit_code == 1
        assert "certificate" in refused.output
        assert "is `make up` running" not in refused.output
