"""`ModelDocument` to `ResolvedModel`: every name bound, every default filled in, every mistake reported."""

from __future__ import annotations

from sagitta_compiler.model.document import ModelDocument
from sagitta_compiler.model.measures import (
    check_filter_fields,
    resolve_dimensions,
    resolve_measures,
    synthesise_counts,
)
from sagitta_compiler.model.metrics import resolve_metrics
from sagitta_compiler.model.objects import resolve_objects
from sagitta_compiler.model.report import Reporter
from sagitta_compiler.model.resolved import About, CustomExtension, Example, ResolvedModel
from sagitta_compiler.model.rules import check_model
from sagitta_compiler.model.scope import Scope
from sagitta_compiler.model.settings import resolve_settings
from sagitta_compiler.names import RESERVED_MODEL_NAMES, normalise_model_name, normalised_words
from sagitta_compiler.query.filters import FilterReader
from sagitta_compiler.query.query import FilterNode
from sagitta_compiler.source import Path

LANGUAGE_VERSION = 1.0


def resolve_model(
    document: ModelDocument, report: Reporter, broken: frozenset[Path], name: str | None = None
) -> ResolvedModel:
    """Returns the model as far as it makes sense; it may be used only when nothing was reported as an error.

    Args:
        document: what was written, extensions and inheritance merged.
        report: collects what is wrong.
        broken: paths that could not be read; their names count as known.
        name: the name to use when the document has none.
    """
    scope = Scope(document, report, broken)
    counts = synthesise_counts(scope, lambda item: scope.objects[item].nested_in is not None)
    scope.count_names = counts.keys()
    model = ResolvedModel(
        name=_name(scope, name),
        objects=resolve_objects(scope),
        dimensions=resolve_dimensions(scope),
        measures={**resolve_measures(scope), **counts},
        metrics=resolve_metrics(scope),
        filters=_static_filters(scope),
        settings=resolve_settings(document.settings, report),
        examples=_examples(scope),
        version=document.version,
        extends=document.extends,
        inherits=document.inherits,
        about=About(
            description=document.description,
            owner=document.owner,
            custom_extensions=tuple(CustomExtension(e.vendor, e.data) for e in document.custom_extensions),
        ),
    )
    if document.version != LANGUAGE_VERSION:
        message = f"The language has no version {document.version}"
        report.error("SCHEMA_VALIDATION", message, ("version",), f"Write `version: {LANGUAGE_VERSION}`.")
    check_model(model, scope)
    return model


def _name(scope: Scope, default: str | None) -> str | None:
    written = scope.document.name
    if written is None:
        return None if default is None else normalise_model_name(default)
    name = normalise_model_name(written)
    if name is None:
        reserved = normalised_words(written) in RESERVED_MODEL_NAMES
        hint = "Use letters, digits and underscores, beginning with a letter; at most 63 characters."
        hint = "The name is reserved; take another one." if reserved else hint
        scope.report.error("SCHEMA_VALIDATION", f"'{written}' cannot name a model", ("name",), hint)
    return name


def _static_filters(scope: Scope) -> tuple[FilterNode, ...]:
    reader = FilterReader(
        scope.report.add,
        operator_code="FILTER_PARSE_ERROR",
        value_code="FILTER_PARSE_ERROR",
        shape_code="FILTER_PARSE_ERROR",
    )
    return check_filter_fields(scope, reader, scope.document.filters, ("filters",))


def _examples(scope: Scope) -> tuple[Example, ...]:
    seen: set[str] = set()
    examples: list[Example] = []
    for at, item in enumerate(scope.document.examples):
        if item.name in seen:
            message = f"Two examples are named '{item.name}'"
            path: Path = ("examples", at, "name")
            scope.report.error("DUPLICATE_EXAMPLE_NAME", message, path, "Rename one of them.")
        seen.add(item.name)
        examples.append(Example(item.name, item.description, item.intent_tags, item.query))
    return tuple(examples)
