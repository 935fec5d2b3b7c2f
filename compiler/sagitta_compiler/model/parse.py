"""Model text to `ModelDocument`: what can be read is kept, what cannot is reported and left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.documents import findings
from sagitta_compiler.model.document import ModelDocument
from sagitta_compiler.source import Document, Path, read_document

SECTIONS = ("dataObjects", "dimensions", "measures", "metrics")
_CODES = {
    "dataObjects": "DATA_OBJECT_PARSE_ERROR",
    "dimensions": "DIMENSION_PARSE_ERROR",
    "measures": "MEASURE_PARSE_ERROR",
    "metrics": "METRIC_PARSE_ERROR",
    "filters": "FILTER_PARSE_ERROR",
    "examples": "EXAMPLES_PARSE_ERROR",
    "settings": "INVALID_SETTING",
    "exposeCounts": "INVALID_EXPOSE_COUNTS",
    "countLabelPattern": "INVALID_COUNT_LABEL_PATTERN",
}
_MAX_ROUNDS = 4
MAX_FINDINGS = 200
"""How many mistakes of shape are reported and worked around."""


@dataclass(frozen=True)
class ParsedModel:
    """A model text as read.

    `broken` holds the paths of what could not be read and is missing from the document: its names exist all the same,
    so nothing that refers to them is reported.
    """

    source: Document
    document: ModelDocument
    broken: frozenset[Path]
    diagnostics: tuple[tuple[Diagnostic, Path], ...]
    readable: bool = True
    """False when the text is no mapping at all."""


def parse_model(text: str | Mapping[str, Any], name: str = "model") -> ParsedModel:
    """Reads a model's text or mapping; never raises on bad input."""
    source = read_document(text, name)
    found: list[tuple[Diagnostic, Path]] = [(d, ()) for d in source.diagnostics]
    if found:
        return ParsedModel(source, ModelDocument(), frozenset(), tuple(found), readable=False)
    if not isinstance(source.root, dict):
        found.append((_no_mapping(source.root), ()))
        return ParsedModel(source, ModelDocument(), frozenset(), tuple(found), readable=False)
    document, broken = _validate(source.root, found)
    return ParsedModel(source, document, frozenset(broken), tuple(found))


def _no_mapping(root: Any) -> Diagnostic:
    kind = "empty" if root is None else "a list" if isinstance(root, list) else "a single value"
    hint = "Start with `version: 1.0` and `dataObjects:`."
    return Diagnostic("SCHEMA_VALIDATION", f"A model is a mapping, and this text is {kind}", "(root)", hint=hint)


def _too_many(count: int) -> Diagnostic:
    message = f"There are {count:,} mistakes in the shape of the text; the first {MAX_FINDINGS} are shown"
    return Diagnostic("SCHEMA_VALIDATION", message, "(root)", hint="Correct these first.")


def section_code(path: Path) -> str:
    """Returns the code of a mistake in the document's shape, by where it is."""
    if path[:1] == ("dataObjects",) and path[2:3] == ("refresh",):
        return "REFRESH_PARSE_ERROR"
    return _CODES.get(str(path[0]), "SCHEMA_VALIDATION") if path else "SCHEMA_VALIDATION"


def _validate(root: dict[str, Any], found: list[tuple[Diagnostic, Path]]) -> tuple[ModelDocument, set[Path]]:
    """Validates the whole at once; what fails is reported the first time, cut out, and the rest tried again."""
    broken: set[Path] = set()
    tree: Any = root
    for round_number in range(_MAX_ROUNDS):
        try:
            return ModelDocument.model_validate(tree), broken
        except ValidationError as error:
            if round_number == 0:
                found.extend(islice(findings(error, (), section_code, ModelDocument), MAX_FINDINGS))
            if error.error_count() > MAX_FINDINGS:
                found.append((_too_many(error.error_count()), ()))
                break
            for detail in error.errors(include_url=False, include_input=False, include_context=False):
                cut = _what_to_cut(tuple(detail["loc"]), detail["type"], round_number)
                tree = _without(tree, cut)
                if detail["type"] != "extra_forbidden":
                    broken.add(cut)
    return ModelDocument(), broken | {(section,) for section in SECTIONS}


def _what_to_cut(path: Path, kind: str, round_number: int) -> Path:
    """Returns the smallest part without which the rest still means something."""
    if kind == "extra_forbidden":
        return path
    if path[:1] == ("dataObjects",) and path[2:3] == ("columns",) and len(path) > 3:
        return path[:4]
    entry = 2 if path[:1] and path[0] in (*SECTIONS, "settings") else 1
    if kind == "missing" or round_number > 1:
        return path[: entry + 1] if len(path) > entry + 1 and round_number < 2 else path[:entry]
    return path[: entry + 1]


def _without(node: Any, path: Path) -> Any:
    """Copies a tree without one of its parts; a list keeps its length, so it is cut whole."""
    if not path:
        return {}
    if not isinstance(node, dict):
        return node
    key = _written(node, path[0])
    if key is None:
        return node
    copy = dict(node)
    if len(path) == 1 or not isinstance(node[key], dict | list):
        del copy[key]
    elif isinstance(node[key], list):
        copy[key] = _list_without(node[key], path[1:])
        if copy[key] is None:
            del copy[key]
    else:
        copy[key] = _without(node[key], path[1:])
    return copy


def _list_without(node: list[Any], path: Path) -> list[Any] | None:
    at = path[0]
    if len(path) == 1 or not isinstance(at, int) or at >= len(node) or not isinstance(node[at], dict):
        return None
    return [*node[:at], _without(node[at], path[1:]), *node[at + 1 :]]


def _written(node: dict[str, Any], step: str | int) -> str | None:
    """Finds a key in either spelling."""
    if step in node:
        return str(step)
    return next((key for key in node if key.replace("_", "").lower() == str(step).lower()), None)
