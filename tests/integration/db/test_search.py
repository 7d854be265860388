"""What a search compares is the same in a database of any locale: nothing but case and accents is left out."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.ids import new_id
from shared.migrations import runner
from tests.support.own_databases import migrated_database

LOCALES = {
    "C": "LOCALE_PROVIDER libc LOCALE 'C'",
    "libc C.UTF-8": "LOCALE_PROVIDER libc LOCALE 'C.UTF-8'",
    "builtin C.UTF-8": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'",
    "builtin PG_UNICODE_FAST": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'",
}
SAME = [
    ("José", "Jose\u0301", "JOSÉ", "jose", "\uff4a\uff4f\uff53\uff45"),
    ("ÉMILIE", "émilie", "Emilie"),
    ("\u0958\u0932\u092e", "\u0915\u093c\u0932\u092e"),
    ("Straße", "STRASSE", "STRAẞE"),
    ("İstanbul", "istanbul", "ISTANBUL", "\u0131stanbul"),
    ("Ørsted", "orsted", "ØRSTED"),
    ("ΟΔΥΣΣΕΥΣ", "Οδυσσεύς", "οδυσσευσ"),
    ("Фёдор", "ФЕДОР"),
    ("Łódź", "lodz"),
    ("Ægir þór", "aegir thor"),
    ("Nguyễn Đức", "nguyen duc"),
    ("a\u00adb\u200bc\u2060d\ufeff", "abcd"),
    ("क्\u200dष", "क्ष"),
    ("a\u00a0b", "a b"),
    ("ﬁn", "fin"),
]
DIFFERENT = [
    ("की", "कि", "क"),  # vowel signs are letters
    ("क़लम", "कलम"),  # so is the nukta
    ("राम", "रम", "रामा"),
    ("தமிழ்", "தமிழ"),
    ("آب", "اب"),
    ("が", "か"),
    ("o", "a"),
]


@pytest.fixture(scope="module")
def database_urls() -> Iterator[list[str]]:
    """A migrated database of each locale. The tests of the module share them and change nothing there."""
    with ExitStack() as stack:
        made = (migrated_database(f"TEMPLATE template0 ENCODING 'UTF8' {locale}") for locale in LOCALES.values())
        yield [stack.enter_context(each) for each in made]


@pytest.fixture
async def databases(database_urls: list[str]) -> AsyncIterator[list[asyncpg.Connection]]:
    """A connection to each of them."""
    connections = [await asyncpg.connect(url) for url in database_urls]
    yield connections
    for connection in connections:
        await connection.close()


async def folded(connection: asyncpg.Connection, texts: list[str]) -> list[str]:
    rows = await connection.fetch(
        "SELECT search_fold(t) FROM unnest($1::text[]) WITH ORDINALITY u (t, n) ORDER BY n", texts
    )
    return [row[0] for row in rows]


async def test_what_looks_the_same_folds_to_the_same_in_every_locale(databases: list[asyncpg.Connection]) -> None:
    for connection in databases:
        for spellings in SAME:
            assert len(set(await folded(connection, list(spellings)))) == 1, spellings
        for words in DIFFERENT:
            assert len(set(await folded(connection, list(words)))) == len(words), words


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), max_size=20))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_locale_folds_every_text_alike(databases: list[asyncpg.Connection], texts: list[str]) -> None:
    first, *others = [await folded(connection, texts) for connection in databases]
    assert all(other == first for other in others)
    assert await folded(databases[0], first) == first, "folding twice changes nothing"
    assert await folded(databases[0], [unicodedata.normalize("NFD", text) for text in texts]) == first
    assert await folded(databases[0], [unicodedata.normalize("NFC", text) for text in texts]) == first


async def test_a_search_for_people_asks_the_indexes_in_every_locale(databases: list[asyncpg.Connection]) -> None:
    for connection in databases:
        await connection.execute("SET enable_seqscan = off")
        for sought in ("emi", "क़ल"):
            plan = await connection.fetch(
                "EXPLAIN SELECT id FROM users WHERE search_grams(search) @> search_grams(search_fold($1::text))", sought
            )
            assert "ix_users_search" in str(plan)


async def test_names_from_before_are_spelled_and_folded(empty_database_url: str) -> None:
    await asyncio.to_thread(runner.upgrade, empty_database_url, "0012")
    connection = await asyncpg.connect(empty_database_url.replace("+asyncpg", ""))
    people, shop = [new_id() for _ in range(2500)], new_id()
    await connection.execute(
        """
        INSERT INTO owners (id, kind, email, password_hash, pin_hash, created_at)
        SELECT id, CASE id WHEN $2 THEN 'merchant' ELSE 'user' END, id::text, '', '', now() FROM unnest($1::uuid[]) id
        """,
        [*people, shop],
        shop,
    )
    await connection.execute(
        "INSERT INTO users (id, first_name, last_name) SELECT id, $2, 'É' FROM unnest($1::uuid[]) id",
        people,
        "Jose\u0301",
    )
    await connection.execute(
        "INSERT INTO merchants (id, business_name, category, timezone) VALUES ($1, $2, $3, 'UTC')",
        *(shop, "Cafe\u0301", "the\u0301"),
    )
    await connection.executemany(
        """INSERT INTO accounts (id, owner_id, kind, name, currency, created_at)
           VALUES ($1, $2, 'pot', $3, 'INR', now())""",
        [(new_id(), people[0], name) for name in ("José", "Jose\u0301", "The\u0301")],
    )
    await asyncio.to_thread(runner.upgrade, empty_database_url)
    assert [tuple(row) for row in await connection.fetch("SELECT DISTINCT first_name, search FROM users")] == [
        ("José", "jose e")
    ]
    shops = await connection.fetch("SELECT business_name, category, search FROM merchants")
    assert [tuple(row) for row in shops] == [("Café", "thé", "cafe")]
    names = await connection.fetch("SELECT name FROM accounts WHERE kind = 'pot' ORDER BY id")
    assert [row[0] for row in names] == ["José", "Jose\u0301", "Thé"], "two pots of one owner keep two names"
    await connection.close()
