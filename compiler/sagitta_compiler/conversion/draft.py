"""The OBML model that grows while an OSI text is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlglot import exp

from sagitta_compiler.conversion.extension import OSI_VENDOR, camel, foreign_extensions, osi_leftovers
from sagitta_compiler.conversion.osi_formula import UnconvertibleError
from sagitta_compiler.conversion.osi_schema import SQL_DIALECTS
from sagitta_compiler.model.resolved import ColumnRef

Element = dict[str, Any]

_GUESSES = (
    (r"(^|_)(is|has|flag)(_|$)", "boolean"),
    (r"(_at|timestamp|datetime|_ts)$", "timestamp"),
    (r"(^|_)(date|day)$|date$", "date"),
    (r"(^|_)(id|key|number|num|count|qty|quantity|year|month)$", "int"),
    (r"(amount|price|cost|total|revenue|sales|rate|ratio|value|profit|margin|discount|tax)$", "float"),
)
_TEMPORAL = ("date", "timestamp", "timestamp_tz")


class Draft:
    """Sections of the model, how OSI names find its columns, and what has to be said about the conversion."""

    def __init__(self) -> None:
        self.objects: dict[str, Element] = {}
        self.dimensions: dict[str, Element] = {}
        self.measures: dict[str, Element] = {}
        self.metrics: dict[str, Element] = {}
        self.warnings: list[str] = []
        self._fields: dict[str, dict[str, str]] = {}
        self._codes: dict[str, dict[str, str]] = {}

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    def add_object(self, name: str) -> Element:
        self.objects[name] = {}
        self._fields[name] = {}
        self._codes[name] = {}
        return self.objects[name]

    def name_field(self, dataset: str, field: str, label: str) -> None:
        self._fields[dataset][field] = label

    def name_code(self, dataset: str, code: str, label: str) -> None:
        self._codes[dataset].setdefault(code, label)

    def label(self, dataset: str, name: str, *, physical: bool = False) -> str | None:
        """Finds a column by the name of a field or of a physical column, first exactly, then in any case."""
        tables = (self._codes[dataset], self._fields[dataset])
        for table in tables if physical else reversed(tables):
            if name in table:
                return table[name]
        folded = name.casefold()
        for table in tables if physical else reversed(tables):
            for key, label in table.items():
                if key.casefold() == folded:
                    return label
        return None

    def dataset(self, name: str) -> str | None:
        """Finds a data object by the name of its dataset, in any case, or by its table where that is unique."""
        if name in self.objects:
            return name
        found = [label for label in self.objects if label.casefold() == name.casefold()]
        found = found or [
            label for label, each in self.objects.items() if str(each.get("code", "")).casefold() == name.casefold()
        ]
        return found[0] if len(found) == 1 else None

    def column(self, node: exp.Column) -> ColumnRef:
        """Finds what `dataset.field`, or a field whose name is unique, stands for; `*` stands for the only dataset."""
        if isinstance(node.this, exp.Star):
            if len(self.objects) != 1:
                raise UnconvertibleError("COUNT(*) does not say whose rows it counts")
            return ColumnRef(next(iter(self.objects)), "")
        if node.table:
            dataset = self.dataset(node.table)
            if dataset is None:
                raise UnconvertibleError(f"'{node.table}' is no dataset")
            return ColumnRef(dataset, self.label(dataset, node.name) or self.hidden(dataset, node.name))
        found = [(name, label) for name in self.objects if (label := self.label(name, node.name)) is not None]
        if len(found) != 1:
            raise UnconvertibleError(f"'{node.name}' names {len(found) or 'no'} fields; write dataset.field")
        return ColumnRef(*found[0])

    def hidden(self, dataset: str, code: str) -> str:
        """Adds a physical column that the text uses but does not list."""
        columns = self.objects[dataset].setdefault("columns", {})
        label = code
        while label in columns:
            label = f"{label} (physical)"
        columns[label] = {"code": code, "abstractType": guessed_type(code)}
        self.name_code(dataset, code, label)
        self.warn(
            f"Dataset '{dataset}': column '{code}' is used but is no field; added, its type"
            f" ({guessed_type(code)}) guessed from its name."
        )
        return label

    def is_taken(self, name: str) -> bool:
        """Whether a dimension, measure or metric has the name already: they share one namespace."""
        return name in self.dimensions or name in self.measures or name in self.metrics


def guessed_type(name: str, *, is_time: bool = False) -> str:
    """Returns the type that a column's name suggests."""
    for pattern, kind in _GUESSES:
        if re.search(pattern, name.lower()) and (not is_time or kind in _TEMPORAL):
            return kind
    return "date" if is_time else "string"


