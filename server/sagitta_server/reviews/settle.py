"""Brings everything derived in line after a change: mappings' states, findings, questions, profile, decision.

`settle` is the only way a changed review becomes a stored one, so what is stored is always consistent with its facts.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sagitta_server.reviews import findings, questions, summary
from sagitta_server.reviews.catalogue import CATALOGUE
from sagitta_server.reviews.decision import Facts, decide
from sagitta_server.reviews.enums import (
    ApprovalState,
    FieldKind,
    FieldProvenance,
    LaunchStatus,
    MappingStatus,
    PreviewStatus,
    QuestionState,
    ResolutionState,
    SemanticSourceStatus,
    TrustLevel,
)
from sagitta_server.reviews.fingerprint import preview_status, stale_because
from sagitta_server.reviews.gates import failing, gates, is_unsettled, missing_required
from sagitta_server.reviews.limits import DEFAULT_LIMITS, LimitSettings
from sagitta_server.reviews.mappings import pair, status_of
from sagitta_server.reviews.values import Clarification, Field, Finding, Question, Review, Session, Source

_HELD_BY_QUESTION = {
    "DATASET_AMBIGUOUS": "dataset",
    "FILTER_STATE_UNAVAILABLE": "filters.state",
    "FILTER_VALUE_CONFLICT": "filter.conflict",
    "NATIVE_FILTERS_UNPARSABLE": "filter.confirm",
}


def random_id() -> str:
    """A fresh UUID v4 text."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Context:
    """What a change may not look up by itself: the time, fresh ids, who asks, what is configured."""

    now: datetime
    user_id: str = ""
    new_id: Callable[[], str] = random_id
    preview_ttl: timedelta = timedelta(days=1)
    limits: LimitSettings = DEFAULT_LIMITS


def settle(review: Review, context: Context) -> Review:
    """The review with everything derived recomputed."""
    paired = pair(review, context.new_id)
    review = _with_statuses(replace(review, filters=paired.filters, mappings=paired.mappings))
    status = preview_status(review, context.now, context.preview_ttl)
    base = findings.wanted_findings(review, status)
    if review.session.imported:
        review = _with_questions(review, context)
        base = (*base, *findings.question_findings(review))
    review = replace(review, findings=findings.reconcile(review.findings, base, context.now, context.new_id))
    review = _with_deferred(review)
    review = replace(review, profile=summary.profile_of(review, context.now))
    return with_decision(review, context)


def with_decision(review: Review, context: Context) -> Review:
    """The review with readiness, phase, action and active task as they are at `context.now`."""
    session = decided_session(review, context)
    return review if session == review.session else replace(review, session=session)


def decided_session(review: Review, context: Context) -> Session:
    """The session with its decision; only `now` and the review's facts matter."""
    decision = decide(facts_of(review, context))
    return replace(
        review.session,
        readiness_state=decision.readiness_state,
        current_phase=decision.current_phase,
        recommended_action=decision.recommended_action,
        active_task_id=active_task(review),
    )


def effective_preview(review: Review, context: Context) -> Review:
    """The review whose preview shows its effective status, e.g. stale by age."""
    status = preview_status(review, context.now, context.preview_ttl)
    if review.preview is None or status is None or status is review.preview.preview_status:
        return review
    reason = stale_because(review, review.preview, context.now, context.preview_ttl)
    shown = replace(review.preview, preview_status=status, error_details=None, stale_reason=reason)
    return replace(review, preview=shown)


def facts_of(review: Review, context: Context) -> Facts:
    """The facts that the decision table reads."""
    status = preview_status(review, context.now, context.preview_ttl)
    blocked = failing(gates(review, status))
    open_questions = [q for q in review.questions if q.state is QuestionState.OPEN]
    held = [f for f in review.findings if is_unsettled(f) and CATALOGUE[f.code].holds_recovery]
    return Facts(
        status=review.session.status,
        import_runs=review.session.import_task_id is not None,
        run_runs=review.run is not None and review.run.launch_status is LaunchStatus.STARTED,
        imported=review.session.imported,
        resolved=review.is_resolved,
        holds=bool(held),
        holding_question=any(_settles(q, f) for q in open_questions for f in held),
        question_active=_is_asked(review),
        question_blocking=any(q.blocking and not q.topic_ref.startswith("variable:") for q in open_questions),
        question_open=bool(open_questions),
        source_available=any(map(_is_offered, review.sources)),
        meaning_open=any(map(_is_open_field, review.fields)),
        value_missing=bool(missing_required(review)),
        mapping_open=_mapping_open(review),
        preview=status,
        first_gate=blocked[0].gate if blocked else None,
        reviewed=review.session.reviewed,
    )


def active_task(review: Review) -> str | None:
    """The task that the session waits for: import, else preview, else run."""
    if review.session.import_task_id is not None:
        return review.session.import_task_id
    if review.preview is not None and review.preview.preview_status is PreviewStatus.PENDING:
        return review.preview.task_id
    if review.run is not None and review.run.launch_status is LaunchStatus.STARTED:
        return review.run.task_id
    return None


def ordered_findings(review: Review) -> tuple[Finding, ...]:
    """Findings as they are shown."""
    return findings.ordered(review.findings, is_unsettled)


def _with_statuses(review: Review) -> Review:
    by_variable = {m.variable_id: m for m in review.mappings}
    variables = tuple(replace(v, mapping_status=status_of(by_variable.get(v.variable_id))) for v in review.variables)
    return replace(review, variables=variables)


def _with_questions(review: Review, context: Context) -> Review:
    wanted = questions.wanted_questions(review)
    limit = context.limits.open_questions
    asked = questions.reconcile(review.questions, wanted, context.now, context.new_id, limit)
    held = review.clarification or Clarification(clarification_session_id=context.new_id())
    return replace(review, questions=asked, clarification=questions.advance(held, asked))


def _with_deferred(review: Review) -> Review:
    overflow = questions.overflow_refs(review.questions, questions.wanted_questions(review))
    return replace(review, findings=tuple(_defer(f, overflow) for f in review.findings))


def _defer(finding: Finding, overflow: frozenset[str]) -> Finding:
    waits = finding.caused_by_ref in overflow
    if waits and finding.resolution_state is ResolutionState.OPEN:
        return replace(finding, resolution_state=ResolutionState.DEFERRED)
    if not waits and finding.resolution_state is ResolutionState.DEFERRED:
        return replace(finding, resolution_state=ResolutionState.OPEN)
    return finding


def _is_asked(review: Review) -> bool:
    question = questions.current_question(review)
    return question is not None and question.state is QuestionState.OPEN


def _settles(question: Question, finding: Finding) -> bool:
    return _HELD_BY_QUESTION.get(finding.code) == question.topic


def _is_offered(source: Source) -> bool:
    trusted = source.trust_level in {TrustLevel.TRUSTED, TrustLevel.RECOMMENDED}
    return trusted and source.status is SemanticSourceStatus.AVAILABLE


def _is_open_field(item: Field) -> bool:
    if item.field_kind not in {FieldKind.COLUMN, FieldKind.METRIC} or item.is_locked:
        return False
    return item.provenance is FieldProvenance.UNRESOLVED or item.needs_review or item.has_conflict


def _mapping_open(review: Review) -> bool:
    pending = any(m.approval_state is ApprovalState.PENDING for m in review.mappings)
    return pending or any(v.mapping_status is MappingStatus.INVALID for v in review.variables)
