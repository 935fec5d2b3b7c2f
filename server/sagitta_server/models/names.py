"""The names by which models are reached."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s.\-_]+")
_VALID = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED = frozenset(
    {
        "__default__",
        "admin",
        "default",
        "information_schema",
        "model",
        "mysql",
        "obml",
        "obsl",
        "obsql",
        "performance_schema",
        "pg_catalog",
        "public",
        "root",
        "sqlite_master",
        "sys",
    }
)
"""Names that mean something else to a client."""


def normalised(name: str | None) -> str | None:
    """The addressing form of a name; None when nothing valid is left or the name is reserved.

    Lower case, runs of blanks, dots, dashes and underscores as one underscore, no `_obml` at the end.
    """
    if not name:
        return None
    text = _SEPARATORS.sub("_", name.lower()).strip("_").removesuffix("_obml")
    return text if _VALID.fullmatch(text) and text not in RESERVED else None
