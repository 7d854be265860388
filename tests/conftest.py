"""One real PostgreSQL and one real Redis for the whole run; a clone of the migrated database per worker."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import shutil
import signal
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, TextIO

import asyncpg
import hypothesis
import pytest
import pytest_timeout
from httpx._config import DEFAULT_TIMEOUT_CONFIG, create_ssl_context
from httpx._transports import default
from redis.asyncio import Redis
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.local.environment import METRICS_PORT_OFFSETS
from infra.local.layout import PROCESSES
from infra.local.ports import is_free
from infra.local.slowness import measure
from infra.local.stack import Stack
from shared import clock
from shared.config import DatabaseEngine, DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.ids import new_token
from shared.migrations import runner
from shared.serving.cores import available_cores
from tests.support.deadlines import SLOWNESS, deadline, patience
from tests.support.groups import is_last_of_its_group, keep_modules_together
from tests.support.pooler import pooler_before, through
from tests.support.service_limits import service_limits
from tests.support.shared_stacks import end_shared_stacks
from tests.support.tracing_of_money import pause_tracing, trace_once, trace_only_money

POSTGRES = "BATUA_TESTS_POSTGRES"
"""Superuser's URL of the server the tests clone databases on; set once by the controlling process."""
REDIS = "BATUA_TESTS_REDIS"
POOLER = "BATUA_TESTS_POOLER"
"""Any value: tests reach their databases through a PgBouncer. The controlling process makes it the pooler's port."""
ENGINE = "BATUA_TESTS_ENGINE"
"""What BATUA_DATABASE_ENGINE is of a server that was there before: `python -m infra.engines` sets both."""
TEMPLATE = "BATUA_TESTS_TEMPLATE"
"""The migrated database that tests clone, where it is not the one of all the others on that server."""
DEEP = Path(__file__).parent / "deep"
PORT_OFFSETS = [process.port_offset for process in PROCESSES.values() if process.port_offset is not None]
PORT_OFFSETS += METRICS_PORT_OFFSETS.values()

# How long one example takes says how busy the machine is, and nothing about a rule.
hypothesis.settings.register_profile("batua", deadline=None)
hypothesis.settings.load_profile("batua")

