"""Reads a text with the guards that protect model texts: size, depth, no aliases, no tags, no repeated keys."""

from __future__ import annotations

from typing import Any

from sagitta_compiler.conversion.result import InvalidYamlError
from sagitta_compiler.source import read_document


def read_mapping(text: str) -> dict[str, Any]:
    """Returns the root of a YAML or JSON text as plain values.

    Raises:
        InvalidYamlError: the text cannot be read, is dangerous, or is no mapping.
    """
    document = read_document(text, "input")
    if document.root is None or any(diagnostic.is_error for diagnostic in document.diagnostics):
        reasons = [
            f"line {diagnostic.span.line}: {diagnostic.message}" if diagnostic.span else diagnostic.message
            for diagnostic in document.diagnostics
        ]
        raise InvalidYamlError("; ".join(reasons) or "The text is empty")
    if not isinstance(document.root, dict):
        raise InvalidYamlError("The text must be a mapping")
    plain: dict[str, Any] = _plain(document.root)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
