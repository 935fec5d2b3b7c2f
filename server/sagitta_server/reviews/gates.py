"""The gates that a launch must pass; all are evaluated and reported, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sagitta_server.reviews.enums import (
    ApprovalState,
    FindingSeverity,
    LaunchStatus,
    PreviewStatus,
    ResolutionState,
    SessionStatus,
)
from sagitta_server.reviews.json_text import NULL
from sagitta_server.reviews.lifecycle import DATASET_CHANGED
from sagitta_server.reviews.mappings import usable_value
from sagitta_server.reviews.sql_safety import is_read_only, template_marks_block
from sagitta_server.reviews.values import Finding, Preview, Review

OWN_GATE = frozenset(
    {
        "REQUIRED_VALUE_MISSING",
        "MAPPING_INVALID",
        "DATASET_UNRESOLVED",
        "DATASET_AMBIGUOUS",
        "DATABASE_NOT_LAUNCHABLE",
    }
)
"""Blocking findings that a gate of their own reports."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of a launch."""

    gate: str
    code: str
    passed: bool
    message: str
    refs: tuple[str, ...] = ()


def is_unsettled(finding: Finding) -> bool:
    """Someone still has to act on it; a skipped blocking finding keeps blocking."""
    if finding.resolution_state is ResolutionState.SKIPPED:
        return finding.severity is FindingSeverity.BLOCKING
    return finding.resolution_state in {
        ResolutionState.OPEN,
        ResolutionState.DEFERRED,
        ResolutionState.EXPERT_REVIEW,
    }


def missing_required(review: Review) -> tuple[str, ...]:
    """Ids of required variables without a usable value."""
    by_variable = {m.variable_id: m for m in review.mappings}
    return tuple(
        v.variable_id
        for v in review.variables
        if v.is_required and usable_value(by_variable.get(v.variable_id), v) == NULL
    )


def gates(review: Review, status: PreviewStatus | None) -> tuple[Gate, ...]:
    """All gates in order, given the preview's effective status.

    Whether the dataset changed upstream and whether its database may run are judged by what was last learnt.
    """
    preview = review.preview if review.preview is not None and review.preview.compiled_sql else None
    return (
        _gate("G1", "session_not_active", _active(review), "The session is not active."),
        _gate("G2", "dataset_unresolved", _resolved(review), "The dataset is not identified yet."),
        _refs("G3", "blocking_findings", _blocking(review), "{n} blocking findings are not settled."),
        _refs("G4", "required_values_missing", missing_required(review), "{n} required variables have no value."),
        _refs("G5", "mappings_unapproved", _unapproved(review), "{n} mappings wait for approval or have a bad value."),
        _gate("G6", "preview_missing", preview is not None, "There is no compiled preview."),
        _gate("G7", "preview_stale", preview is None or status is PreviewStatus.READY, "The preview is out of date."),
        _gate("G8", "dataset_changed", not _changed(review), "The dataset has changed since the preview."),
        _gate("G9", "launch_in_progress", not _running(review), "A run is in progress."),
        _gate(
            "G10", "database_not_launchable", _launchable(review), "Queries cannot be run on this dataset's database."
        ),
        _gate("G11", "not_read_only", _read_only(preview), "The compiled text is not one read-only statement."),
        _gate("G12", "template_marks_in_sql", _unmarked(preview), "The compiled text still holds template marks."),
    )


def failing(all_gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """The gates that are not passed."""
    return tuple(g for g in all_gates if not g.passed)


def _gate(gate: str, code: str, passed: bool, message: str) -> Gate:
    return Gate(gate, code, passed, "" if passed else message)


def _refs(gate: str, code: str, refs: tuple[str, ...], message: str) -> Gate:
    text = message.format(n=len(refs))
    if len(refs) == 1:
        text = text.replace("findings are", "finding is").replace("variables have", "variable has")
        text = text.replace("mappings wait", "mapping waits").replace(" have a", " has a")
    return Gate(gate, code, not refs, "" if not refs else text, refs)


def _active(review: Review) -> bool:
    return review.session.status is SessionStatus.ACTIVE


def _resolved(review: Review) -> bool:
    return review.is_resolved and review.dataset is not None


def _blocking(review: Review) -> tuple[str, ...]:
    return tuple(
        f.finding_id
        for f in review.findings
        if f.severity is FindingSeverity.BLOCKING and is_unsettled(f) and f.code not in OWN_GATE
    )


def _unapproved(review: Review) -> tuple[str, ...]:
    return tuple(m.mapping_id for m in review.mappings if m.approval_state is ApprovalState.PENDING or m.is_invalid)


def _changed(review: Review) -> bool:
    return review.preview is not None and review.preview.stale_reason == DATASET_CHANGED


def _running(review: Review) -> bool:
    return review.run is not None and review.run.launch_status is LaunchStatus.STARTED


def _launchable(review: Review) -> bool:
    return review.dataset is not None and review.dataset.launchable


def _read_only(preview: Preview | None) -> bool:
    return preview is None or is_read_only(preview.compiled_sql or "", preview.dialect)


def _unmarked(preview: Preview | None) -> bool:
    return preview is None or not template_marks_block(preview.compiled_sql or "")