_servers = pytest.StashKey[Stack]()
_claims: list[TextIO] = []
_pooler = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> Any:
    """Stretch what each test may take in all, whether by the configuration or by a mark."""
    stretched = settings._replace(timeout=patience(settings.timeout))
    return pytest_timeout.pytest_timeout_set_timer(item, stretched)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: while a test waits for a stack or for a slow bank, another one works."""
    return available_cores() + 1


def pytest_configure(config: pytest.Config) -> None:
    """Measure the machine, and start the servers before the workers are, unless only pure tests were asked for."""
    is_worker = hasattr(config, "workerinput")
    _listen_to_interrupts()
    gc.disable()  # until the tests are collected: it took a third of what that costs
    if is_worker:
        trace_once(config)
    else:
        os.environ[SLOWNESS] = f"{median(measure() for _ in range(5)):.2f}"
        os.environ.update(service_limits())
    _let_http_wait()
    _read_authorities_once()
    only_pure = all("tests/unit" in argument for argument in config.args)
    if is_worker or only_pure or REDIS in os.environ:
        return
    settings = {"BATUA_READY_SECONDS": f"{deadline(60):.0f}"}
    stack = Stack(Path(tempfile.mkdtemp(prefix="batua-tests-")), free_port_base(), settings)
    config.stash[_servers] = stack
    if POSTGRES in os.environ:
        stack.start({"redis"})
    else:
        stack.start({"postgres", "redis"})
        os.environ[POSTGRES] = stack.database_url("postgres", "postgres")
        asyncio.run(_keep_off_the_disk())
    os.environ[REDIS] = stack.environment()["BATUA_REDIS_URL"]
    if os.environ.get(POOLER):
        port = free_port_base() + (PROCESSES["postgres"].port_offset or 0)
        _pooler.enter_context(pooler_before(os.environ[POSTGRES], stack.layout.home / "pooler", port))
        os.environ |= {POOLER: str(port), "BATUA_DATABASE_POOLER": "transaction"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Before anything is collected."""
    pause_tracing(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Before the test's fixtures."""
    trace_only_money(item)


@pytest.hookimpl(trylast=True)  # after the fixtures that use the stack
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A worker of xdist runs a group as a whole. Without xdist groups alternate, and only the last test ends stacks."""
    if nextitem is None or (hasattr(item.config, "workerinput") and is_last_of_its_group(item, nextitem)):
        end_shared_stacks()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What takes an hour runs where it is named."""
    is_named = any(DEEP.name in argument for argument in config.args)
    return True if collection_path == DEEP and not is_named else None


@pytest.hookimpl(tryfirst=True)  # before xdist looks which tests belong together
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After the conftest of the browser's tests, which makes them one group."""
    keep_modules_together(items)


def _listen_to_interrupts() -> None:
    """A shell lets what it runs in the background ignore SIGINT. Processes that tests interrupt would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _let_http_wait() -> None:
    """Requests of httpx that name no timeout wait as long as this machine needs, instead of for five seconds."""
    for part in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, part, deadline())


def _read_authorities_once() -> None:
    """Clients of httpx that name no authorities share what they verify with: to read it costs each 17 ms of CPU."""
    shared = cache(lambda _files, trust_env: create_ssl_context(trust_env=trust_env))

    def created(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if verify is not True or cert is not None:
            return create_ssl_context(verify, cert, trust_env)
        return shared((os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")), trust_env)

    setattr(default, "create_ssl_context", created)  # noqa: B010 - mypy knows no other way


async def _keep_off_the_disk() -> None:
    """What these tests commit need not outlive the machine, and a new database is there in a tenth of the time.

    The whole stacks that tests start, and kill, keep what `make up` has.
    """
    administrator = await asyncpg.connect(os.environ[POSTGRES])
    await administrator.execute("ALTER SYSTEM SET fsync = off")
    await administrator.execute("ALTER SYSTEM SET full_page_writes = off")
    await administrator.execute("SELECT pg_reload_conf()")
    await administrator.close()


def pytest_collection_finish() -> None:
    """What was imported stays, and is left out of every later look for garbage."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started, and leave no directory behind."""
    end_shared_stacks()  # where the run was interrupted
    stack = config.stash.get(_servers, None)
    if stack is not None:
        _pooler.close()
        stack.stop()
        shutil.rmtree(stack.layout.home, ignore_errors=True)
        os.environ.pop(POSTGRES, None)
        os.environ.pop(REDIS, None)
    while _claims:
        _claims.pop().close()


@pytest.fixture
def midday() -> Iterator[None]:
    """The clock of this process begins at noon of 20 November 2026 in India, so that no day ends during the test."""
    noon, began = datetime(2026, 11, 20, 6, 30, tzinfo=UTC), time.monotonic()
    with clock.reading(lambda: noon + timedelta(seconds=time.monotonic() - began)):
        yield


@pytest.fixture(scope="session", name="free_port_base")
def free_port_base_fixture() -> Callable[[], int]:
    """Finds room for one more stack."""
    return free_port_base


def free_port_base() -> int:
    """A port base below the ephemeral range whose ports are free, and which no other worker or run is given.

    It is this process's until it ends: the stack it is for takes seconds to listen on its ports.
    """
    for base in range(20000, 30000, 100):
        claim = (Path(tempfile.gettempdir()) / f"batua-tests-{os.getuid()}-{base}.lock").open("w", encoding="ascii")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            continue
        _claims.append(claim)
        if all(is_free(base + offset) for offset in PORT_OFFSETS):
            return base
    raise RuntimeError("no hundred free ports between 20000 and 30000")


def _on(database: str) -> str:
    return make_url(os.environ[POSTGRES]).set(database=database).render_as_string(hide_password=False)


def _for_tests(url: str) -> str:
    """The way that tests take to a database of theirs."""
    return through(url, int(os.environ[POOLER])) if os.environ.get(POOLER) else url


async def _clone(name: str) -> str:
    """A new database like the migrated template, which is made first if it is not there; its URL."""
    administrator = await asyncpg.connect(os.environ[POSTGRES])
    if _engine() == "distributed":  # it may know no templates
        await administrator.execute(f'CREATE DATABASE "{name}"')
        await administrator.close()
        await asyncio.to_thread(runner.upgrade, _on(name), engine=_engine())
        return _on(name)
    try:
        # One worker makes the template, the others wait for it.
        await administrator.execute("SELECT pg_advisory_lock(1)")
        template = os.environ.get(TEMPLATE, "batua_template")
        if not await administrator.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", template):
            await _make_template(administrator, template)
        # By default each page goes through the log as well, which takes three times the CPU.
        await administrator.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        await administrator.execute("SELECT pg_advisory_unlock(1)")
    finally:
        await administrator.close()
    return _on(name)


def _engine() -> DatabaseEngine:
    return "distributed" if os.environ.get(ENGINE) == "distributed" else "postgres"


async def _make_template(administrator: asyncpg.Connection, name: str) -> None:
    being_made = f"{name}_being_made"
    await administrator.execute(f'CREATE DATABASE "{being_made}"')
    await asyncio.to_thread(runner.upgrade, _on(being_made))
    await administrator.execute(f'ALTER DATABASE "{being_made}" RENAME TO "{name}"')


async def _drop(name: str) -> None:
    administrator = await asyncpg.connect(os.environ[POSTGRES])
    try:
        await administrator.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await administrator.close()


@pytest.fixture(scope="session")
def database_url(worker_id: str) -> Iterator[str]:
    """This worker's migrated database. Tests share it, so each makes its own owners and accounts."""

    name = f"batua_{worker_id}_{new_token(4).lower()}"
    yield _for_tests(asyncio.run(_clone(name)))
    asyncio.run(_drop(name))


@pytest.fixture
async def fresh_database_url(worker_id: str) -> AsyncIterator[str]:
    """A migrated database for one test alone: for what counts every row, or breaks some."""
    name = f"fresh_{worker_id}_{new_token(4).lower()}"
    yield _for_tests(await _clone(name))
    await _drop(name)


@pytest.fixture
async def empty_database_url(worker_id: str) -> AsyncIterator[str]:
    """A database without a schema."""
    name = f"empty_{worker_id}_{new_token(4).lower()}"
    administrator = await asyncpg.connect(os.environ[POSTGRES])
    await administrator.execute(f'CREATE DATABASE "{name}"')
    await administrator.close()
    yield _on(name)
    await _drop(name)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the worker's database, with room for a race."""
    engine = create_engine(
        DatabaseSettings(database_url=database_url, database_pool_size=20, database_pool_timeout_seconds=deadline(30)),
        application_name="tests",
    )
    yield engine
    await engine.dispose()


@pytest.fixture
def sessionmaker(engine: AsyncEngine) -> SessionMaker:
    """Sessions on the worker's database; what a test commits stays."""
    return create_sessionmaker(engine)


@pytest.fixture
async def fresh_sessionmaker(fresh_database_url: str) -> AsyncIterator[SessionMaker]:
    """Sessions on a database of this test's own."""
    settings = DatabaseSettings(database_url=fresh_database_url, database_pool_timeout_seconds=deadline(30))
    engine = create_engine(settings, application_name="tests")
    yield create_sessionmaker(engine)
    await engine.dispose()


@pytest.fixture(scope="session")
def redis_url(worker_id: str) -> str:
    """This worker's own database of the shared Redis."""
    number = int(worker_id.removeprefix("gw")) + 1 if worker_id.startswith("gw") else 1
    return make_url(os.environ[REDIS]).set(database=str(number)).render_as_string(hide_password=False)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client on this worker's Redis database, emptied first."""
    client = Redis.from_url(redis_url)
    await client.flushdb()
    yield client
    await client.aclose()
