"""JSON answers."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response


def json_response(body: Any, status: int = 200) -> Response:
    """An answer whose body is ready to be written."""
    return Response(orjson.dumps(body), status, media_type="application/json")
