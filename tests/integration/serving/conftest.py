"""user_app as two processes on one port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.apps import user_app_settings
from tests.support.processes import Processes, running_processes


@pytest.fixture(scope="module")
def two(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Two processes, ready. The tests of a module share them and leave them running."""
    log = tmp_path_factory.mktemp("two") / "user_app.log"
    with running_processes("user_app", user_app_settings(database_url, redis_url), log) as service:
        yield service


@pytest.fixture
def mortal(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Two processes of one test's own, to be hurt and stopped."""
    log = tmp_path_factory.mktemp("mortal") / "user_app.log"
    with running_processes("user_app", user_app_settings(database_url, redis_url), log) as service:
        yield service
