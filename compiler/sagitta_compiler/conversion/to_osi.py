"""OBML to OSI: every element has its counterpart, and what OSI cannot say travels in an extension beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from sagitta_compiler.conversion.extension import (
    can_travel,
    osi_leftovers,
    snake,
    spelled,
    travelling,
    write_extension,
)
from sagitta_compiler.conversion.names import field_names, identifier, join_source, split_source
from sagitta_compiler.conversion.osi_schema import VERSION
from sagitta_compiler.conversion.osi_sql import InexpressibleError, SqlWriter
from sagitta_compiler.conversion.reading import read_mapping
from sagitta_compiler.conversion.result import Conversion, ConversionError
from sagitta_compiler.conversion.validation import validate_osi
from sagitta_compiler.model.load import load_model
from sagitta_compiler.model.resolved import ColumnRef, Measure, Metric, ResolvedModel
from sagitta_compiler.model.types import AbstractType, Cardinality, MetricType

CONVERTER = "sagitta"
DATA_TYPES = {
    AbstractType.STRING: "String",
    AbstractType.INT: "Integer",
    AbstractType.FLOAT: "Float",
    AbstractType.BOOLEAN: "Boolean",
    AbstractType.DATE: "Date",
    AbstractType.TIME: "Time",
    AbstractType.TIME_TZ: "Time",
    AbstractType.TIMESTAMP: "DateTime",
    AbstractType.TIMESTAMP_TZ: "DateTimeTz",
    AbstractType.JSON: "Opaque",
}
_SHARED_TYPES = (AbstractType.TIME_TZ, AbstractType.JSON)
_SECTIONS = ("dataObjects", "dimensions", "measures", "metrics")
_TABLE = ("database", "schema", "code")
_TYPE = {"type": "obml_metric_type"}
_CUMULATIVE = ("measure", "timeDimension", "window", "grainToDate")
_WINDOW = ("measure", "timeDimension", "offset", "buckets", "defaultValue")
_OTHER_SOURCES = ("nestedIn", "query", "unionOf")

Element = dict[str, Any]


def obml_to_osi(
    text: str, *, model_name: str = "semantic_model", model_description: str = "", ai_instructions: str = ""
) -> Conversion:
    """Converts an OBML model to OSI 0.2.0.dev0.

    Args:
        text: the model in YAML or JSON; it must be valid and complete (no `extends` or `inherits`).
        model_name: the name of the OSI model; the model's own name travels in the extension.
        model_description: replaces the model's description in OSI.
        ai_instructions: instructions for assistants.

    Raises:
        InvalidYamlError: the text cannot be read.
        ConversionError: the text is no valid model.
    """
    document = spelled(read_mapping(text))
    if document.get("extends") or document.get("inherits"):
        raise ConversionError(
            "A model with extends or inherits cannot be converted by itself; convert what it was merged to."
        )
    loaded = load_model(text)
    if loaded.model is None:
        raise ConversionError(" ".join(f"{error.path}: {error.message}." for error in loaded.errors[:20]))
    writer = _Writer(loaded.model, document)
    model = writer.model(model_name, model_description, ai_instructions)
    root = {"version": VERSION, "dialects": ["ANSI_SQL"], "vendors": sorted(_vendors(model)), "semantic_model": [model]}
    return Conversion(dump(root), tuple(writer.warnings), validate_osi(root))


def dump(root: Mapping[str, Any]) -> str:
    """Returns YAML in the order of the mapping."""
    return yaml.dump(root, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.CSafeDumper):
    """Never writes aliases: readers that guard against them would refuse the text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# PyYAML writes YAML 1.1, models are read as YAML 1.2: these texts would come back as numbers unless they are quoted.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    list("-+.0123456789"),
)


