"""Names: near ones for a hint, and the name by which a model is addressed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rapidfuzz import fuzz, process, utils

_MAX_SUGGESTIONS = 3
_CUTOFF = 60.0
_MAX_LENGTH = 200

MODEL_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED_MODEL_NAMES: Final = frozenset(
    [
        *("__default__", "obsl", "obml", "obsql", "model", "default", "public", "admin", "root"),
        *("information_schema", "pg_catalog", "sqlite_master", "mysql", "sys", "performance_schema"),
    ]
)


def near(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """Returns at most three candidates that look like the name, the nearest first."""
    if not name or len(name) > _MAX_LENGTH:
        return ()
    found = process.extract(
        name,
        list(candidates),
        scorer=fuzz.ratio,
        processor=utils.default_process,
        limit=_MAX_SUGGESTIONS,
        score_cutoff=_CUTOFF,
    )
    return tuple(match[0] for match in found)


def did_you_mean(suggestions: tuple[str, ...], otherwise: str) -> str:
    """Returns the hint for an unknown name."""
    return f"Did you mean '{suggestions[0]}'?" if suggestions else otherwise


def normalised_words(name: str) -> str:
    """Returns a name in lower case, its words joined by single underscores, without a trailing `_obml`."""
    text = re.sub(r"[\s.\-]+", "_", name.strip().lower())
    return re.sub(r"_+", "_", text).strip("_").removesuffix("_obml")


def normalise_model_name(name: str) -> str | None:
    """Returns the name by which a model is addressed, from its `name:` or its file's stem.

    Lower case; blanks, dots and dashes become underscores; one trailing `_obml` is dropped.
    None when nothing usable is left or the name is reserved.
    """
    text = normalised_words(name)
    return text if MODEL_NAME.fullmatch(text) and text not in RESERVED_MODEL_NAMES else None
