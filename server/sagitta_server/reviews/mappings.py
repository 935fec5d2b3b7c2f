"""Filters mapped to template variables: pairing, transformation, warnings, approval.

The first method that fits wins: equal names, names equal in normal form, names that are alike. What was changed on the
way from the filter's value to the variable's is a warning, and every warning needs the owner's approval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation

from sagitta_server.reviews.enums import (
    ApprovalState,
    FilterConfidenceState,
    FilterRecoveryStatus,
    FilterSource,
    MappingMethod,
    MappingStatus,
    MappingWarningLevel,
    VariableKind,
)
from sagitta_server.reviews.json_text import NULL, Json, JsonText, dump, load
from sagitta_server.reviews.names import norm, similarity
from sagitta_server.reviews.template_variables import MARKS, TIME_RANGE
from sagitta_server.reviews.values import Filter, Mapping, Review, Variable

SEMANTIC_THRESHOLD = 0.65
MAX_ELEMENTS = 1000
MAX_VALUE_BYTES = 65_536
_LOSSY_OPERATORS = frozenset({"!=", "NOT IN", "LIKE", "ILIKE", ">", ">=", "<", "<=", "TEMPORAL_RANGE"})
_UNSAFE = ("'", '"', ";", "--", "/*", *MARKS)
_LEVELS = {level: position for position, level in enumerate(MappingWarningLevel, start=1)}
_METHOD_WARNING: dict[MappingMethod, MappingWarningLevel | None] = {
    MappingMethod.DIRECT_MATCH: None,
    MappingMethod.HEURISTIC_MATCH: MappingWarningLevel.MEDIUM,
    MappingMethod.SEMANTIC_MATCH: MappingWarningLevel.HIGH,
    MappingMethod.MANUAL_OVERRIDE: None,
}
_METHOD_NOTE = {
    MappingMethod.DIRECT_MATCH: "same name",
    MappingMethod.HEURISTIC_MATCH: "names equal but for spelling",
    MappingMethod.SEMANTIC_MATCH: "names only alike",
    MappingMethod.MANUAL_OVERRIDE: "value given by hand",
}
_ISO_START = re.compile(r"^\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Transformation:
    """A filter's value brought into the shape that a variable wants."""

    value: JsonText
    note: str | None = None
    warning: MappingWarningLevel | None = None
    is_invalid: bool = False


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """A variable that several filters fit equally well."""

    variable_id: str
    filter_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pairing:
    """All filters and mappings of a review after pairing."""

    filters: tuple[Filter, ...]
    mappings: tuple[Mapping, ...]


def pair(review: Review, new_id: Callable[[], str]) -> Pairing:
    """Links variables to filters; mappings that exist keep their id, their method and the owner's decisions."""
    filters = tuple(f for f in review.filters if not f.is_placeholder)
    by_variable = {m.variable_id: m for m in review.mappings}
    placeholders: list[Filter] = []
    mappings: list[Mapping] = []
    for variable in review.variables:
        existing = by_variable.get(variable.variable_id)
        kept = _placeholder_of(review, existing)
        if existing is not None and (kept is not None or any(f.filter_id == existing.filter_id for f in filters)):
            chosen = kept or next(f for f in filters if f.filter_id == existing.filter_id)
            better = _fitting(review, variable, filters)
            if kept is not None and len(better) == 1 and existing.mapping_method is not MappingMethod.MANUAL_OVERRIDE:
                mappings.append(fresh_mapping(variable, better[0][0], better[0][1], existing.mapping_id))
                continue
            if kept is not None:
                placeholders.append(kept)
            mappings.append(refresh(existing, chosen, variable))
            continue
        found = _fitting(review, variable, filters)
        if len(found) == 1:
            mappings.append(fresh_mapping(variable, found[0][0], found[0][1], new_id()))
        elif not found and variable.is_required and variable.default_value == NULL:
            placeholder = _placeholder(variable, new_id())
            placeholders.append(placeholder)
            mappings.append(fresh_mapping(variable, placeholder, MappingMethod.DIRECT_MATCH, new_id()))
    return Pairing((*filters, *placeholders), tuple(mappings))


def ambiguities(review: Review) -> tuple[Ambiguity, ...]:
    """Variables without a mapping that two filters or more fit by the same best method."""
    mapped = {m.variable_id for m in review.mappings}
    return tuple(
        Ambiguity(v.variable_id, tuple(f.filter_id for f, _ in found))
        for v in review.variables
        if v.variable_id not in mapped and len(found := _fitting(review, v, _usable(review.filters))) > 1
    )


