"""Checks of OSI and OBML texts, told in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from sagitta_compiler.conversion.osi_schema import OSI_SCHEMA
from sagitta_compiler.conversion.pruning import place, pruned, shortened
from sagitta_compiler.conversion.result import Validation
from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.model.load import load_model

_VALIDATOR = Draft202012Validator(OSI_SCHEMA)
_MAX_ERRORS = 100
_SHAPE_CODES = frozenset({"SCHEMA_VALIDATION", "UNKNOWN_PROPERTY", "YAML_SAFETY_ERROR"})


def validate_obml(text: str) -> Validation:
    """Checks an OBML text with everything that loading a model checks."""
    loaded = load_model(text)
    errors = [diagnostic for diagnostic in loaded.diagnostics if diagnostic.is_error]
    return Validation(
        schema_errors=tuple(_told(each) for each in errors if _is_shape(each)),
        semantic_errors=tuple(_told(each) for each in errors if not _is_shape(each)),
        semantic_warnings=tuple(_told(each) for each in loaded.diagnostics if not each.is_error),
    )


def _is_shape(diagnostic: Diagnostic) -> bool:
    return diagnostic.code in _SHAPE_CODES or diagnostic.code.endswith("_PARSE_ERROR")


def _told(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.path}: {diagnostic.message}" if diagnostic.path else diagnostic.message


def validate_osi(root: Mapping[str, Any]) -> Validation:
    """Checks an OSI text against the schema, then its names and references as far as its shape allows."""
    found = islice(_VALIDATOR.iter_errors(dict(root)), _MAX_ERRORS)
    semantic: list[str] = []
    for model in _mappings(root.get("semantic_model")):
        semantic.extend(_model_errors(pruned(model)[0]))
    return Validation(
        schema_errors=tuple(map(_sentence, found)),
        semantic_errors=tuple(semantic),
    )


def _sentence(error: ValidationError) -> str:
    return f"{place(error.instance_path)}: {shortened(error.message)}"


def _model_errors(model: Mapping[str, Any]) -> Iterator[str]:
    datasets = _mappings(model.get("datasets"))
    fields = {
        str(dataset.get("name")): {str(field.get("name")) for field in _mappings(dataset.get("fields"))}
        for dataset in datasets
    }
    yield from _repeated("Dataset", datasets)
    yield from _repeated("Relationship", _mappings(model.get("relationships")))
    yield from _repeated("Metric", _mappings(model.get("metrics")))
    for dataset in datasets:
        name = str(dataset.get("name"))
        yield from _repeated(f"Dataset '{name}': field", _mappings(dataset.get("fields")))
        yield from _unknown(f"Dataset '{name}': primary key", name, dataset.get("primary_key"), fields)
        for key in dataset.get("unique_keys", ()):
            yield from _unknown(f"Dataset '{name}': unique key", name, key, fields)
    for relationship in _mappings(model.get("relationships")):
        yield from _relationship_errors(relationship, fields)


def _relationship_errors(relationship: Mapping[str, Any], fields: Mapping[str, set[str]]) -> Iterator[str]:
    what = f"Relationship '{relationship.get('name')}'"
    for end in ("from", "to"):
        dataset, columns = relationship.get(end), relationship.get(f"{end}_columns")
        if dataset not in fields:
            yield f"{what}: '{end}' names the unknown dataset '{dataset}'."
        else:
            yield from _unknown(f"{what}: {end}_columns", str(dataset), columns, fields)
    sides = [relationship.get("from_columns"), relationship.get("to_columns")]
    if all(isinstance(side, list) for side in sides) and len(sides[0] or ()) != len(sides[1] or ()):
        yield f"{what}: from_columns and to_columns have different lengths."


def _unknown(what: str, dataset: str, columns: object, fields: Mapping[str, set[str]]) -> Iterator[str]:
    """Keys may name physical columns of a dataset that lists no fields."""
    if isinstance(columns, list) and fields[dataset]:
        for column in columns:
            if str(column) not in fields[dataset]:
                yield f"{what} names the unknown field '{column}'."


def _repeated(what: str, elements: list[Mapping[str, Any]]) -> Iterator[str]:
    for name, count in Counter(str(element.get("name")) for element in elements).items():
        if count > 1:
            yield f"{what} '{name}' is defined {count} times."


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
