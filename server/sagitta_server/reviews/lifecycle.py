"""Changes of a session's status: what is allowed, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sagitta_server.reviews.enums import ClarificationStatus, LaunchStatus, PreviewStatus, ReadinessState, SessionStatus
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.values import Review

_A, _P, _C = SessionStatus.ACTIVE, SessionStatus.PAUSED, SessionStatus.COMPLETED
_R, _X = SessionStatus.ARCHIVED, SessionStatus.CANCELLED

ALLOWED: Mapping[SessionStatus, tuple[SessionStatus, ...]] = {
    _A: (_A, _P, _C, _R, _X),
    _P: (_A, _P, _C, _R, _X),
    _C: (_A, _C, _R),
    _R: (_A, _R),
    _X: (_R, _X),
}
"""Which status may follow which; a status may always be set again."""

REOPENED = "the session was reopened"
DATASET_CHANGED = "dataset_changed"
"""Why a preview is out of date when the dataset is not what it was at the import."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A review after its status was changed, and what has to happen besides."""

    review: Review
    wants_import: bool = False
    wants_cancel: bool = False


def change_status(review: Review, to: SessionStatus) -> StatusChange:
    """The review with another status.

    Raises:
        ReviewError: the table does not allow it, or a run is in progress.
    """
    current = review.session.status
    if to not in ALLOWED[current]:
        allowed = [s.value for s in ALLOWED[current]]
        raise ReviewError(
            "invalid_status_transition",
            f"A session that is {current} cannot become {to}; it can become {', '.join(allowed)}.",
            {"from": current.value, "to": to.value, "allowed": allowed},
        )
    if is_running(review) and to in {_C, _R}:
        raise run_in_progress()
    if current is to:
        return StatusChange(review, wants_import=to is _A and needs_import(review))
    changed = replace(review, session=replace(review.session, status=to))
    match to:
        case SessionStatus.ACTIVE:
            return _activated(changed, current)
        case SessionStatus.CANCELLED:
            return StatusChange(
                _with_clarification(changed, ClarificationStatus.CANCELLED), wants_cancel=is_running(review)
            )
        case SessionStatus.PAUSED:
            return StatusChange(changed)
        case _:
            return StatusChange(changed)


def needs_import(review: Review) -> bool:
    """The import never came to a good end, or the dataset has changed since; and none is under way."""
    if review.session.import_task_id is not None:
        return False
    if any(c.code == "DATASET_CHANGED_UPSTREAM" for c in review.conditions):
        return True
    if review.preview is not None and review.preview.stale_reason == DATASET_CHANGED:
        return True
    wanting = {ReadinessState.RECOVERY_REQUIRED, ReadinessState.EMPTY}
    return not review.session.imported or review.session.readiness_state in wanting


def is_running(review: Review) -> bool:
    """A run is in progress."""
    return review.run is not None and review.run.launch_status is LaunchStatus.STARTED


def run_in_progress() -> ReviewError:
    """The error of everything that has to wait for a run."""
    return ReviewError("run_in_progress", "A run is in progress; wait for it or cancel it first.")


def require_active(review: Review) -> None:
    """Raises `session_not_active` unless the session may be changed."""
    status = review.session.status
    if status is not SessionStatus.ACTIVE:
        raise ReviewError(
            "session_not_active",
            f"The session is {status}; set its status to active first.",
            {"status": status.value},
        )


def require_dataset(review: Review) -> None:
    """Raises `dataset_unresolved` unless the dataset is known."""
    if not review.is_resolved or review.dataset is None:
        raise ReviewError("dataset_unresolved", "The dataset is not identified yet; finish the recovery first.")


def _activated(review: Review, former: SessionStatus) -> StatusChange:
    preview = review.preview
    if former is SessionStatus.COMPLETED and preview is not None and preview.preview_status is PreviewStatus.READY:
        review = replace(review, preview=replace(preview, stale_reason=REOPENED))
    if review.clarification is not None and review.clarification.status is ClarificationStatus.CANCELLED:
        review = _with_clarification(review, ClarificationStatus.PENDING)
    return StatusChange(review, wants_import=not review.session.imported and review.session.import_task_id is None)


def _with_clarification(review: Review, status: ClarificationStatus) -> Review:
    if review.clarification is None:
        return review
    return replace(review, clarification=replace(review.clarification, status=status, current_question_id=None))
