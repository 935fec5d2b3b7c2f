"""From facts to what comes next: the decision table, as data.

Rows are tried in order and the first that matches wins. A row's condition is a list of alternatives; an alternative
names facts and the values it wants of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagitta_server.reviews.enums import PreviewStatus, ReadinessState, RecommendedAction, SessionPhase, SessionStatus


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that readiness, phase and recommended action depend on."""

    status: SessionStatus = SessionStatus.ACTIVE
    import_runs: bool = False
    """An import task is queued or running."""
    run_runs: bool = False
    """The latest run has started and not ended."""
    imported: bool = False
    """An import attempt has ended, well or badly."""
    resolved: bool = False
    """The dataset is known."""
    holds: bool = False
    """An unsettled finding holds recovery."""
    holding_question: bool = False
    """An open question would settle a holding finding."""
    question_active: bool = False
    """Clarification is active with an open current question."""
    question_blocking: bool = False
    """An open question blocks, other than about a variable's value."""
    question_open: bool = False
    """Any question is open."""
    source_available: bool = False
    """A trusted or recommended semantic source is available."""
    meaning_open: bool = False
    """An unlocked column or metric is unresolved, in conflict or waits for review."""
    value_missing: bool = False
    """A required variable has no usable value."""
    mapping_open: bool = False
    """A mapping is pending or a variable invalid."""
    preview: PreviewStatus | None = None
    """Effective status of the latest preview."""
    first_gate: str | None = None
    """The first failing gate, e.g. `G5`."""
    reviewed: bool = False
    """The owner has done something after the import."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a session is ready for and what to do next."""

    row: int
    readiness_state: ReadinessState
    current_phase: SessionPhase
    recommended_action: RecommendedAction


