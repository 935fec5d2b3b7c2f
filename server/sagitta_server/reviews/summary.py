"""The generated parts of a profile: summary, completeness, confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sagitta_server.reviews.enums import (
    BusinessSummarySource,
    ConfidenceState,
    DatasetType,
    FieldKind,
    FieldProvenance,
    FindingSeverity,
)
from sagitta_server.reviews.fingerprint import effective_filters
from sagitta_server.reviews.gates import is_unsettled
from sagitta_server.reviews.json_text import NULL, JsonText, load
from sagitta_server.reviews.mappings import usable_value
from sagitta_server.reviews.values import Dataset, Field, Filter, Profile, Review

_SURE = {FieldProvenance.DICTIONARY_EXACT, FieldProvenance.REFERENCE_IMPORTED, FieldProvenance.MANUAL_OVERRIDE}
_KIND = {
    DatasetType.TABLE: "a table",
    DatasetType.VIRTUAL: "a virtual dataset (SQL)",
    DatasetType.SQLLAB_VIEW: "a SQL Lab query",
    DatasetType.UNKNOWN: "a dataset",
}
_SHOWN_VALUE = 40


def profile_of(review: Review, now: datetime) -> Profile:
    """The profile with everything derived recomputed; a locked summary stays."""
    profile = _with_dataset(review)
    unsettled = [f for f in review.findings if is_unsettled(f)]
    derived = replace(
        profile,
        has_blocking_findings=any(f.severity is FindingSeverity.BLOCKING for f in unsettled),
        has_warning_findings=any(f.severity is FindingSeverity.WARNING for f in unsettled),
        completeness_score=_completeness(review),
        confidence_state=_confidence(review),
    )
    return derived if derived == review.profile else replace(derived, updated_at=now)


def summary_text(review: Review) -> str:
    """One paragraph about the dataset, from its structure alone."""
    dataset = review.dataset
    if dataset is None or not review.is_resolved:
        return "Dataset not identified yet."
    sentences = [_what(dataset), *_read_with(review), *_variables(review), *_open_points(review)]
    return " ".join(sentences)


def _with_dataset(review: Review) -> Profile:
    dataset, profile = review.dataset, review.profile
    if dataset is None:
        return replace(profile, dataset_name=profile.dataset_name or "(not identified)")
    known = replace(
        profile,
        dataset_name=dataset.name,
        schema_name=dataset.schema_name,
        database_name=dataset.database_name,
        description=dataset.description,
        dataset_type=dataset.dataset_type,
        is_sqllab_view=dataset.dataset_type is DatasetType.SQLLAB_VIEW,
    )
    if profile.manual_summary_locked or profile.business_summary_source is BusinessSummarySource.AI_DRAFT:
        return known
    source = BusinessSummarySource.IMPORTED if dataset.description else BusinessSummarySource.INFERRED
    text = summary_text(review)
    if dataset.description:
        text = f"{dataset.description.strip().rstrip('.')}. {text}"
    return replace(known, business_summary=text, business_summary_source=source)


def _what(dataset: Dataset) -> str:
    if dataset.dataset_type is DatasetType.VIRTUAL and dataset.ref.startswith("model:"):
        kind = "a semantic model"
    else:
        kind = _KIND[dataset.dataset_type]
    place = f" in {dataset.database_name}" if dataset.database_name else ""
    place += f", schema {dataset.schema_name}" if dataset.schema_name else ""
    counts = [_count(len(dataset.columns), "column"), _count(len(dataset.metrics), "metric")]
    time = dataset.main_time_column
    temporal = len(dataset.temporal_columns)
    if time:
        counts.append(f"time column {time}")
    elif temporal:
        counts.append(_count(temporal, "temporal column"))
    return f"{dataset.name} is {kind}{place}: {', '.join(counts)}."


def _read_with(review: Review) -> list[str]:
    shown = [_filter_text(f) for f in effective_filters(review)]
    return [f"It is read here with {_and(shown)}."] if shown else []


def _filter_text(item: Filter) -> str:
    name = item.display_name or item.filter_name
    value = load(item.normalized_value)
    if isinstance(value, list) and not item.is_template:
        return f"{name} ({_count(len(value), 'value')})"
    return name


def _variables(review: Review) -> list[str]:
    if not review.variables:
        return []
    by_variable = {m.variable_id: m for m in review.mappings}
    shown = []
    for variable in review.variables:
        value = usable_value(by_variable.get(variable.variable_id), variable)
        if value == NULL:
            shown.append(f"{variable.variable_name} ({'value missing' if variable.is_required else 'no value'})")
        elif value == variable.default_value:
            shown.append(f"{variable.variable_name} (default {_short(value)})")
        else:
            shown.append(variable.variable_name)
    return [f"Template variables: {', '.join(shown)}."]


def _open_points(review: Review) -> list[str]:
    blocking = sum(f.severity is FindingSeverity.BLOCKING and is_unsettled(f) for f in review.findings)
    return [f"{_count(blocking, 'point')} must be settled before it can run."] if blocking else []


def _completeness(review: Review) -> float | None:
    if not review.is_resolved or review.dataset is None:
        return None
    columns = [f for f in review.fields if f.field_kind is FieldKind.COLUMN]
    metrics = [f for f in review.fields if f.field_kind is FieldKind.METRIC]
    by_variable = {m.variable_id: m for m in review.mappings}
    valued = [usable_value(by_variable.get(v.variable_id), v) != NULL for v in review.variables]
    blocking = any(f.severity is FindingSeverity.BLOCKING and is_unsettled(f) for f in review.findings)
    score = (
        0.30 * _share([bool(f.description) for f in columns])
        + 0.20 * _share([bool(f.verbose_name) for f in columns])
        + 0.20 * _share([bool(f.verbose_name and f.description) for f in metrics])
        + 0.15 * _share(valued)
        + 0.15 * (not blocking)
    )
    return round(score, 2)


def _confidence(review: Review) -> ConfidenceState:
    reviewed = [f for f in review.fields if f.field_kind in {FieldKind.COLUMN, FieldKind.METRIC}]
    share = _share([_is_sure(f) for f in reviewed]) if reviewed else 0.0
    if not review.is_resolved or share == 0:
        return ConfidenceState.UNRESOLVED
    open_points = any(is_unsettled(f) and f.severity is not FindingSeverity.INFORMATIONAL for f in review.findings)
    if share == 1 and not open_points:
        return ConfidenceState.CONFIRMED
    if share >= 0.8:
        return ConfidenceState.MOSTLY_CONFIRMED
    return ConfidenceState.MIXED if share >= 0.4 else ConfidenceState.LOW_CONFIDENCE


def _is_sure(item: Field) -> bool:
    return item.provenance in _SURE and not item.needs_review


def _share(truths: Sequence[bool]) -> float:
    return sum(truths) / len(truths) if truths else 1.0


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _short(value: JsonText) -> str:
    return value if len(value) <= _SHOWN_VALUE else value[: _SHOWN_VALUE - 1] + "…"