def restored(payload: Mapping[str, Any], *without: str) -> Element:
    """Returns what the extension kept of an element, by the language's own keys."""
    kept = {
        camel(key.removeprefix("obml_")): value
        for key, value in payload.items()
        if key.startswith("obml_") and key not in without and value is not None
    }
    if not _are_extensions(kept.get("customExtensions", [])):
        del kept["customExtensions"]
    return kept


def _are_extensions(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def sql_of(element: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns the SQL of an element and its sqlglot dialect, ANSI first; None when it has none."""
    expression = element.get("expression")
    if isinstance(expression, str):
        return expression, ""
    written = expression.get("dialects") if isinstance(expression, dict) else None
    texts = {item.get("dialect"): item.get("expression") for item in written or () if isinstance(item, dict)}
    for dialect, name in SQL_DIALECTS.items():
        text = texts.get(dialect)
        if isinstance(text, str):
            return text, name
    return None


def described(
    element: Mapping[str, Any],
    kept: Element,
    *,
    own_label: str | None = None,
    has_synonyms: bool = True,
    **leftovers: Any,
) -> Element:
    """Returns description, synonyms and extensions of an OSI element as OBML has them.

    Args:
        element: the OSI element.
        kept: what our extension kept; its extensions are used up.
        has_synonyms: whether OBML has synonyms there.
        own_label: the label that heads the synonyms of a field, because the field goes by its physical name.
        leftovers: what else only OSI can say.
    """
    result: Element = {}
    if isinstance(element.get("description"), str) and "description" not in kept:
        result["description"] = element["description"]
    context = element.get("ai_context")
    rest: Element = {"ai_context": context} if isinstance(context, str) and context else {}
    if isinstance(context, dict):
        synonyms = _texts(context.get("synonyms")) if has_synonyms else []
        if own_label is not None and synonyms[:1] == [own_label]:
            synonyms = synonyms[1:]
        if synonyms and "synonyms" not in kept:
            result["synonyms"] = synonyms
        others = {key: value for key, value in context.items() if not has_synonyms or key != "synonyms"}
        rest |= {"ai_context": others} if others else {}
    rest |= {f"obml_{key}": value for key, value in leftovers.items() if value}
    is_kept = "customExtensions" in kept
    extensions = [*kept.pop("customExtensions", []), *foreign_extensions(element)]
    if rest and _normal(osi_leftovers(extensions)) != _normal(rest):
        extensions = [item for item in extensions if item.get("vendor") != OSI_VENDOR]
        extensions.append({"vendor": OSI_VENDOR, "data": json.dumps(rest, ensure_ascii=False)})
    return result | ({"customExtensions": extensions} if extensions or is_kept else {})


def _normal(leftovers: Mapping[str, Any]) -> Element:
    """A text as context means the same as instructions alone."""
    context = leftovers.get("ai_context")
    return {**leftovers, "ai_context": {"instructions": context} if isinstance(context, str) else context}


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def named(elements: object) -> list[tuple[str, Element]]:
    """Returns those elements of a list that are mappings with a name."""
    items: Iterable[Any] = elements if isinstance(elements, list) else ()
    return [(item["name"], item) for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]
