"""The documents made from code say what the code says, and name every setting."""

from __future__ import annotations

import re
from itertools import chain
from xml.etree import ElementTree

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.documentation.__main__ import out_of_date
from infra.documentation.configuration import configuration_page
from infra.documentation.picture import architecture_picture
from infra.documentation.settings import READERS, NoDescription, settings_of
from infra.local.layout import CHECKOUT

_VARIABLE = re.compile(r"\b(?:BATUA|DUMMY_BANK)_[A-Z][A-Z_]*[A-Z]\b")
SVG = "{http://www.w3.org/2000/svg}"
SET_BY_BATUA_ITSELF = {
    "BATUA_HA_LISTEN",
    "BATUA_POOLER_PORT",
    "BATUA_POSTGRES_PASSWORD_POSTGRES",
    "BATUA_PRIMARY_HOST",
    "BATUA_PRIMARY_PORT",
    "BATUA_PROCESS",
    "BATUA_TESTS_ENGINE",
    "BATUA_TESTS_POOLER",
    "BATUA_TESTS_POSTGRES",
    "BATUA_TESTS_REDIS",
    "BATUA_TESTS_SLOWNESS",
    "BATUA_TESTS_STORM_DATABASE",
    "BATUA_TESTS_TEMPLATE",
}


def test_the_generated_documents_are_up_to_date() -> None:
    assert out_of_date() == []


def test_the_picture_can_be_read_by_machines_and_on_light_and_dark_pages() -> None:
    picture = ElementTree.fromstring(architecture_picture())
    assert picture.get("role") == "img"
    assert "prefers-color-scheme: dark" in architecture_picture()
    titles = [node.text for node in picture.iter(f"{SVG}text") if node.get("class") == "title"]
    assert {"user_app", "merchant_app", "bank_webhook", "withdraw_worker", "scheduler"} < set(titles)


def test_every_variable_that_the_checkout_names_is_documented() -> None:
    folders = ("services", "shared", "infra", "tests", "bench", "chaos", "docs")
    files = [file for folder in folders for ending in ("py", "md") for file in (CHECKOUT / folder).rglob(f"*.{ending}")]
    files += [CHECKOUT / name for name in ("Makefile", "docker-compose.yml", "README.md", "infra/Dockerfile")]
    named = {name for file in files for name in _VARIABLE.findall(file.read_text(encoding="utf-8"))}
    documented = set(re.findall(r"^\| `([A-Z_]+)`", configuration_page(), flags=re.MULTILINE))
    assert "BATUA_DATABASE_URL" in named
    assert named - documented - SET_BY_BATUA_ITSELF == set()


class Undescribed(BaseSettings):
    """Has a field that says nothing."""

    model_config = SettingsConfigDict(env_prefix="BATUA_")

    depth: int = 3


def test_a_setting_without_a_description_is_refused() -> None:
    with pytest.raises(NoDescription, match=Undescribed.model_config["env_prefix"] + "DEPTH"):
        settings_of(Undescribed)


def test_no_process_reads_its_own_source_at_its_start() -> None:
    read = {base for kind in chain(*READERS.values()) for base in kind.__mro__ if issubclass(base, BaseSettings)}
    nested = {field.annotation for kind in read for field in kind.model_fields.values()}
    models = read | {each for each in nested if isinstance(each, type) and issubclass(each, BaseModel)}
    assert [each for each in models if each.model_config.get("use_attribute_docstrings")] == []
