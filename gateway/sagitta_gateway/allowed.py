"""Which methods a path takes: the `Allow` header names those of every route that fits, not only of the first."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import Route


def allowed_methods(app: FastAPI, path: str) -> str:
    """The methods of a path as the header lists them; empty where there is no such path. HEAD comes with GET."""
    found = {
        method
        for route in app.routes
        if isinstance(route, Route) and route.include_in_schema and route.path_regex.fullmatch(path)
        for method in route.methods or ()
    }
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))
