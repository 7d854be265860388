from __future__ import annotations

import re
from collections.abc import Iterator

from fastapi import FastAPI

from services.merchant_app.main import create_app as create_merchant_app
from services.user_app.main import create_app as create_user_app
from shared.http import keyed_requests
from shared.idempotency.keyed_request import Operation
from tests.support.apps import merchant_app_settings, user_app_settings

NO_DATABASE, NO_REDIS = "postgresql+asyncpg://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0"


def routes_with_a_key(app: FastAPI) -> Iterator[tuple[str, str, int]]:
    """Method, route and status of success of every route that takes an `Idempotency-Key`."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ())):
                status = min(int(status) for status in operation["responses"])
                yield method.upper(), re.sub(r"{\w+}", "{id}", path), status


def test_every_route_with_a_key_is_an_operation_with_its_status() -> None:
    operations = [each for each in vars(keyed_requests).values() if isinstance(each, Operation)]
    user_app = create_user_app(user_app_settings(NO_DATABASE, NO_REDIS))
    merchant_app = create_merchant_app(merchant_app_settings(NO_DATABASE, NO_REDIS))
    routes = {*routes_with_a_key(user_app), *routes_with_a_key(merchant_app)}
    assert routes == {(each.method, each.route, each.success_status) for each in operations}
