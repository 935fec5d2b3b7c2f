"""Which methods a path takes: the `Allow` header of a 405 names all of them, not only those of the first route."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI

_PARAMETER = re.compile(r"\\\{[^}]*\\\}")


def allowed_methods(app: FastAPI, path: str) -> str:
    """The methods that any documented path of this form takes, as the header lists them; empty where there is none."""
    if not hasattr(app.state, "methods"):
        app.state.methods = _table(app.openapi())
    found = {method for pattern, methods in app.state.methods if pattern.fullmatch(path) for method in methods}
    return ", ".join(sorted(found))


def _table(document: dict[str, Any]) -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    return [
        (re.compile(_PARAMETER.sub("[^/]+", re.escape(path))), tuple(method.upper() for method in operations))
        for path, operations in document["paths"].items()
    ]
