"""The least that FastAPI can do: one route, one word. What Batua's reads are compared with."""

from __future__ import annotations

from fastapi import FastAPI


def create_app() -> FastAPI:
    """The application."""
    app = FastAPI()

    @app.get("/")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app
