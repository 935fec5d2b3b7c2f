"""Takes out of an OSI text what has the wrong shape, so that the rest can be read without looking over its shoulder."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from sagitta_compiler.conversion.osi_schema import OSI_SCHEMA

_VALIDATOR = Draft202012Validator({"$defs": OSI_SCHEMA["$defs"], "$ref": "#/$defs/SemanticModel"})
_SHAPE = frozenset({"type", "oneOf"})


def pruned(model: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Returns a semantic model without the values of a wrong type, and a warning for each of them.

    Unknown keys and unknown words stay: reading passes over them.
    """
    result: dict[str, Any] = copy.deepcopy(dict(model))
    found = [error for error in _VALIDATOR.iter_errors(result) if _is_shape(error) and error.absolute_path]
    warnings = [f"{error.json_path}: {error.message}; ignored." for error in found]
    for path in sorted((tuple(error.absolute_path) for error in found), key=_place, reverse=True):
        _take_out(result, path)
    return result, warnings


def _is_shape(error: ValidationError) -> bool:
    return error.validator in _SHAPE or (error.validator == "enum" and not isinstance(error.instance, str))


def _place(path: tuple[str | int, ...]) -> list[tuple[bool, Any]]:
    """An order in which later items of a list come after earlier ones."""
    return [(isinstance(step, str), step) for step in path]


def _take_out(root: Any, path: tuple[str | int, ...]) -> None:
    *way, last = path
    for step in way:
        root = root[step]
    del root[last]
