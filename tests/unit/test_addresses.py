from __future__ import annotations

from pathlib import Path

import pytest

from shared.addresses import (
    Address,
    Servers,
    broker_problems,
    database_address,
    database_word,
    each_host,
    read_servers,
    redis_address,
    redis_problems,
    tls_problems,
)


@pytest.mark.parametrize(
    ("url", "hosts", "password", "is_encrypted"),
    [
        ("postgresql://user_app:p%40ss@db.internal:5432/batua", ("db.internal",), "p@ss", False),
        ("postgresql+asyncpg://user_app@10.0.0.7/batua?sslmode=require&password=x", ("10.0.0.7",), "x", True),
        ("postgresql://user_app@[fd00::1]:5432/batua?sslmode=verify-full", ("fd00::1",), "", True),
        ("postgresql://user_app@one:1,two:2/batua?sslmode=prefer", ("one", "two"), "", False),
        ("postgresql://user_app@/batua?host=/run/postgresql", ("/run/postgresql",), "", False),
        ("postgresql://%2Frun%2Fpostgresql/batua", ("/run/postgresql",), "", False),
        ("postgresql:///batua", ("localhost",), "", False),
    ],
)
def test_an_address_is_read_as_the_driver_reads_it(
    url: str, hosts: tuple[str, ...], password: str, is_encrypted: bool
) -> None:
    assert database_address(url) == Address(hosts, password, is_encrypted)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("sslmode=verify_full", "`sslmode=` is one of disable"),
        ("ssl=require", "use `sslmode=`"),
        ("sslmode=verify-full&sslrootcert=/nowhere/root.crt", "names no file that can be read: /nowhere/root.crt"),
        ("sslmode=verify-ca", "needs `sslrootcert=`"),
    ],
)
def test_words_that_never_lead_to_a_connection_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, problem: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert any(problem in found for found in tls_problems(f"postgresql://u@h/d?{words}"))


def test_words_that_can_work_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    root = tmp_path / ".postgresql" / "root.crt"
    root.parent.mkdir()
    root.touch()
    for words in ("", "?sslmode=require", "?sslmode=verify-full", f"?sslmode=verify-ca&sslrootcert={root}"):
        assert list(tls_problems(f"postgresql://u@h/d{words}")) == []


@pytest.mark.parametrize(
    ("url", "each"),
    [
        ("postgresql://a:p%40s@one:1/b?x=%2Fy", ["postgresql://a:p%40s@one:1/b?x=%2Fy"]),
        ("postgresql:///b", ["postgresql:///b"]),
        ("postgresql://a@/b?host=/run/postgresql&port=1", ["postgresql://a@/b?host=/run/postgresql&port=1"]),
        (
            "postgresql://a:p@one:1,[::1]:2,two/b",
            [f"postgresql://a:p@{host}/b" for host in ("one:1", "[::1]:2", "two")],
        ),
        (
            "postgresql://a@/b?host=one,two&port=1,2",
            [f"postgresql://a@/b?host={w}" for w in ("one&port=1", "two&port=2")],
        ),
        ("postgresql:///b?host=one,two&port=5", ["postgresql:///b?host=one&port=5", "postgresql:///b?host=two&port=5"]),
        ("postgresql:///b?host=one,two", ["postgresql:///b?host=one", "postgresql:///b?host=two"]),
    ],
)
def test_each_host_gets_a_url_of_its_own(url: str, each: list[str]) -> None:
    assert each_host(url) == each


def test_a_word_is_read_from_the_query() -> None:
    url = "postgresql://a@one,two/b?target_session_attrs=read-write"
    assert (database_word(url, "target_session_attrs"), database_word(url, "sslmode")) == ("read-write", None)


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("redis://cache", Servers("redis", (("cache", 6379),), None, None, "", {})),
        ("rediss://:p%40ss@[fd00::1]:7000/2", Servers("rediss", (("fd00::1", 7000),), None, "p@ss", "2", {})),
        (
            "sentinel://me:secret@one:26380,two/1?master=batua",
            Servers("sentinel", (("one", 26380), ("two", 26379)), "me", "secret", "1", {"master": "batua"}),
        ),
        ("amqp://me:secret@rabbit//", Servers("amqp", (("rabbit", 5672),), "me", "secret", "/", {})),
        ("amqps://me:secret@rabbit/batua", Servers("amqps", (("rabbit", 5671),), "me", "secret", "batua", {})),
    ],
)
def test_a_url_may_name_several_servers(url: str, servers: Servers) -> None:
    assert read_servers(url) == servers
    assert redis_address(url).is_encrypted == (servers.scheme in {"rediss", "amqps"})
    assert redis_address(url).hosts == tuple(host for host, _ in servers.named)
    assert list(broker_problems(url)) == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://cache", "begins with one of redis://, rediss://"),
        ("cache:6379", "begins with one of redis://, rediss://"),
        ("sentinel://one,two/0", "add ?master="),
        ("redis://one,two/0", "only sentinel:// can do"),
    ],
)
def test_a_url_that_leads_to_no_redis_is_told(url: str, problem: str) -> None:
    assert any(problem in found for found in redis_problems(url))
    assert any(problem in found for found in broker_problems(url))


def test_a_rabbitmq_is_a_broker_alone_and_has_one_address() -> None:
    assert any("begins with one of" in found for found in redis_problems("amqp://rabbit"))
    assert any("one address" in found for found in broker_problems("amqp://one,two"))