def fresh_mapping(variable: Variable, source: Filter, method: MappingMethod, mapping_id: str) -> Mapping:
    """A mapping made by `method`, with its value, warnings and approval."""
    blank = Mapping(
        mapping_id=mapping_id,
        filter_id=source.filter_id,
        variable_id=variable.variable_id,
        mapping_method=method,
        raw_input_value=source.raw_value,
    )
    return _with_transformation(blank, method, transform(source, variable))


def refresh(mapping: Mapping, source: Filter, variable: Variable) -> Mapping:
    """The mapping after its filter may have changed; an approval of another value is dropped."""
    if mapping.mapping_method is MappingMethod.MANUAL_OVERRIDE or mapping.approval_state is ApprovalState.REJECTED:
        return replace(mapping, raw_input_value=source.raw_value)
    again = fresh_mapping(variable, source, mapping.mapping_method, mapping.mapping_id)
    same = (again.effective_value, again.warning_level, again.is_invalid) == (
        mapping.effective_value,
        mapping.warning_level,
        mapping.is_invalid,
    )
    return replace(mapping, raw_input_value=source.raw_value) if same else replace(again, owner_note=mapping.owner_note)


def set_value(mapping: Mapping, value: JsonText, user_id: str, at: datetime) -> Mapping:
    """The owner's own value; writing it is approving it."""
    return replace(
        mapping,
        effective_value=value,
        mapping_method=MappingMethod.MANUAL_OVERRIDE,
        transformation_note=_METHOD_NOTE[MappingMethod.MANUAL_OVERRIDE],
        warning_level=None,
        requires_explicit_approval=False,
        approval_state=ApprovalState.APPROVED,
        approved_by_user_id=user_id,
        approved_at=at,
        is_invalid=False,
    )


def approve(mapping: Mapping, user_id: str, at: datetime) -> Mapping:
    """The owner's approval of a pending or rejected mapping."""
    return replace(mapping, approval_state=ApprovalState.APPROVED, approved_by_user_id=user_id, approved_at=at)


def reject(mapping: Mapping) -> Mapping:
    """The filter is not passed to the variable."""
    return replace(mapping, approval_state=ApprovalState.REJECTED, approved_by_user_id=None, approved_at=None)


def method_fits(review: Review, variable: Variable, source: Filter, method: MappingMethod) -> bool:
    """`method` can link these two."""
    return method in _methods(review, variable, source)


def usable_value(mapping: Mapping | None, variable: Variable) -> JsonText:
    """The value a variable is compiled with; JSON null when there is none."""
    if mapping is None or mapping.approval_state is ApprovalState.REJECTED or mapping.is_invalid:
        return variable.default_value
    return variable.default_value if _is_empty(mapping.effective_value) else mapping.effective_value


def status_of(mapping: Mapping | None) -> MappingStatus:
    """State of a variable's value."""
    if mapping is None or mapping.approval_state is ApprovalState.REJECTED:
        return MappingStatus.UNMAPPED
    if mapping.is_invalid:
        return MappingStatus.INVALID
    if _is_empty(mapping.effective_value):
        return MappingStatus.UNMAPPED
    if mapping.mapping_method is MappingMethod.MANUAL_OVERRIDE:
        return MappingStatus.OVERRIDDEN
    return MappingStatus.PROPOSED if mapping.approval_state is ApprovalState.PENDING else MappingStatus.APPROVED


def transform(source: Filter, variable: Variable) -> Transformation:
    """The filter's value in the shape that the variable wants."""
    value = load(source.normalized_value)
    if value is None or value == []:
        return Transformation(NULL)
    if variable.shape == "time":
        return _time_value(value, variable)
    lossy = source.operator in _LOSSY_OPERATORS and not variable.keeps_operator and not source.is_placeholder
    if variable.shape == "list":
        result = _list_value(value)
        if lossy and variable.variable_kind is VariableKind.NATIVE_FILTER:
            note = f"the operator {source.operator} is lost: the template reads values only"
            return replace(result, note=note, warning=MappingWarningLevel.HIGH)
        return result
    result = _scalar_value(value)
    if variable.shape == "number":
        result = _as_number(result)
    return _with_safety(result, variable)


