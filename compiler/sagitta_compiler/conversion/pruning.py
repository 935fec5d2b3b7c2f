"""Takes out of an OSI text what has the wrong shape, so that the rest can be read without looking over its shoulder."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from sagitta_compiler.conversion.osi_schema import OSI_SCHEMA

_VALIDATOR = Draft202012Validator({"$defs": OSI_SCHEMA["$defs"], "$ref": "#/$defs/SemanticModel"})
_SHAPES = (ValidationErrorKind.Type, ValidationErrorKind.OneOfNotValid, ValidationErrorKind.OneOfMultipleValid)
_MAX_MESSAGE = 300


def pruned(model: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Returns a semantic model without the values of a wrong type, and a warning for each of them.

    Unknown keys and unknown words stay: reading passes over them.
    """
    result = dict(model)
    found = [error for error in _VALIDATOR.iter_errors(result) if _is_shape(error) and error.instance_path]
    if not found:
        return result, []
    result = copy.deepcopy(result)
    warnings = [f"{place(error.instance_path)}: {shortened(error.message)}; ignored." for error in found]
    for path in sorted({tuple(error.instance_path) for error in found}, key=_order, reverse=True):
        _take_out(result, path)
    return result, warnings


def place(path: Iterable[str | int]) -> str:
    """Returns a path as `$.datasets[0].name`."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def shortened(message: str) -> str:
    """Returns a message that may quote a large part of the text, cut."""
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}..."


def _is_shape(error: ValidationError) -> bool:
    if isinstance(error.kind, ValidationErrorKind.Enum):
        return not isinstance(error.instance, str)
    return isinstance(error.kind, _SHAPES)


def _order(path: tuple[str | int, ...]) -> list[tuple[bool, Any]]:
    """An order in which later items of a list come after earlier ones, and parts after what they are part of."""
    return [(isinstance(step, str), step) for step in path]


def _take_out(root: Any, path: tuple[str | int, ...]) -> None:
    *way, last = path
    for step in way:
        root = root[step]
    del root[last]
