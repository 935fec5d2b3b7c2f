"""Filters recovered from links, saved states, charts and dashboards; pure.

What stands in the URL beats what is saved behind a key, which beats a dashboard's defaults; two that speak about the
same native filter and differ are both kept, in conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sagitta_server.reviews.enums import FilterConfidenceState, FilterRecoveryStatus, FilterSource
from sagitta_server.reviews.json_text import NULL, Json, JsonText, dump, dump_sorted
from sagitta_server.reviews.superset.dashboards import Dashboard, NativeFilter
from sagitta_server.reviews.superset.datasets import objects, text
from sagitta_server.reviews.template_variables import TIME_RANGE
from sagitta_server.reviews.values import Filter

Mask = Mapping[str, Json]
NO_FILTER = "No filter"
_ALIASES = {"=": "==", "<>": "!=", "EQUALS": "==", "NOT_EQUALS": "!="}
_LISTS = frozenset({"IN", "NOT IN"})
_VALUELESS = frozenset({"IS NULL", "IS NOT NULL", "IS TRUE", "IS FALSE"})


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a filter from some place is believed."""

    source: FilterSource
    confidence: FilterConfidenceState = FilterConfidenceState.IMPORTED
    status: FilterRecoveryStatus = FilterRecoveryStatus.RECOVERED
    requires_confirmation: bool = False
    notes: str | None = None


