"""What a dataset's SQL is compiled with: filters, URL parameters, a time range and plain values; pure.

Superset feeds templates in different ways: `filter_values` reads the query's filters, `url_param` its URL parameters,
`from_dttm` its time range, and a plain name only the parameters stored with the dataset. So a plain name with another
value than the stored one needs another way of compiling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sagitta_server.reviews.enums import VariableKind
from sagitta_server.reviews.environment import CompileRequest
from sagitta_server.reviews.json_text import NULL, Json, JsonText, dump, dump_sorted, load
from sagitta_server.reviews.template_variables import TIME_RANGE, DiscoveredVariable, discover
from sagitta_server.reviews.values import Filter, TemplateText

_BOUNDARIES = {"from_dttm": 0, "to_dttm": 1, "inner_from_dttm": 0, "inner_to_dttm": 1}
_FEEDING = frozenset({"IN", "=="})


@dataclass(frozen=True, slots=True)
class QueryFilter:
    """One filter of the query."""

    column: str
    operator: str
    value: Json


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that shapes the compiled text beside the dataset itself."""

    filters: tuple[QueryFilter, ...] = ()
    """Filters of the query, those included that only feed a template."""
    conditions: tuple[str, ...] = ()
    """Free SQL."""
    url_params: Mapping[str, str] = field(default_factory=dict)
    time_column: str | None = None
    time_range: str | None = None
    """On `time_column`, as Superset spells it: `2024-01-01 : 2024-07-01` or `Last quarter`."""
    values: Mapping[str, Json] = field(default_factory=dict)
    """Plain names."""
    overrides: bool = False
    """Some plain name has another value than the dataset itself gives it."""


def inputs_of(request: CompileRequest) -> Inputs:
    """The inputs of a compilation."""
    texts = (*request.dataset.templates, *_free_templates(request.filters))
    held = load(request.dataset.template_params)
    stored = held if isinstance(held, dict) else {}
    found = Inputs(time_column=request.time_column)
    for item in request.filters:
        found = _with_filter(found, item)
    for variable in discover(texts, frozenset(stored)).variables:
        found = _with_variable(found, variable, request.values.get(variable.name, NULL), stored)
    return found


def boundaries(time_range: str) -> tuple[str | None, str | None] | None:
    """Start and end of a fixed time range as ISO 8601 date-times, None where it is open; None for a relative one."""
    start, separator, end = time_range.partition(" : ")
    if not separator:
        return None
    parts = [part.strip() for part in (start, end)]
    try:
        known = [datetime.fromisoformat(part).isoformat() if part else None for part in parts]
    except ValueError:
        return None
    return known[0], known[1]


def _free_templates(filters: tuple[Filter, ...]) -> list[TemplateText]:
    free = [load(f.normalized_value) for f in filters if f.operator == "SQL"]
    return [TemplateText("filter", text) for text in free if isinstance(text, str)]


def _with_filter(found: Inputs, item: Filter) -> Inputs:
    value = load(item.normalized_value)
    match item.operator:
        case "URL_PARAM":
            return found
        case "SQL":
            return replace(found, conditions=(*found.conditions, str(value)))
        case "TEMPORAL_RANGE":
            text = str(value.get("time_range", "")) if isinstance(value, dict) else str(value)
            return _with_range(found, item.column_name, text)
        case operator:
            column = item.column_name or item.filter_name
            return replace(found, filters=(*found.filters, QueryFilter(column, operator, value)))


def _with_range(found: Inputs, column: str | None, text: str) -> Inputs:
    """The main time range, or a further one on another column."""
    if column is None or column == found.time_column:
        return replace(found, time_range=text)
    if found.time_column is None:
        return replace(found, time_column=column, time_range=text)
    return replace(found, filters=(*found.filters, QueryFilter(column, "TEMPORAL_RANGE", text)))


def _with_variable(found: Inputs, variable: DiscoveredVariable, value: JsonText, stored: Mapping[str, Json]) -> Inputs:
    match variable.kind:
        case VariableKind.NATIVE_FILTER if variable.shape == "time":
            given = load(value)
            column = None if variable.name == TIME_RANGE else variable.name
            return _with_range(found, column, given) if isinstance(given, str) and given else found
        case VariableKind.NATIVE_FILTER:
            return _feeding(found, variable.name, load(value))
        case VariableKind.PARAMETER:
            return _with_parameter(found, variable, value, stored)
        case VariableKind.DERIVED:
            return _with_derived(found, variable.name, load(value))
        case VariableKind.UNKNOWN:
            return found


def _feeding(found: Inputs, name: str, value: Json) -> Inputs:
    """The filters so that the template reads exactly these values under `name`."""
    same = [f for f in found.filters if f.column == name]
    wanted = _listed(value)
    if wanted == [v for f in same for v in _listed(f.value)]:
        return found
    others = tuple(f for f in found.filters if f.column != name or f.operator not in _FEEDING)
    if not wanted:
        return replace(found, filters=others)
    return replace(found, filters=(*others, QueryFilter(name, "IN", list(wanted))))


def _listed(value: Json) -> list[Json]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _with_parameter(found: Inputs, variable: DiscoveredVariable, value: JsonText, stored: Mapping[str, Json]) -> Inputs:
    given = load(value)
    if given is None:
        return found
    if variable.is_escaped:
        text = given if isinstance(given, str) else dump(given)
        return replace(found, url_params={**found.url_params, variable.name: text})
    own = dump(stored[variable.name]) if variable.name in stored else variable.default_value
    differs = dump_sorted(given) != dump_sorted(load(own))
    return replace(found, values={**found.values, variable.name: given}, overrides=found.overrides or differs)


def _with_derived(found: Inputs, name: str, value: Json) -> Inputs:
    position = _BOUNDARIES.get(name)
    if position is None:
        if value is None:
            return found
        return replace(found, values={**found.values, name: value}, overrides=True)
    if value == found.time_range and value is not None:
        return found  # a relative range is passed on as a whole
    parts = [part.strip() for part in (found.time_range or " : ").partition(" : ")[::2]]
    if found.time_range is not None and " : " not in found.time_range:
        parts = ["", ""]
    wanted = "" if value is None else str(value)
    if parts[position] == wanted:
        return found
    parts[position] = wanted
    return replace(found, time_range=f"{parts[0]} : {parts[1]}" if any(parts) else None)
