"""Metrics of OSI as measures and metrics."""

from __future__ import annotations

import re
from typing import Any

from sagitta_compiler.conversion.draft import Draft, Element, described, restored, sql_of
from sagitta_compiler.conversion.extension import camel, read_extension
from sagitta_compiler.conversion.osi_formula import Formula, UnconvertibleError, parse_sql, read_metric
from sagitta_compiler.conversion.to_osi import metric_keys
from sagitta_compiler.model.types import MetricType

_OWN_KEYS = ("obml_kind", "obml_sql")
_LOOKS = ("dataType", "format", "owner", "comment", "customExtensions", "resultType", "synonyms", "description")
_NAMES_OF_THINGS = ("description", "synonyms", "owner", "format", "comment", "customExtensions", "resultType")
"""What may be said about a measure without changing its value."""
_RESULTS = {
    "Integer": "int",
    "Decimal": "float",
    "Float": "float",
    "String": "string",
    "Boolean": "boolean",
    "Date": "date",
    "DateTime": "timestamp",
    "DateTimeTz": "timestamp_tz",
    "Time": "time",
}
_WORD = re.compile(r"\W+")


class MetricReader:
    """Reads metrics; `unconverted` keeps those that the model language cannot say."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.unconverted: list[Element] = []

    def read(self, name: str, metric: Element) -> None:
        """Adds the measure or metric; SQL inside it may need measures of its own, which get hidden names."""
        kept = read_extension(metric)
        found = sql_of(metric)
        sql = found[0] if found else None
        kind = _kind(kept)
        if name in self._draft.measures or name in self._draft.metrics:
            self._draft.warn(f"LOSSY: Metric '{name}' is defined more than once; the last definition counts.")
        if kind is not None and (kind is not MetricType.DERIVED or _is_kept(kept, sql)):
            whole = _restored(kept, kind)
            if "obml_sql" in kept and kept["obml_sql"] != sql:
                self._draft.warn(f"Metric '{name}': its SQL was changed, but a {kind.value} metric is not made of SQL.")
            self._add_metric(name, metric, whole)
        elif "obml_aggregation" in kept and kept.get("obml_sql") == sql:
            self._add_measure(name, metric, restored(kept, *_OWN_KEYS))
        else:
            self._convert(name, metric, kept, found)

    def _add_metric(self, name: str, metric: Element, whole: Element) -> None:
        self._draft.metrics[name] = described(metric, whole) | whole

    def _add_measure(self, name: str, metric: Element, whole: Element) -> None:
        declared = metric.get("datatype")
        if "resultType" not in whole and declared in _RESULTS:
            whole["resultType"] = _RESULTS[declared]
        self._draft.measures[name] = whole | described(metric, whole)

    def _convert(self, name: str, metric: Element, kept: Element, found: tuple[str, str] | None) -> None:
        looks = {key: value for key, value in restored(kept, *_OWN_KEYS).items() if key in _LOOKS}
        if "obml_sql" in kept:
            self._draft.warn(f"Metric '{name}': its SQL was changed; the definition it was made from is dropped.")
        elif "obml_aggregation" in kept:
            looks = restored(kept, *_OWN_KEYS)
        try:
            if found is None:
                raise UnconvertibleError("it has no expression in SQL")
            result = read_metric(parse_sql(*found), self._draft.column, self._hidden)
        except UnconvertibleError as reason:
            self._draft.warn(f"LOSSY: Metric '{name}': {reason}; kept as an extension of the model.")
            self.unconverted.append(metric)
            return
        match result:
            case Formula(text=text, measures=measures):
                self._draft.measures |= measures
                self._add_metric(name, metric, {"type": "derived", "expression": text} | looks)
            case dict():
                self._add_measure(name, metric, result | looks)

    def _hidden(self, measure: Element) -> str:
        """The name of a measure inside a formula: one that is defined alike, or a new one."""
        for name, existing in self._draft.measures.items():
            if {key: value for key, value in existing.items() if key not in _NAMES_OF_THINGS} == measure:
                return name
        column = (measure.get("columns") or [{}])[0]
        words = [column.get("dataObject", ""), column.get("column", ""), measure["aggregation"]]
        name = base = "_" + "_".join(_WORD.sub("_", word).strip("_").lower() for word in words if word)
        number = 2
        while self._draft.is_taken(name):
            name, number = f"{base}_{number}", number + 1
        self._draft.measures[name] = measure
        return name


def _is_kept(kept: Element, sql: str | None) -> bool:
    """Whether the extension holds the formula that the SQL was made from, and the SQL is still that."""
    return "obml_expression" in kept and kept.get("obml_sql", sql) == sql


def _kind(kept: Element) -> MetricType | None:
    declared = kept.get("obml_metric_type")
    if isinstance(declared, str) and declared in {kind.value for kind in MetricType}:
        return MetricType(declared)
    return MetricType.DERIVED if kept.get("obml_kind") == "metric" else None


def _restored(kept: Element, kind: MetricType) -> Element:
    own = {written: key for key, written in metric_keys(kind).items()}
    result: dict[str, Any] = {}
    comparison: dict[str, Any] = {}
    for key, value in kept.items():
        if not key.startswith("obml_") or key in _OWN_KEYS:
            continue
        if key in own:
            result[own[key]] = value
        elif kind is MetricType.PERIOD_OVER_PERIOD and key.startswith("obml_pop_"):
            comparison[camel(key.removeprefix("obml_pop_"))] = value
        else:
            result[camel(key.removeprefix("obml_"))] = value
    return result | ({"periodOverPeriod": comparison} if comparison else {})
