"""The facade of the model language: text in, a model and everything there is to say about it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.discovery.health import Health, health
from sagitta_compiler.model.document import ModelDocument
from sagitta_compiler.model.merge import merge_model
from sagitta_compiler.model.parse import parse_model
from sagitta_compiler.model.report import Reporter
from sagitta_compiler.model.resolve import resolve_model
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.source import Path, SourceText, render

MAX_FRAGMENTS: Final = 1_000
"""Each is merged into all that came before it."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that was read. `model` is None when any diagnostic is an error."""

    model: ResolvedModel | None
    document: ModelDocument
    diagnostics: tuple[Diagnostic, ...]
    health: Health
    source: SourceText
    sources: Mapping[str, SourceText] = field(default_factory=dict)
    """The further texts (fragments, the parent) by name."""
    stands_alone: bool = True
    """Whether `source` is the whole model: nothing was merged into it."""

    def source_of(self, diagnostic: Diagnostic) -> SourceText:
        """Returns the text that a diagnostic is about: the model's own, a fragment's or the parent's."""
        return self.sources.get(diagnostic.source or "", self.source)

    def render(self, diagnostic: Diagnostic) -> str:
        """Writes a diagnostic of this model with the line that it is about."""
        return render(diagnostic, self.source_of(diagnostic))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.is_error)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if not d.is_error)


def load_model(
    text: str | Mapping[str, Any],
    *,
    name: str | None = None,
    extends: Sequence[str] = (),
    inherits: LoadedModel | None = None,
    files: Mapping[str, str] = MappingProxyType({}),
) -> LoadedModel:
    """Reads, resolves and validates a model; never raises on bad input.

    Args:
        text: the model in YAML or JSON, or as a mapping.
        name: the model's name when the text has none (a file's stem).
        extends: further texts to merge into the model, in their order.
        inherits: the model whose data objects this one uses.
        files: the texts of the files that the model's `extends` and `inherits` name (`collect_files`).
    """
    parsed = parse_model(text, name or "model")
    refused = _too_many(extends)
    if refused or not parsed.readable:
        diagnostics = refused or tuple(diagnostic for diagnostic, _ in parsed.diagnostics)
        return LoadedModel(None, parsed.document, diagnostics, Health(), parsed.source.source)
    merged = merge_model(parsed, extends, None if inherits is None else inherits.document, files)
    report = Reporter(parsed.source, merged.origins)
    for diagnostic, path in merged.diagnostics:
        report.add(diagnostic, path, key=diagnostic.code == "UNKNOWN_PROPERTY")
    source = parsed.source.source
    if _stops(merged.diagnostics):
        return LoadedModel(None, merged.document, tuple(report.diagnostics), Health(), source, merged.sources)
    model = resolve_model(merged.document, report, merged.broken, name)
    report.close()
    usable = None if report.diagnostics.has_errors else model
    found = tuple(sorted(report.diagnostics, key=_place))
    alone = not extends and inherits is None and not parsed.document.extends and not parsed.document.inherits
    return LoadedModel(usable, merged.document, found, health(model), source, merged.sources, alone)


def _too_many(fragments: Sequence[str]) -> tuple[Diagnostic, ...]:
    if len(fragments) <= MAX_FRAGMENTS:
        return ()
    message = f"The model has {len(fragments):,} fragments; at most {MAX_FRAGMENTS:,} are merged"
    return (Diagnostic("YAML_SAFETY_ERROR", message, "extends", hint="Put several into one."),)


def _place(diagnostic: Diagnostic) -> tuple[str, int, int]:
    """The order in which people read: text by text, line by line."""
    span = diagnostic.span
    return (diagnostic.source or "", span.line if span else 0, span.column if span else 0)


_MERGE_ERRORS = frozenset(
    {
        *("INVALID_EXTENDS_INHERITS_COMBINATION", "EXTENDS_CONTAINS_DATA_OBJECTS", "INHERITS_CONTAINS_DATA_OBJECTS"),
        *("PARENT_HAS_EXTENDS", "PARENT_HAS_INHERITS", "PARENT_MODEL_NOT_FOUND", "EXTENDS_MAX_DEPTH_EXCEEDED"),
        *("CIRCULAR_EXTENDS", "EXTENDS_FILE_NOT_FOUND"),
    }
)


def _stops(diagnostics: list[tuple[Diagnostic, Path]]) -> bool:
    """Whether the documents could not be put together, so that further findings would only mislead."""
    return any(diagnostic.code in _MERGE_ERRORS for diagnostic, _ in diagnostics)
