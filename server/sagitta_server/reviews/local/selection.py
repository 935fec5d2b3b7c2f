"""What a local source names: a model, a query on it, an example, a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from sagitta_server.reviews.enums import SourceKind
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.json_text import InvalidJsonError, Json, load

_LINK = re.compile(r"/v1/sessions/(?P<session>[^/]+)/models/(?P<model>[^/]+)")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_KEYS = frozenset({"model", "query", "params"})


class SelectionKind(StrEnum):
    """How a source names its dataset."""

    MODEL = "model"
    SESSION_MODEL = "session_model"
    EXAMPLE = "example"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Selection:
    """A parsed source."""

    kind: SelectionKind
    name: str
    """Model name, `session/model`, or table."""
    example: str | None = None
    query: dict[str, Json] | None = None
    params: tuple[tuple[str, Json], ...] = ()
    ignored: tuple[str, ...] = ()
    """Keys of the source that mean nothing here."""


def parse_selection(kind: SourceKind, text: str, public_url: str) -> Selection:
    """Reads a source.

    Raises:
        ReviewError: `invalid_dataset_selection`, `source_kind_not_supported`, `invalid_link`.
    """
    if kind is SourceKind.SUPERSET_LINK:
        return _from_link(text.strip(), public_url)
    stripped = text.strip()
    if stripped.startswith("{"):
        return _from_json(stripped)
    return _named(stripped)


def _named(text: str) -> Selection:
    prefix, colon, rest = text.partition(":")
    match prefix:
        case "model" if colon:
            return _model(rest)
        case "example" if colon:
            model, slash, example = rest.partition("/")
            if not slash or not model.strip() or not example.strip():
                raise _invalid("Write example:<model>/<example>.")
            return Selection(SelectionKind.EXAMPLE, model.strip(), example.strip())
        case "table" if colon:
            if not rest.strip():
                raise _invalid("Write table:<schema>.<table>.")
            return Selection(SelectionKind.TABLE, rest.strip())
        case _:
            return _model(text)


def _model(name: str) -> Selection:
    name = name.strip()
    if not name or "://" in name:
        raise _invalid("Name a model: model:<name>, <session>/<model>, example:<model>/<example>, or a JSON object.")
    kind = SelectionKind.SESSION_MODEL if "/" in name else SelectionKind.MODEL
    return Selection(kind, name)


def _from_json(text: str) -> Selection:
    try:
        document: Any = load(text)
    except InvalidJsonError as error:
        raise _invalid("The selection starts like JSON and is none.") from error
    name = document.get("model")
    query, params = document.get("query"), document.get("params")
    if not isinstance(name, str) or not name.strip():
        raise _invalid('A JSON selection names its model: {"model": "...", "query": {...}, "params": {...}}.')
    if query is not None and not isinstance(query, dict):
        raise _invalid("query must be a query object.")
    if params is not None and not isinstance(params, dict):
        raise _invalid("params must be an object of names and values.")
    named = _named(name)
    if named.kind not in {SelectionKind.MODEL, SelectionKind.SESSION_MODEL}:
        raise _invalid("model must name a model.")
    ignored = tuple(sorted(set(document) - _KEYS))
    return Selection(named.kind, named.name, None, query, tuple((params or {}).items()), ignored)


def _from_link(text: str, public_url: str) -> Selection:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError as error:
        raise ReviewError("invalid_link", "This is not a link.") from error
    own = urlsplit(public_url).hostname if public_url else None
    match = _LINK.search(parts.path)
    if match is None or parts.scheme not in {"http", "https"} or host not in {own, *_LOOPBACK} or parts.username:
        raise ReviewError(
            "source_kind_not_supported",
            "The local environment takes links of this gateway's models (/v1/sessions/<s>/models/<m>), "
            "not links of a Superset; choose an environment that is one.",
        )
    return Selection(SelectionKind.SESSION_MODEL, f"{match['session']}/{match['model']}")


def _invalid(message: str) -> ReviewError:
    return ReviewError("invalid_dataset_selection", message)