def check_manual_value(variable: Variable, value: Json) -> str | None:
    """What is wrong with a value given by hand; None when the variable can take it."""
    if len(dump(value).encode()) > MAX_VALUE_BYTES:
        return f"a value of at most {MAX_VALUE_BYTES // 1024} KiB"
    if variable.shape == "time":
        return None if _is_time(value, variable) else _time_expectation(variable)
    if variable.shape == "list":
        elements = value if isinstance(value, list) else [value]
        if len(elements) > MAX_ELEMENTS:
            return f"at most {MAX_ELEMENTS} elements"
        return None if elements and all(_is_scalar(e) for e in elements) else "a list of strings, numbers or booleans"
    if variable.shape == "number":
        return None if _is_scalar(value) and _number(value) is not None else "a number"
    return None if _is_scalar(value) else "a string, a number or a boolean"


def manual_value(variable: Variable, value: Json) -> JsonText:
    """A checked value in the variable's shape: list variables take a scalar as a one-element list."""
    if variable.shape == "list" and not isinstance(value, list):
        return dump([value])
    if variable.shape == "number" and isinstance(value, str):
        return dump(_number(value))
    return dump(value)


def is_unsafe(variable: Variable, value: JsonText) -> bool:
    """The value would be pasted into SQL as it stands and holds characters that can change it."""
    if variable.is_escaped or value == NULL:
        return False
    texts = load(value)
    items = texts if isinstance(texts, list) else [texts]
    return any(isinstance(item, str) and any(mark in item for mark in _UNSAFE) for item in items)


def is_relative_time(value: JsonText) -> bool:
    """A time range whose boundaries depend on the day it is compiled."""
    parsed = load(value)
    text = parsed.get("time_range") if isinstance(parsed, dict) else parsed
    if not isinstance(text, str) or not text or text == "No filter":
        return False
    return not all(_ISO_START.match(part.strip()) or not part.strip() for part in text.split(" : "))