class _Writer:
    """Writes one model; `document` is its text as values, `model` what it means."""

    def __init__(self, model: ResolvedModel, document: Element) -> None:
        self._model = model
        self._document = document
        fields = field_names(model)
        self._expressions = _field_expressions(model, SqlWriter(model, fields))
        self._fields = {ref: name for ref, name in fields.items() if ref in self._expressions}
        self._sql = SqlWriter(model, self._fields)
        self._dimensions = self._dimensions_by_column()
        self._unwritten_columns: list[Any] = []
        self._unwritten_joins: list[Any] = []
        self._unwritten: dict[str, Any] = {}
        self._names: Counter[str] = Counter()
        self.warnings: list[str] = []

    def model(self, name: str, description: str, instructions: str) -> Element:
        rest = {key: value for key, value in self._document.items() if key not in _SECTIONS}
        payload: Element = {"source_format": "OBML", "converter": CONVERTER}
        if "version" in rest:
            payload["source_version"] = rest.pop("version")
        osi: Element = {"name": name} | self._described(rest, description or None)
        if instructions:
            osi["ai_context"] = _context(osi.get("ai_context")) | {"instructions": instructions}
        if rest.get("filters"):
            self._warn("Model", "static filters")
        relationships = [self._relationship(*place) for place in self._joins() if self._is_written(*place)]
        unconverted = osi_leftovers(rest.get("customExtensions")).get("obml_unconverted_metrics") or []
        metrics = [*self._measures(), *self._metrics(), *unconverted]
        osi["datasets"] = [self._dataset(label) for label in self._model.objects]
        osi |= {key: value for key, value in (("relationships", relationships), ("metrics", metrics)) if value}
        payload |= {f"obml_{snake(section)}": {} for section in _SECTIONS if self._document.get(section) == {}}
        lists = (("columns", self._unwritten_columns), ("joins", self._unwritten_joins))
        self._unwritten |= {key: value for key, value in lists if value}
        payload |= {"obml_unwritten": self._unwritten} if self._unwritten else {}
        return self._finish(osi, rest, **payload)

    def _warn(self, what: str, *left_out: str) -> None:
        if left_out:
            self.warnings.append(
                f"{what}: OSI cannot express {', '.join(left_out)}; kept in the ORIONBELT extension, where other tools"
                " do not see it."
            )

    def _section(self, name: str) -> dict[str, Element]:
        return {key: spelled(value or {}) for key, value in (self._document.get(name) or {}).items()}

    def _keep(self, section: str, name: str, element: Element) -> None:
        """Keeps an element that has no counterpart in OSI whole."""
        self._unwritten.setdefault(section, {})[name] = element

    def _described(self, rest: Element, description: str | None = None, *labels: str) -> Element:
        """Takes what OSI has words for out of an element: description, synonyms, and what came from OSI."""
        osi: Element = {}
        if description is not None:
            osi["description"] = description
        elif _is_text(rest.get("description")):
            osi["description"] = rest.pop("description")
        context = _context(osi_leftovers(rest.get("customExtensions")).get("ai_context"))
        synonyms = rest.pop("synonyms") if _are_texts(rest.get("synonyms")) else []
        if labels or synonyms:
            context["synonyms"] = [*labels, *synonyms]
        return osi | ({"ai_context": context} if context else {})

    @staticmethod
    def _finish(osi: Element, rest: Element, renamed: Mapping[str, str] | None = None, **payload: Any) -> Element:
        """Adds the extensions: ours with everything that is left of the element, then those of other vendors."""
        others = travelling(rest.pop("customExtensions")) if can_travel(rest.get("customExtensions")) else []
        names = renamed or {}
        payload |= {names.get(key, f"obml_{snake(key)}"): value for key, value in rest.items()}
        osi["custom_extensions"] = [write_extension(payload), *others]
        return osi

    def _dimensions_by_column(self) -> dict[ColumnRef, list[tuple[str, Element]]]:
        found: dict[ColumnRef, list[tuple[str, Element]]] = {}
        for name, element in self._section("dimensions").items():
            rest = {key: value for key, value in element.items() if key not in ("dataObject", "column")}
            found.setdefault(self._model.dimensions[name].ref, []).append((name, rest))
        return found

    def _dataset(self, label: str) -> Element:
        rest = spelled(self._document["dataObjects"][label])
        osi: Element = {"name": label, "source": self._source(label, rest)}
        columns = {name: spelled(column or {}) for name, column in (rest.pop("columns", None) or {}).items()}
        written = {name: column for name, column in columns.items() if ColumnRef(label, name) in self._fields}
        for name in columns.keys() - written.keys():
            self._keep_column(label, name, columns[name])
        keys = [name for name, column in written.items() if column.get("primaryKey") is True]
        for name in keys:
            del written[name]["primaryKey"]
        if keys:
            osi["primary_key"] = [self._fields[ColumnRef(label, name)] for name in keys]
        if unique := osi_leftovers(rest.get("customExtensions")).get("obml_unique_keys"):
            osi["unique_keys"] = [[self._fields.get(ColumnRef(label, each), each) for each in key] for key in unique]
        if rest.get("joins"):
            del rest["joins"]
        if rest.get("rowPolicy"):
            self._warn(f"Data object '{label}'", "a row policy")
        osi |= self._described(rest)
        osi["fields"] = [self._field(ColumnRef(label, name), column) for name, column in written.items()]
        return self._finish(osi, rest, obml_kind="data_object")

    def _keep_column(self, label: str, name: str, column: Element) -> None:
        self._warn(f"Column '{label}.{name}'", "a column that reads measures")
        self._unwritten_columns.append([label, name, column])
        for dimension, rest in self._dimensions.get(ColumnRef(label, name), ()):
            self._keep("dimensions", dimension, {"dataObject": label, "column": name, **rest})

    def _source(self, label: str, rest: Element) -> str:
        special = [key for key in _OTHER_SOURCES if key in rest]
        parts = [rest.get(key, "") for key in _TABLE]
        if special or not any(parts) or not all(isinstance(part, str) for part in parts):
            self._warn(f"Data object '{label}'", *special)
            return join_source(label)
        source = join_source(*parts)
        if split_source(source) == tuple(parts):
            for key, part in zip(_TABLE, parts, strict=True):
                if part:
                    del rest[key]
        return source

    def _field(self, ref: ColumnRef, rest: Element) -> Element:
        name, sql = self._fields[ref], self._expressions[ref]
        payload: Element = {"obml_name": ref.column}
        if "expression" in rest:
            payload["obml_sql"] = sql
        elif _is_text(rest.get("code")):
            del rest["code"]
        else:
            rest["code"] = None
        osi: Element = {"name": name, "expression": _expression(sql)}
        if label := osi_leftovers(rest.get("customExtensions")).get("obml_field_label"):
            osi["label"] = label
        labels = () if name == ref.column else (ref.column,)
        osi |= self._described(rest, None, *labels) | _data_type(rest, "abstractType")
        dimensions = self._dimensions.get(ref, [])
        if dimensions:
            osi["dimension"] = {"is_time": self._model.column(ref).type.is_temporal}
            payload |= self._dimension_payload(ref, dimensions)
        return self._finish(osi, rest, **payload)

    def _dimension_payload(self, ref: ColumnRef, dimensions: list[tuple[str, Element]]) -> Element:
        (name, first), *others = dimensions
        payload: Element = {"obml_dimension_name": name}
        for key, value in first.items():
            payload["obml_time_grain" if key == "timeGrain" else f"obml_dimension_{snake(key)}"] = value
        if others:
            self._warn(f"Column '{ref}'", "more than one dimension on a column")
            payload["obml_extra_dimensions"] = [{"name": each, **rest} for each, rest in others]
        return payload

    def _joins(self) -> Iterable[tuple[str, int]]:
        for label, data_object in self._model.objects.items():
            for index in range(len(data_object.joins)):
                yield label, index

    def _is_written(self, label: str, index: int) -> bool:
        """Whether OSI has fields for a join's columns; a join without is kept whole."""
        join = self._model.objects[label].joins[index]
        ends = [
            *(ColumnRef(label, c) for c in join.columns_from),
            *(ColumnRef(join.target, c) for c in join.columns_to),
        ]
        if all(end in self._fields for end in ends):
            return True
        self._warn(f"Join from '{label}' to '{join.target}'", "a key that reads measures")
        self._unwritten_joins.append([label, index, self._document_join(label, index)])
        return False

    def _document_join(self, label: str, index: int) -> Element:
        return spelled(spelled(self._document["dataObjects"][label])["joins"][index])

    def _relationship(self, label: str, index: int) -> Element:
        join, rest = self._model.objects[label].joins[index], self._document_join(label, index)
        del rest["joinTo"]
        for key in ("columnsFrom", "columnsTo"):
            if _are_texts(rest.get(key)):
                del rest[key]
        if join.secondary or join.required or join.cardinality is Cardinality.MANY_TO_MANY:
            words = ["a secondary join"] * join.secondary + ["a required join"] * join.required
            words += ["many-to-many"] * (join.cardinality is Cardinality.MANY_TO_MANY)
            self._warn(f"Join from '{label}' to '{join.target}'", *words)
        osi = {
            "name": self._unique("_to_".join((label, join.target)) + (f"_{join.path_name}" if join.path_name else "")),
            "from": label,
            "to": join.target,
            "from_columns": [self._fields[ColumnRef(label, column)] for column in join.columns_from],
            "to_columns": [self._fields[ColumnRef(join.target, column)] for column in join.columns_to],
        }
        return self._finish(osi, rest, obml_index=index)

    def _unique(self, name: str) -> str:
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name]}"

    def _measures(self) -> Iterable[Element]:
        for name, rest in self._section("measures").items():
            sql = self._artefact_sql("Measure", "measures", self._model.measures[name], rest)
            if sql is not None:
                osi = {"name": name, "expression": _expression(sql)} | self._described(rest)
                osi |= _data_type(rest, "resultType")
                yield self._finish(osi, rest, obml_kind="measure", obml_sql=sql)

    def _metrics(self) -> Iterable[Element]:
        for name, rest in self._section("metrics").items():
            metric = self._model.metrics[name]
            sql = self._artefact_sql("Metric", "metrics", metric, rest)
            if sql is not None:
                osi = {"name": name, "expression": _expression(sql)} | self._described(rest)
                renamed = metric_keys(metric.type)
                if metric.type is MetricType.PERIOD_OVER_PERIOD:
                    comparison = spelled(rest.pop("periodOverPeriod"))
                    rest |= {f"pop_{snake(key)}": value for key, value in comparison.items()}
                yield self._finish(osi, rest, renamed, obml_kind="metric", obml_sql=sql)

    def _artefact_sql(self, what: str, section: str, artefact: Measure | Metric, rest: Element) -> str | None:
        try:
            sql = self._sql.artefact(artefact)
        except InexpressibleError as reason:
            self._warn(f"{what} '{artefact.name}'", str(reason))
            self._keep(section, artefact.name, dict(rest))
            return None
        self._warn(f"{what} '{artefact.name}'", *self._sql.left_out)
        return sql