Condition = Mapping[str, frozenset[Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; without readiness and phase it borrows those of a later row."""

    number: int
    when: tuple[Condition, ...]
    actions: tuple[tuple[Condition, RecommendedAction], ...]
    readiness_state: ReadinessState | None = None
    current_phase: SessionPhase | None = None


def _when(**facts: object) -> Condition:
    return {name: value if isinstance(value, frozenset) else frozenset({value}) for name, value in facts.items()}


_ALWAYS: Condition = {}


def _only(action: RecommendedAction) -> tuple[tuple[Condition, RecommendedAction], ...]:
    return ((_ALWAYS, action),)


_GATE_ACTIONS = (
    (_when(first_gate="G3", question_open=True), RecommendedAction.START_CLARIFICATION),
    (_when(first_gate="G3"), RecommendedAction.REVIEW_DOCUMENTATION),
    (_when(first_gate="G4"), RecommendedAction.COMPLETE_REQUIRED_VALUES),
    (_when(first_gate="G5"), RecommendedAction.APPROVE_MAPPING),
    (_ALWAYS, RecommendedAction.EXPORT_OUTPUTS),
)
_HELD_ACTIONS = (
    (_when(question_active=True), RecommendedAction.ANSWER_NEXT_QUESTION),
    (_when(holding_question=True), RecommendedAction.START_CLARIFICATION),
    (_ALWAYS, RecommendedAction.IMPORT_FROM_SUPERSET),
)

TABLE: tuple[Row, ...] = (
    Row(
        1,
        (_when(status=frozenset({SessionStatus.ARCHIVED, SessionStatus.CANCELLED})),),
        _only(RecommendedAction.EXPORT_OUTPUTS),
    ),
    Row(2, (_when(status=SessionStatus.PAUSED),), _only(RecommendedAction.RESUME_SESSION)),
    Row(
        3,
        (_when(status=SessionStatus.COMPLETED),),
        _only(RecommendedAction.EXPORT_OUTPUTS),
        ReadinessState.COMPLETED,
        SessionPhase.POST_RUN,
    ),
    Row(
        4,
        (_when(run_runs=True),),
        _only(RecommendedAction.EXPORT_OUTPUTS),
        ReadinessState.RUN_IN_PROGRESS,
        SessionPhase.LAUNCH,
    ),
    Row(
        5,
        (_when(import_runs=True),),
        _only(RecommendedAction.IMPORT_FROM_SUPERSET),
        ReadinessState.IMPORTING,
        SessionPhase.RECOVERY,
    ),
    Row(
        6,
        (_when(imported=False),),
        _only(RecommendedAction.IMPORT_FROM_SUPERSET),
        ReadinessState.EMPTY,
        SessionPhase.INTAKE,
    ),
    Row(
        7,
        (_when(resolved=False), _when(holds=True)),
        _HELD_ACTIONS,
        ReadinessState.RECOVERY_REQUIRED,
        SessionPhase.RECOVERY,
    ),
    Row(
        8,
        (_when(question_active=True),),
        _only(RecommendedAction.ANSWER_NEXT_QUESTION),
        ReadinessState.CLARIFICATION_ACTIVE,
        SessionPhase.CLARIFICATION,
    ),
    Row(
        9,
        (_when(preview=PreviewStatus.READY, first_gate=None),),
        _only(RecommendedAction.LAUNCH_DATASET),
        ReadinessState.RUN_READY,
        SessionPhase.LAUNCH,
    ),
    Row(
        10,
        (_when(preview=PreviewStatus.READY),),
        _GATE_ACTIONS,
        ReadinessState.COMPILED_PREVIEW_READY,
        SessionPhase.PREVIEW,
    ),
    Row(
        11,
        (_when(reviewed=False),),
        _only(RecommendedAction.REVIEW_DOCUMENTATION),
        ReadinessState.REVIEW_READY,
        SessionPhase.REVIEW,
    ),
    Row(
        12,
        (_when(question_blocking=True),),
        _only(RecommendedAction.START_CLARIFICATION),
        ReadinessState.CLARIFICATION_NEEDED,
        SessionPhase.CLARIFICATION,
    ),
    Row(
        13,
        (_when(source_available=True, meaning_open=True),),
        _only(RecommendedAction.APPLY_SEMANTIC_SOURCE),
        ReadinessState.SEMANTIC_SOURCE_REVIEW_NEEDED,
        SessionPhase.SEMANTIC_REVIEW,
    ),
    Row(
        14,
        (_when(value_missing=True),),
        _only(RecommendedAction.COMPLETE_REQUIRED_VALUES),
        ReadinessState.MAPPING_REVIEW_NEEDED,
        SessionPhase.MAPPING_REVIEW,
    ),
    Row(
        15,
        (_when(mapping_open=True),),
        _only(RecommendedAction.APPROVE_MAPPING),
        ReadinessState.MAPPING_REVIEW_NEEDED,
        SessionPhase.MAPPING_REVIEW,
    ),
    Row(
        16,
        (_when(question_open=True),),
        _only(RecommendedAction.START_CLARIFICATION),
        ReadinessState.CLARIFICATION_NEEDED,
        SessionPhase.CLARIFICATION,
    ),
    Row(
        17,
        (_ALWAYS,),
        _only(RecommendedAction.GENERATE_SQL_PREVIEW),
        ReadinessState.PARTIALLY_READY,
        SessionPhase.PREVIEW,
    ),
)


def decide(facts: Facts) -> Decision:
    """The decision of the first row that matches."""
    row = next(r for r in TABLE if matches(r, facts))
    action = next(action for condition, action in row.actions if _holds(condition, facts))
    shown = (
        row
        if row.readiness_state is not None
        else next(r for r in TABLE if r.readiness_state is not None and matches(r, facts))
    )
    assert shown.readiness_state is not None
    assert shown.current_phase is not None
    return Decision(row.number, shown.readiness_state, shown.current_phase, action)


def matches(row: Row, facts: Facts) -> bool:
    """Some alternative of the row's condition holds."""
    return any(_holds(condition, facts) for condition in row.when)


def _holds(condition: Condition, facts: Facts) -> bool:
    return all(getattr(facts, name) in wanted for name, wanted in condition.items())
