"""Which texts of a review may go back to where its dataset lives, and what is kept of their going.

Only what a person has accepted leaves a review: texts of fields that wait for nobody's review, and a summary that was
written or confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sagitta_server.reviews.enums import BusinessSummarySource, FieldKind, FieldProvenance, SessionStatus
from sagitta_server.reviews.environment import FieldTexts, PublishRequest, TextChange
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.field_decisions import find_field
from sagitta_server.reviews.lifecycle import require_dataset
from sagitta_server.reviews.values import Field, Review

_WRITTEN = frozenset({BusinessSummarySource.CONFIRMED, BusinessSummarySource.MANUAL_OVERRIDE})
_PUBLISHED = frozenset({FieldKind.COLUMN, FieldKind.METRIC})
_OPEN = frozenset({SessionStatus.ACTIVE, SessionStatus.COMPLETED})


@dataclass(frozen=True, slots=True)
class Wish:
    """What an owner wants to publish."""

    field_ids: tuple[str, ...] = ()
    """Fields; none stands for all that are accepted."""
    include_description: bool = False
    """The summary becomes the dataset's description."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Publication:
    """What was written, or would be."""

    publication_id: str
    dataset_ref: str
    published_at: datetime
    dry_run: bool
    changes: tuple[TextChange, ...]
    skipped: tuple[str, ...]


def is_accepted(field: Field) -> bool:
    """The field has a meaning that waits for nobody's review."""
    decided = field.provenance is not FieldProvenance.UNRESOLVED and not field.needs_review and not field.has_conflict
    return decided and field.field_kind in _PUBLISHED


def publish_request(review: Review, wish: Wish) -> PublishRequest:
    """What is asked of the environment.

    Raises:
        ReviewError: `session_not_active`, `dataset_unresolved`, `field_not_found`, `field_not_accepted`.
    """
    if review.session.status not in _OPEN:
        status = review.session.status
        raise ReviewError(
            "session_not_active", f"The session is {status}; set its status to active first.", {"status": status.value}
        )
    require_dataset(review)
    assert review.dataset is not None
    chosen = [find_field(review, field_id) for field_id in wish.field_ids] or [
        f for f in review.fields if is_accepted(f)
    ]
    _check_accepted(chosen)
    if wish.include_description and review.profile.business_summary_source not in _WRITTEN:
        raise ReviewError("field_not_accepted", "Nobody has confirmed the summary; confirm or write it first.")
    description = review.profile.business_summary if wish.include_description else None
    texts = tuple(
        FieldTexts(f.field_kind, f.field_name, f.verbose_name, f.description, f.display_format) for f in chosen
    )
    return PublishRequest(review.dataset, texts, description, wish.dry_run)


def audit_body(review: Review, request: PublishRequest, *, keep_values: bool) -> dict[str, Any]:
    """What was to be written, on the audit trail."""
    names = [t.name for t in request.fields]
    texts = [
        {"name": t.name, "verbose_name": t.verbose_name, "description": t.description, "format": t.display_format}
        for t in request.fields
    ]
    return {
        "environment_id": review.session.environment_id,
        "dataset_ref": review.session.dataset_ref,
        "owner_id": review.session.owner_id,
        "version": review.session.version,
        "fields": texts if keep_values else names,
        "description": request.description if keep_values else request.description is not None,
    }


def _check_accepted(chosen: Iterable[Field]) -> None:
    waiting = [f for f in chosen if not is_accepted(f)]
    if waiting:
        shown = ", ".join(f.field_name for f in waiting[:10])
        raise ReviewError(
            "field_not_accepted",
            f"Not accepted yet: {shown}. Accept or write their texts first.",
            {"field_ids": [f.field_id for f in waiting]},
        )
