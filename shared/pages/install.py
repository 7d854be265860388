"""Give an application its pages."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import APIRoute

from shared.pages import static_files
from shared.pages.error_pages import add_error_pages
from shared.pages.rendering import Renderer, environment_of
from shared.pages.site import Site


def install_pages(app: FastAPI, site: Site) -> None:
    """Add the routes, templates and static files of `site`, and answer a browser's errors with pages.

    Call it before the first request: the origins to which forms may lead become part of the security headers.
    """
    app.state.renderer = Renderer(site.shell, environment_of(site.templates))
    app.state.form_targets.extend(site.form_targets)
    add_error_pages(app)
    for router in (static_files.router, *site.routers):
        for route in router.routes:
            if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
                route.methods.add("HEAD")  # RFC 9110, 9.1: a server supports both
        app.include_router(router, include_in_schema=False)
