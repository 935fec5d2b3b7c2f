"""Texts of callers must be characters: half a surrogate pair cannot be written to any wire."""

from __future__ import annotations

import json
import re

from sagitta_server.errors import Reason, ServiceError

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def require_characters(text: str) -> None:
    """Refuses a text in which an escape stands for half a surrogate pair.

    Raises:
        ServiceError: INVALID_REQUEST.
    """
    if _ESCAPED_SURROGATE.search(text) is None:
        return
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ServiceError(
            Reason.INVALID_REQUEST, "The text holds half of a surrogate pair (such as \\ud800), which is no character."
        ) from None
