"""What a preview was made of, as one hash, and whether that still holds.

Approvals, labels and findings are not in the fingerprint: approving does not make a preview stale, a changed value
does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping as MappingOf
from datetime import datetime, timedelta

from sagitta_server.reviews.enums import FilterRecoveryStatus, PreviewStatus
from sagitta_server.reviews.json_text import Json, JsonText, dump_sorted, load
from sagitta_server.reviews.mappings import is_relative_time, usable_value
from sagitta_server.reviews.values import Filter, Preview, Review

FORMAT_VERSION = 1


def variable_values(review: Review) -> dict[str, JsonText]:
    """The value that each variable is compiled with; JSON null where there is none."""
    by_variable = {m.variable_id: m for m in review.mappings}
    return {v.variable_name: usable_value(by_variable.get(v.variable_id), v) for v in review.variables}


def effective_filters(review: Review) -> tuple[Filter, ...]:
    """Filters in force: in scope, recovered or confirmed, with their value."""
    return tuple(
        f
        for f in review.filters
        if f.dataset_scope
        and not f.is_placeholder
        and (f.recovery_status is FilterRecoveryStatus.RECOVERED or f.confidence_state == "confirmed")
    )


def fingerprint(review: Review) -> str:
    """`sha256:` and the hash over everything that shapes the compiled text."""
    dataset = review.dataset
    document = {
        "format": FORMAT_VERSION,
        "environment": [review.session.environment_id, dataset.base_url if dataset else ""],
        "dataset": review.session.dataset_ref,
        "revision": dataset.revision if dataset else "",
        "columns": [c.name for c in dataset.columns] if dataset else [],
        "filters": sorted(_filter_key(f) for f in effective_filters(review)),
        "time_column": review.session.main_time_column or (dataset.main_time_column if dataset else None),
        "variables": {name: load(value) for name, value in variable_values(review).items()},
        "row_limit": review.session.run_row_limit,
    }
    return "sha256:" + hashlib.sha256(dump_sorted(document).encode()).hexdigest()


def revision_of(parts: MappingOf[str, Json]) -> str:
    """A dataset's revision: `sha256:` over the parts that shape its SQL."""
    return "sha256:" + hashlib.sha256(dump_sorted(dict(parts)).encode()).hexdigest()


def uses_relative_time(review: Review) -> bool:
    """Some filter in force means another range tomorrow; values of the owner are dates."""
    return any(
        f.operator == "TEMPORAL_RANGE" and is_relative_time(f.normalized_value) for f in effective_filters(review)
    )


def preview_status(review: Review, now: datetime, ttl: timedelta) -> PreviewStatus | None:
    """The effective status of the latest preview; None when there is none."""
    preview = review.preview
    if preview is None or preview.preview_status is not PreviewStatus.READY:
        return preview.preview_status if preview else None
    return PreviewStatus.STALE if stale_because(review, preview, now, ttl) else PreviewStatus.READY


def stale_because(review: Review, preview: Preview, now: datetime, ttl: timedelta) -> str | None:
    """Why a ready preview no longer holds; None while it does."""
    if preview.stale_reason is not None:
        return preview.stale_reason
    if preview.preview_fingerprint != fingerprint(review):
        return "a value, a filter or the dataset has changed"
    if preview.compiled_at is not None and now - preview.compiled_at >= ttl:
        return "it is older than a day" if ttl == timedelta(days=1) else "it is too old"
    if preview.uses_relative_time and preview.compiled_at is not None and preview.compiled_at.date() != now.date():
        return "its time range is relative and the day has changed"
    return None


def _filter_key(item: Filter) -> str:
    return dump_sorted([item.column_name or item.filter_name, item.operator, load(item.normalized_value)])