def _usable(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    return tuple(
        f
        for f in filters
        if f.dataset_scope
        and not f.is_template
        and not f.is_placeholder
        and f.recovery_status is not FilterRecoveryStatus.CONFLICTED
    )


def _fitting(review: Review, variable: Variable, filters: tuple[Filter, ...]) -> list[tuple[Filter, MappingMethod]]:
    """Filters that fit by the best method that fits at all."""
    if variable.variable_kind is VariableKind.UNKNOWN:
        return []
    pairs = [(f, method) for f in _usable(filters) for method in _methods(review, variable, f)]
    best = next((method for method in MappingMethod if any(m is method for _, m in pairs)), None)
    return [(f, method) for f, method in pairs if method is best]


def _methods(review: Review, variable: Variable, source: Filter) -> tuple[MappingMethod, ...]:
    if variable.variable_kind is VariableKind.UNKNOWN or _is_empty(source.normalized_value):
        return ()
    name, own = variable.variable_name, source.column_name or source.filter_name
    if variable.shape == "time":
        return (MappingMethod.DIRECT_MATCH,) if _feeds_time(review, variable, source) else ()
    if variable.variable_kind is VariableKind.DERIVED:
        return ()
    if source.operator in {"TEMPORAL_RANGE", "SQL"}:
        return ()
    if own == name:
        return (MappingMethod.DIRECT_MATCH,)
    if norm(own) == norm(name) or (source.display_name and norm(source.display_name) == norm(name)):
        return (MappingMethod.HEURISTIC_MATCH,)
    labels = (own, source.display_name, _label_of(review, own))
    if max(similarity(name, label) for label in labels if label) >= SEMANTIC_THRESHOLD:
        return (MappingMethod.SEMANTIC_MATCH,)
    return ()


def _feeds_time(review: Review, variable: Variable, source: Filter) -> bool:
    if source.operator != "TEMPORAL_RANGE" and source.filter_name != TIME_RANGE:
        return source.operator == "URL_PARAM" and source.filter_name == variable.variable_name
    if source.filter_name == TIME_RANGE:
        return True
    if variable.variable_kind is VariableKind.NATIVE_FILTER and variable.variable_name != TIME_RANGE:
        return source.column_name == variable.variable_name
    main = review.session.main_time_column or (review.dataset.main_time_column if review.dataset else None)
    return main is None or source.column_name == main


def _label_of(review: Review, column: str) -> str | None:
    return next((f.verbose_name for f in review.fields if f.field_name == column), None)


def _placeholder_of(review: Review, mapping: Mapping | None) -> Filter | None:
    if mapping is None:
        return None
    return next((f for f in review.filters if f.filter_id == mapping.filter_id and f.is_placeholder), None)


def _placeholder(variable: Variable, filter_id: str) -> Filter:
    return Filter(
        filter_id=filter_id,
        filter_name=variable.variable_name,
        raw_value=NULL,
        source=FilterSource.MANUAL,
        confidence_state=FilterConfidenceState.UNRESOLVED,
        recovery_status=FilterRecoveryStatus.MISSING,
        notes="No filter was found for this required variable; give the value on its mapping.",
        operator="URL_PARAM",
        is_placeholder=True,
        origin="placeholder",
    )


def _with_transformation(mapping: Mapping, method: MappingMethod, result: Transformation) -> Mapping:
    warnings = [w for w in (_METHOD_WARNING[method], result.warning) if w is not None]
    if result.value == NULL and not result.is_invalid:
        warnings = []
    level = max(warnings, key=_LEVELS.__getitem__, default=None)
    notes = [_METHOD_NOTE[method], *([result.note] if result.note else [])]
    return replace(
        mapping,
        effective_value=result.value,
        transformation_note="; ".join(notes),
        warning_level=level,
        requires_explicit_approval=level is not None,
        approval_state=ApprovalState.NOT_REQUIRED if level is None else ApprovalState.PENDING,
        approved_by_user_id=None,
        approved_at=None,
        is_invalid=result.is_invalid,
    )


def _time_value(value: Json, variable: Variable) -> Transformation:
    text = value.get("time_range") if isinstance(value, dict) else value
    if not isinstance(text, str):
        return Transformation(NULL, note="not a time range", is_invalid=True)
    if variable.variable_name.endswith(("from_dttm", "to_dttm")) and " : " in text:
        start, _, end = text.partition(" : ")
        part = (start if "from_dttm" in variable.variable_name else end).strip()
        return Transformation(dump(part) if part else NULL, note="boundary of the time range")
    return Transformation(dump(text))


def _list_value(value: Json) -> Transformation:
    if isinstance(value, list):
        return Transformation(dump(value))
    return Transformation(dump([value]), note="one value as a list")


def _scalar_value(value: Json) -> Transformation:
    if not isinstance(value, list):
        return Transformation(dump(value))
    if len(value) == 1:
        return Transformation(dump(value[0]), note="the only element of the list", warning=MappingWarningLevel.LOW)
    return Transformation(
        dump(value[0]),
        note=f"the first of {len(value)} elements; the others are lost",
        warning=MappingWarningLevel.HIGH,
    )


def _as_number(result: Transformation) -> Transformation:
    value = load(result.value)
    if not isinstance(value, str):
        return result
    number = _number(value)
    if number is None or str(number) != value.strip():
        return replace(result, note="the template compares it as a number, and the text is none", is_invalid=True)
    worst = max(result.warning or MappingWarningLevel.LOW, MappingWarningLevel.LOW, key=_LEVELS.__getitem__)
    return replace(result, value=dump(number), note="numeric text as a number", warning=worst)


def _with_safety(result: Transformation, variable: Variable) -> Transformation:
    if not is_unsafe(variable, result.value):
        return result
    note = "holds quotes or template marks, and the template pastes it unescaped"
    return replace(result, note="; ".join(filter(None, (result.note, note))), warning=MappingWarningLevel.HIGH)


def _number(value: Json) -> int | Decimal | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | Decimal):
        return value
    if not isinstance(value, str) or len(value) > 100:
        return None
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    return int(value) if re.fullmatch(r"[+-]?\d+", value.strip()) else number


def _is_scalar(value: Json) -> bool:
    return isinstance(value, str | bool | int | Decimal)


def _is_empty(value: JsonText) -> bool:
    return value in {NULL, "[]"}


def _is_time(value: Json, variable: Variable) -> bool:
    if not isinstance(value, str) or not value.strip():
        return False
    if _is_boundary(variable):
        return _parses(value)
    start, separator, end = value.partition(" : ")
    return bool(separator) and all(not part.strip() or _parses(part.strip()) for part in (start, end))


def _is_boundary(variable: Variable) -> bool:
    return variable.variable_kind is VariableKind.DERIVED


def _time_expectation(variable: Variable) -> str:
    if _is_boundary(variable):
        return "an ISO 8601 date or date-time, e.g. 2024-01-31 or 2024-01-31T12:00:00"
    return "a time range of the form 2024-01-01 : 2024-07-01"


def _parses(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
