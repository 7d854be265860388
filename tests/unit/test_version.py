"""There is one version, pyproject.toml's, and whatever says a version says that one."""

from __future__ import annotations

import tomllib
from importlib import metadata

import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from infra.local.layout import CHECKOUT
from shared import version
from tests.support.apps import application, merchant_app_settings, user_app_settings


@pytest.fixture
def stated() -> str:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def test_the_version_is_that_of_pyproject(stated: str) -> None:
    assert stated == version.VERSION


def test_a_source_tree_that_is_not_installed_has_the_same_version(stated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_found)
    assert version._version() == stated


def test_the_command_line_says_it(stated: str) -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"{stated}\n")


def test_the_services_say_it_in_their_openapi_documents(stated: str) -> None:
    nowhere = ("postgresql://nobody@127.0.0.1:9/none", "redis://127.0.0.1:9/0")
    for settings in (user_app_settings(*nowhere), merchant_app_settings(*nowhere)):
        with application(settings) as service:
            assert service.openapi()["info"]["version"] == stated