SAVED = Trust(FilterSource.SUPERSET_NATIVE)
"""State behind a key or a permalink, the form of a saved chart, a dashboard's default where nothing else is said."""
IN_URL = Trust(FilterSource.SUPERSET_URL)
"""What the URL itself spells out."""
GUESSED = Trust(
    FilterSource.SUPERSET_NATIVE,
    FilterConfidenceState.INFERRED,
    FilterRecoveryStatus.PARTIAL,
    requires_confirmation=True,
    notes="the state that the link names is gone; this is the stored default",
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One condition inside a mask or a form."""

    column: str | None
    operator: str
    raw: Json


def dashboard_filters(
    dashboard: Dashboard, dataset_id: int, *, in_url: Mask, state: Mask, state_is_lost: bool
) -> tuple[Filter, ...]:
    """The filters that a dashboard applies to a dataset."""
    found: list[Filter] = []
    for item in dashboard.filters:
        found.extend(_native(dashboard, item, dataset_id, in_url, state, state_is_lost=state_is_lost))
    configured = {item.filter_id for item in dashboard.filters}
    for mask, trust, place in ((in_url, IN_URL, "url"), (state, SAVED, "state")):
        for key, content in mask.items():
            if key not in configured and isinstance(content, dict):
                title = f"Cross filter from {dashboard.chart_name(key)}" if key.isdigit() else key
                found.extend(_of_mask(content, trust, title, f"{place}:{key}"))
    return _distinct(found)


def form_filters(form: Mapping[str, Json], trust: Trust) -> tuple[Filter, ...]:
    """The filters of a chart's form."""
    found = [_filter(part, _for(part, trust), part.column or part.operator, "form") for part in _form_parts(form)]
    extra = form.get("extra_form_data")
    if isinstance(extra, dict):
        found += [_filter(part, _for(part, trust), part.column or TIME_RANGE, "extra") for part in _extra_parts(extra)]
    return _distinct(found)


def url_filters(params: Mapping[str, str]) -> tuple[Filter, ...]:
    """URL parameters that the dataset's template reads."""
    return tuple(
        Filter(
            filter_id="",
            filter_name=name,
            raw_value=dump(value),
            normalized_value=dump(value),
            source=FilterSource.SUPERSET_URL,
            confidence_state=FilterConfidenceState.IMPORTED,
            recovery_status=FilterRecoveryStatus.RECOVERED,
            operator="URL_PARAM",
            origin="url",
        )
        for name, value in params.items()
    )


def _native(
    dashboard: Dashboard, item: NativeFilter, dataset_id: int, in_url: Mask, state: Mask, *, state_is_lost: bool
) -> Iterator[Filter]:
    key, scope = item.filter_id, dashboard.applies(item, dataset_id)
    spelled, saved = in_url.get(key), state.get(key)
    first = _of_mask(spelled, IN_URL, item.title, f"url:{key}") if isinstance(spelled, dict) else None
    second = _of_mask(saved, SAVED, item.title, f"state:{key}") if isinstance(saved, dict) else None
    if first is not None and second is not None and _meaning(first) != _meaning(second):
        both = (*first, *second)
        yield from (replace(f, recovery_status=FilterRecoveryStatus.CONFLICTED, dataset_scope=scope) for f in both)
        return
    told = first if first is not None else second
    if told is None:
        told = _of_mask(item.default_mask, GUESSED if state_is_lost else SAVED, item.title, f"default:{key}")
    yield from (replace(f, dataset_scope=scope) for f in told or [_without_value(item)])


def _meaning(found: Iterable[Filter]) -> frozenset[tuple[str | None, str, str]]:
    return frozenset((f.column_name, f.operator, f.normalized_value) for f in found)


def _of_mask(content: Mapping[str, Json], trust: Trust, title: str, origin: str) -> list[Filter]:
    extra = content.get("extraFormData")
    parts = _extra_parts(extra) if isinstance(extra, dict) else ()
    return [_filter(part, _for(part, trust), title, origin) for part in parts]


def _without_value(item: NativeFilter) -> Filter:
    name = item.columns[0] if item.columns else item.title
    return Filter(
        filter_id="",
        filter_name=name,
        raw_value=NULL,
        source=FilterSource.SUPERSET_NATIVE,
        confidence_state=FilterConfidenceState.UNRESOLVED,
        recovery_status=FilterRecoveryStatus.MISSING,
        display_name=item.title,
        operator="IN",
        column_name=item.columns[0] if item.columns else None,
        notes="The dashboard offers this filter; no value is chosen.",
        origin=f"native:{item.filter_id}",
    )


def _extra_parts(extra: Mapping[str, Json]) -> Iterator[_Part]:
    """The conditions of an `extraFormData`."""
    for item in objects(extra.get("filters")):
        column, operator = text(item.get("col")), _operator(item.get("op"))
        if column is not None and not _says_nothing(operator, item.get("val")):
            yield _Part(column, operator, item.get("val"))
    yield from _form_parts({k: v for k, v in extra.items() if k in {"adhoc_filters", "time_range", "granularity_sqla"}})


def _form_parts(form: Mapping[str, Json]) -> Iterator[_Part]:
    """The conditions of a chart's form; those on aggregated values (HAVING) are no filters of the dataset."""
    for item in objects(form.get("adhoc_filters")):
        if str(item.get("clause") or "WHERE").upper() != "WHERE":
            continue
        if str(item.get("expressionType") or "SIMPLE").upper() == "SQL":
            if (expression := text(item.get("sqlExpression"))) is not None:
                yield _Part(None, "SQL", expression)
            continue
        column, operator = text(item.get("subject")), _operator(item.get("operator"))
        if column is not None and not _says_nothing(operator, item.get("comparator")):
            yield _Part(column, operator, item.get("comparator"))
    time_range = text(form.get("time_range"))
    if time_range is not None and time_range != NO_FILTER:
        yield _Part(text(form.get("granularity_sqla")), "TEMPORAL_RANGE", time_range)


def _operator(value: Json) -> str:
    upper = str(value or "==").strip().upper().replace("_", " ")
    known = {"TEMPORAL RANGE": "TEMPORAL_RANGE", **_ALIASES}
    return known.get(upper, upper)


def _says_nothing(operator: str, value: Json) -> bool:
    if operator in _VALUELESS:
        return False
    return value is None or value == [] or (operator == "TEMPORAL_RANGE" and value in {NO_FILTER, ""})


def _for(part: _Part, trust: Trust) -> Trust:
    """Free SQL is used as it stands only once its owner has looked at it."""
    if part.operator != "SQL":
        return trust
    return Trust(
        FilterSource.SUPERSET_URL,
        trust.confidence,
        FilterRecoveryStatus.PARTIAL,
        requires_confirmation=True,
        notes="an SQL expression, kept as text",
    )


def _filter(part: _Part, trust: Trust, title: str, origin: str) -> Filter:
    return Filter(
        filter_id="",
        filter_name=_name(part),
        raw_value=dump(part.raw),
        normalized_value=_normalized(part),
        source=trust.source,
        confidence_state=trust.confidence,
        recovery_status=trust.status,
        requires_confirmation=trust.requires_confirmation,
        display_name=title[:200],
        notes=trust.notes,
        operator=part.operator,
        column_name=part.column,
        origin=origin,
    )


def _name(part: _Part) -> str:
    if part.column is not None:
        return part.column
    return TIME_RANGE if part.operator == "TEMPORAL_RANGE" else "SQL expression"


def _normalized(part: _Part) -> JsonText:
    if part.operator in _VALUELESS:
        return NULL
    if part.operator == "TEMPORAL_RANGE":
        return dump({"time_range": part.raw})
    if part.operator in _LISTS:
        return dump(part.raw if isinstance(part.raw, list) else [part.raw])
    if isinstance(part.raw, list) and len(part.raw) == 1:
        return dump(part.raw[0])
    return dump(part.raw)


def _distinct(found: Iterable[Filter]) -> tuple[Filter, ...]:
    """Equal conditions once; further ones of the same column, operator and place told apart by their origin."""
    kept: dict[tuple[str, str, str], Filter] = {}
    seen: set[tuple[str, str, str, str]] = set()
    for item in found:
        meaning = (item.filter_name, item.operator, item.origin, dump_sorted(item.normalized_value))
        if meaning in seen:
            continue
        seen.add(meaning)
        number, origin = 1, item.origin
        while (item.filter_name, item.operator, origin) in kept:
            number += 1
            origin = f"{item.origin}#{number}"
        kept[item.filter_name, item.operator, origin] = replace(item, origin=origin)
    return tuple(kept.values())
