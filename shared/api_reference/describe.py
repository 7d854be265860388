"""Complete an OpenAPI document: describe its properties, parameters and tags, and name its operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the names of an API mean. One name has one meaning; `of_one_schema` lists the exceptions."""

    tags: Mapping[str, str]
    properties: Mapping[str, str]
    parameters: Mapping[str, str]
    of_one_schema: Mapping[tuple[str, str], str] = field(default_factory=dict)


def publish(app: FastAPI, *, description: str, complete: Callable[[dict[str, Any]], None]) -> None:
    """Answer at `/openapi.json` what FastAPI derives from the routes, after `complete` has changed it in place."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(
                title=app.title,
                version=app.version,
                openapi_version="3.1.0",
                description=description,
                servers=[{"url": "/", "description": "This service"}],
                routes=app.routes,
            )
            complete(app.openapi_schema)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way to customise it


def operation_id(route: APIRoute) -> str:
    """The route's function name in camel case: `send_money` is `sendMoney`. Names are unique within a service."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation of the document with its path and method."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                yield path, method, operation


def describe(document: dict[str, Any], vocabulary: Vocabulary) -> None:
    """Add the descriptions that the document lacks, and list the tags it uses."""
    used: set[str] = set()
    for _, _, operation in operations(document):
        operation["tags"] = list(dict.fromkeys(operation.get("tags", [])))
        used.update(operation["tags"])
        for parameter in operation.get("parameters", []):
            _add(parameter, vocabulary.parameters.get(parameter["name"]))
            if parameter["name"] == "Idempotency-Key":
                parameter["required"] = True
    document["tags"] = [
        {"name": name, "description": meaning} for name, meaning in vocabulary.tags.items() if name in used
    ]
    for schema, described in document["components"]["schemas"].items():
        for name, value in described.get("properties", {}).items():
            _add(value, vocabulary.of_one_schema.get((schema, name), vocabulary.properties.get(name)))


def _add(described: dict[str, Any], meaning: str | None) -> None:
    if meaning is not None:
        described.setdefault("description", meaning)
