"""The published contracts can be read: everything in them is described and has a short, unique name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from infra.documentation.openapi import SERVICES, openapi_documents

Document = dict[str, Any]


@cache  # to make one costs as much as twenty of these tests
def text_of(service: str) -> str:
    return openapi_documents()[f"openapi/{service}.json"]()


def document_of(service: str) -> Document:
    document: Document = json.loads(text_of(service))
    return document


@pytest.fixture(params=SERVICES)
def document(request: pytest.FixtureRequest) -> Document:
    return document_of(request.param)


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_every_property_is_described(document: Document) -> None:
    silent = [
        f"{schema}.{name}"
        for schema, described in document["components"]["schemas"].items()
        for name, value in described.get("properties", {}).items()
        if not value.get("description")
    ]
    assert silent == []


def test_every_parameter_and_operation_is_described(document: Document) -> None:
    silent = [name for name, operation in operations(document) if not operation.get("description")]
    silent += [
        f"{name}: {parameter['name']}"
        for name, operation in operations(document)
        for parameter in operation.get("parameters", [])
        if not parameter.get("description")
    ]
    assert silent == []


def test_operation_ids_are_short_and_unique(document: Document) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z][a-zA-Z]{2,30}", name)] == []


def test_every_tag_is_described_and_used_once_per_operation(document: Document) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    for name, operation in operations(document):
        assert len(set(operation["tags"])) == len(operation["tags"]), name
        assert set(operation["tags"]) <= described, name


def test_amounts_say_that_they_are_paise(document: Document) -> None:
    amounts = [
        value["description"]
        for described in document["components"]["schemas"].values()
        for name, value in described.get("properties", {}).items()
        if name in {"amount", "balance", "held", "available", "balance_after"}
    ]
    assert [text for text in amounts if "aise" not in text] == []


def test_an_idempotency_key_is_required_where_it_is_taken() -> None:
    document = document_of("user_app")
    keyed = {
        name: parameter["required"]
        for name, operation in operations(document)
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    }
    assert set(keyed) == {
        "POST /api/v1/transfers",
        "POST /api/v1/transfers/bulk",
        "POST /api/v1/on-ramps",
        "POST /api/v1/withdrawals",
        "POST /api/v1/system/initial-funds",
    }
    assert all(keyed.values())