def metric_keys(kind: MetricType) -> Mapping[str, str]:
    """Returns the extension's documented keys of a metric's own ones."""
    match kind:
        case MetricType.CUMULATIVE:
            return _TYPE | {key: f"obml_cumulative_{snake(key)}" for key in _CUMULATIVE}
        case MetricType.PERIOD_OVER_PERIOD:
            return _TYPE | {"expression": "obml_pop_expression"}
        case MetricType.WINDOW:
            return _TYPE | {key: f"obml_window_{snake(key)}" for key in _WINDOW}
        case _:
            return _TYPE


def _field_expressions(model: ResolvedModel, sql: SqlWriter) -> dict[ColumnRef, str]:
    """The SQL of every column that has one."""
    found: dict[ColumnRef, str] = {}
    for data_object in model.objects.values():
        for column in data_object.columns.values():
            ref = ColumnRef(data_object.name, column.name)
            if column.expression is None:
                found[ref] = identifier(column.code).sql()
                continue
            try:
                found[ref] = sql.computed_column(data_object.name, column.expression)
            except InexpressibleError:
                continue
    return found


def _vendors(element: object) -> set[str]:
    """The vendors whose extensions stand anywhere in the model."""
    if isinstance(element, list):
        return set().union(*(_vendors(item) for item in element))
    if not isinstance(element, dict):
        return set()
    own = {element["vendor_name"]} if "vendor_name" in element else set()
    return own.union(*(_vendors(value) for value in element.values()))


def _expression(sql: str) -> Element:
    return {"dialects": [{"dialect": "ANSI_SQL", "expression": sql}]}


def _data_type(rest: Element, key: str) -> Element:
    """The OSI data type; the OBML type stays in the extension where OSI's says less."""
    declared = rest.get(key)
    if declared not in {kind.value for kind in AbstractType}:
        return {}
    kind = AbstractType(declared)
    if kind not in _SHARED_TYPES:
        del rest[key]
    return {"datatype": DATA_TYPES[kind]}


def _context(value: object) -> Element:
    if isinstance(value, dict):
        return dict(value)
    return {"instructions": value} if _is_text(value) else {}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_text(item) for item in value)
