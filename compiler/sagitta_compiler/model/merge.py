"""`extends` and `inherits`: several documents become one, nothing lost from either side, every override named."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sagitta_compiler.diagnostics import Diagnostic, Severity
from sagitta_compiler.model.document import ExampleDocument, ModelDocument, SettingsDocument
from sagitta_compiler.model.parse import ParsedModel, parse_model
from sagitta_compiler.source import Document, Path, SourceText, path_text, read_document

MAX_EXTENDS_DEPTH: Final = 5
_NAMED = (("dimensions", "Dimension"), ("measures", "Measure"), ("metrics", "Metric"))
_SINGLE = ("description", "owner", "expose_counts", "count_label_pattern")

Origin = tuple[Document, Path]
"""The text that an entry came from, and its path there."""


@dataclass
class Merged:
    """A document put together from several texts, and where each entry came from."""

    parsed: ParsedModel
    document: ModelDocument
    broken: frozenset[Path]
    origins: dict[Path, Origin] = field(default_factory=dict)
    diagnostics: list[tuple[Diagnostic, Path]] = field(default_factory=list)
    sources: dict[str, SourceText] = field(default_factory=dict)

    def report(self, code: str, message: str, path: Path, hint: str, severity: Severity = Severity.ERROR) -> None:
        self.diagnostics.append((Diagnostic(code, message, path_text(path), severity, hint=hint), path))

    def overridden(self, what: str, path: Path) -> None:
        hint = "If that is meant, nothing is to be done; else rename one of them."
        self.report("MERGE_WARNING", f"{what}", path, hint, Severity.WARNING)


def collect_files(text: str, read: Callable[[str], str | None]) -> dict[str, str]:
    """Returns the texts of every file that a model's text names in `extends` and `inherits`, by relative path.

    Args:
        text: the model.
        read: returns the text of a path relative to the model's own folder; None when there is no such file.
    """
    found: dict[str, str] = {}
    waiting = [(reference, 0) for reference in _references(text, "")]
    while waiting:
        path, depth = waiting.pop()
        if path in found or depth > MAX_EXTENDS_DEPTH:
            continue
        content = read(path)
        if content is not None:
            found[path] = content
            waiting += [(reference, depth + 1) for reference in _references(content, path)]
    return found


def _references(text: str, base: str) -> list[str]:
    root = read_document(text).root
    if not isinstance(root, dict):
        return []
    extends = root.get("extends")
    names = extends if isinstance(extends, list) else [extends]
    return [_relative(base, name) for name in (*names, root.get("inherits")) if isinstance(name, str) and name]


def _relative(base: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), reference))


def merge_model(
    parsed: ParsedModel,
    fragments: Sequence[str],
    parent: ModelDocument | None,
    files: Mapping[str, str],
) -> Merged:
    """Merges a document with its fragments or its parent.

    Args:
        parsed: the model's own text.
        fragments: further texts, merged after the ones that the document names.
        parent: the document of the model that this one inherits from, when the caller has it.
        files: the texts of the files that `extends` and `inherits` may name.
    """
    merged = Merged(parsed, parsed.document, parsed.broken, {}, list(parsed.diagnostics))
    document = parsed.document
    inherits = parent is not None or document.inherits is not None
    if inherits and (fragments or document.extends):
        message = "A model either extends fragments or inherits from a parent"
        merged.report("INVALID_EXTENDS_INHERITS_COMBINATION", message, ("inherits",), "Remove `extends` or `inherits`.")
        return merged
    if inherits:
        _inherit(merged, parent, files)
        return merged
    _extend_files(merged, document.extends, "", files, ())
    for at, text in enumerate(fragments):
        fragment = parse_model(text, f"inline:{at}")
        _extend_files(merged, fragment.document.extends, "", files, ())
        _extend(merged, fragment, f"inline:{at}")
    if not document.data_objects and not merged.document.data_objects and ("dataObjects",) not in merged.broken:
        hint = "Add `dataObjects:` with at least one table."
        merged.report("SCHEMA_VALIDATION", "The model has no data objects", ("dataObjects",), hint)
    named = (*document.extends, *(f"inline:{at}" for at in range(len(fragments))))
    merged.document = merged.document.model_copy(update={"extends": named})
    return merged


def _extend_files(
    merged: Merged, references: Sequence[str], base: str, files: Mapping[str, str], trail: tuple[str, ...]
) -> None:
    for at, reference in enumerate(references):
        path = _relative(base, reference)
        where: Path = ("extends", at)
        if path in trail:
            message = f"The fragments extend each other: {' -> '.join((*trail, path))}"
            merged.report("CIRCULAR_EXTENDS", message, where, "Remove one of the references.")
        elif len(trail) >= MAX_EXTENDS_DEPTH:
            message = f"Fragments extend fragments more than {MAX_EXTENDS_DEPTH} levels deep"
            merged.report("EXTENDS_MAX_DEPTH_EXCEEDED", message, where, "List the fragments in the model itself.")
        elif path not in files:
            message = f"The fragment '{reference}' was not found"
            hint = "Paths are relative to the file that names them."
            merged.report("EXTENDS_FILE_NOT_FOUND", message, where, hint)
        else:
            fragment = parse_model(files[path], reference)
            _extend_files(merged, fragment.document.extends, path, files, (*trail, path))
            _extend(merged, fragment, reference)


def _extend(merged: Merged, fragment: ParsedModel, label: str) -> None:
    for diagnostic, where in fragment.diagnostics:
        merged.diagnostics.append((_in_text(diagnostic, fragment, where), ()))
    if fragment.document.data_objects or ("dataObjects",) in fragment.broken:
        message = f"The fragment '{label}' has data objects"
        hint = "Fragments hold dimensions, measures, metrics, filters, examples and settings."
        merged.report("EXTENDS_CONTAINS_DATA_OBJECTS", message, ("extends",), hint)
    merged.sources[label] = fragment.source.source
    merged.broken |= fragment.broken
    merged.document = _combine(merged, merged.document, fragment.document, fragment.source, f"fragment '{label}'")


def _in_text(diagnostic: Diagnostic, parsed: ParsedModel, path: Path) -> Diagnostic:
    """Places a diagnostic in the further text that it is about."""
    span = diagnostic.span or parsed.source.span(path, key=diagnostic.code == "UNKNOWN_PROPERTY")
    return diagnostic.at(span, parsed.source.source.name)


def _inherit(merged: Merged, parent: ModelDocument | None, files: Mapping[str, str]) -> None:
    document, reference = merged.document, merged.document.inherits
    if document.data_objects:
        message = "A model that inherits takes its data objects from its parent"
        merged.report("INHERITS_CONTAINS_DATA_OBJECTS", message, ("dataObjects",), "Remove `dataObjects`.")
        return
    if parent is None:
        assert reference is not None
        path = _relative("", reference)
        if path not in files:
            message = f"The parent model '{reference}' was not found"
            merged.report("PARENT_MODEL_NOT_FOUND", message, ("inherits",), "Name a file or the id of a loaded model.")
            return
        read = parse_model(files[path], reference)
        for diagnostic, where in read.diagnostics:
            merged.diagnostics.append((_in_text(diagnostic, read, where), ()))
        merged.sources[reference] = read.source.source
        merged.broken |= read.broken
        parent = read.document
    for key, code in (("extends", "PARENT_HAS_EXTENDS"), ("inherits", "PARENT_HAS_INHERITS")):
        if getattr(parent, key):
            message = f"The parent model uses '{key}' itself"
            merged.report(code, message, ("inherits",), "Inherit from a model that stands on its own.")
    update: dict[str, Any] = {"name": document.name, "version": document.version, "inherits": reference or parent.name}
    child = _combine(merged, parent, document, merged.parsed.source, "this model")
    merged.document = child.model_copy(update=update)


def _combine(merged: Merged, base: ModelDocument, over: ModelDocument, source: Document, label: str) -> ModelDocument:
    """Returns both documents as one; `over` wins where both speak."""
    update: dict[str, Any] = {}
    for section, kind in _NAMED:
        below, above = getattr(base, section), getattr(over, section)
        for name in above:
            if name in below and below[name] != above[name]:
                merged.overridden(f"{kind} '{name}' is overridden by {label}", (section, name))
            merged.origins[section, name] = (source, (section, name))
        update[section] = {**below, **above}
    for key in _SINGLE:
        value = getattr(over, key)
        if key in over.model_fields_set and value not in (None, ""):
            if key in base.model_fields_set and getattr(base, key) != value:
                merged.overridden(f"'{_alias(key)}' is overridden by {label}", (_alias(key),))
            update[key] = value
    for at in range(len(over.filters)):
        merged.origins["filters", len(base.filters) + at] = (source, ("filters", at))
    update["filters"] = (*base.filters, *over.filters)
    update["custom_extensions"] = (*base.custom_extensions, *over.custom_extensions)
    update["settings"] = _settings(merged, base.settings, over.settings, label)
    update["examples"] = _examples(merged, base, over, label)
    if base.name is None and over.name is not None:
        update["name"] = over.name
    fields_set = base.model_fields_set | over.model_fields_set
    values = {name: getattr(base, name) for name in ModelDocument.model_fields} | update
    return ModelDocument.model_construct(fields_set, **values)


def _alias(key: str) -> str:
    return ModelDocument.model_fields[key].alias or key


def _settings(merged: Merged, base: SettingsDocument, over: SettingsDocument, label: str) -> SettingsDocument:
    given = {name: getattr(over, name) for name in over.model_fields_set}
    for name, value in given.items():
        if name in base.model_fields_set and getattr(base, name) != value:
            key = SettingsDocument.model_fields[name].alias or name
            merged.overridden(f"The setting '{key}' is overridden by {label}", ("settings", key))
    values = {name: getattr(base, name) for name in SettingsDocument.model_fields} | given
    return SettingsDocument.model_construct(base.model_fields_set | over.model_fields_set, **values)


def _examples(merged: Merged, base: ModelDocument, over: ModelDocument, label: str) -> tuple[ExampleDocument, ...]:
    names = {example.name for example in over.examples}
    for at, example in enumerate(base.examples):
        if example.name in names:
            merged.overridden(f"The example '{example.name}' is overridden by {label}", ("examples", at))
    return (*(example for example in base.examples if example.name not in names), *over.examples)
