"""What the owner decides about a mapping: another value, another method, approval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sagitta_server.reviews.enums import ApprovalState, MappingMethod, ResolutionState
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.json_text import NULL, JsonText, load
from sagitta_server.reviews.mappings import (
    approve,
    check_manual_value,
    fresh_mapping,
    manual_value,
    method_fits,
    reject,
    set_value,
)
from sagitta_server.reviews.values import Filter, Finding, Mapping, Review, Variable

MAX_NOTE = 2000


@dataclass(frozen=True, slots=True)
class MappingUpdate:
    """The body of a mapping update; `value` None means absent, JSON null means "do not pass the filter"."""

    value: JsonText | None = None
    method: MappingMethod | None = None
    note: str | None = None


def find_mapping(review: Review, mapping_id: str) -> Mapping:
    """The mapping of this review.

    Raises:
        ReviewError: `mapping_not_found`.
    """
    found = next((m for m in review.mappings if m.mapping_id == mapping_id), None)
    if found is None:
        raise ReviewError("mapping_not_found", "This session has no such mapping.")
    return found


def variable_of(review: Review, mapping: Mapping) -> Variable:
    """The variable that a mapping feeds."""
    return next(v for v in review.variables if v.variable_id == mapping.variable_id)


def filter_of(review: Review, mapping: Mapping) -> Filter:
    """The filter that feeds a mapping."""
    return next(f for f in review.filters if f.filter_id == mapping.filter_id)


def update_mapping(review: Review, mapping_id: str, update: MappingUpdate, user_id: str, now: datetime) -> Review:
    """The review after a mapping update.

    Raises:
        ReviewError: nothing is given, the value has the wrong shape, or the method cannot link these two.
    """
    mapping = find_mapping(review, mapping_id)
    if update.value is None and update.method is None and update.note is None:
        raise ReviewError("empty_update", "Give effective_value, mapping_method or transformation_note.")
    if update.value is not None:
        if update.method not in {None, MappingMethod.MANUAL_OVERRIDE}:
            raise ReviewError(
                "value_requires_manual_override", "A value goes with mapping_method manual_override, or with none."
            )
        mapping = _with_value(review, mapping, update.value, user_id, now)
    elif update.method is not None:
        mapping = _with_method(review, mapping, update.method)
    if update.note is not None:
        mapping = replace(mapping, owner_note=update.note[:MAX_NOTE])
    return with_mapping(review, mapping)


def approve_mapping(review: Review, mapping_id: str, user_id: str, now: datetime) -> Review:
    """The review with a mapping approved; approving twice changes nothing.

    Raises:
        ReviewError: `mapping_not_approvable`.
    """
    mapping = find_mapping(review, mapping_id)
    if mapping.is_invalid or mapping.effective_value == NULL:
        raise ReviewError(
            "mapping_not_approvable", "The mapping has no usable value; give it one with effective_value."
        )
    if mapping.approval_state in {ApprovalState.APPROVED, ApprovalState.NOT_REQUIRED}:
        return review
    changed = with_mapping(review, approve(mapping, user_id, now))
    refs = {f"mapping:{mapping_id}", f"variable:{mapping.variable_id}"}
    return replace(
        changed, findings=tuple(_approved(f, now) if f.caused_by_ref in refs else f for f in review.findings)
    )


def reject_mapping(review: Review, mapping_id: str) -> Review:
    """The review with a filter not passed to its variable."""
    return with_mapping(review, reject(find_mapping(review, mapping_id)))


def with_mapping(review: Review, changed: Mapping) -> Review:
    """The review with one mapping replaced."""
    mappings = tuple(changed if m.mapping_id == changed.mapping_id else m for m in review.mappings)
    return replace(review, mappings=mappings)


def _with_value(review: Review, mapping: Mapping, value: JsonText, user_id: str, now: datetime) -> Mapping:
    parsed = load(value)
    if parsed is None:
        return reject(mapping)
    variable = variable_of(review, mapping)
    expected = check_manual_value(variable, parsed)
    if expected is not None:
        raise ReviewError(
            "invalid_effective_value",
            f"{variable.variable_name} takes {expected}.",
            {"expected": expected, "variable": variable.variable_name},
        )
    return set_value(mapping, manual_value(variable, parsed), user_id, now)


def _with_method(review: Review, mapping: Mapping, method: MappingMethod) -> Mapping:
    variable, source = variable_of(review, mapping), filter_of(review, mapping)
    if method is MappingMethod.MANUAL_OVERRIDE or not method_fits(review, variable, source, method):
        raise ReviewError(
            "mapping_method_not_applicable",
            f"{method} cannot link {source.filter_name} and {variable.variable_name}.",
            {"mapping_method": method.value},
        )
    return replace(fresh_mapping(variable, source, method, mapping.mapping_id), owner_note=mapping.owner_note)


def _approved(finding: Finding, now: datetime) -> Finding:
    if finding.code not in {"MAPPING_APPROVAL_REQUIRED", "UNSAFE_TEMPLATE_VALUE"}:
        return finding
    return replace(finding, resolution_state=ResolutionState.APPROVED, resolved_at=now)
