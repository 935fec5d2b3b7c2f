"""Which questions only the owner can answer, and in which order they are asked.

A question is identified by its topic and its cause: asked once, kept while wanted, superseded when it no longer
matters, asked again only when its cause has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sagitta_server.reviews.enums import (
    ApprovalState,
    BusinessSummarySource,
    CandidateStatus,
    ClarificationStatus,
    FieldKind,
    FieldProvenance,
    FilterRecoveryStatus,
    MappingWarningLevel,
    MatchType,
    QuestionState,
    VariableKind,
)
from sagitta_server.reviews.findings import has_meaning, needs_time_column, value_is_missing
from sagitta_server.reviews.json_text import NULL, load
from sagitta_server.reviews.mappings import ambiguities
from sagitta_server.reviews.values import Candidate, Clarification, Field, Filter, Option, Question, Review, Variable

MAX_OPTIONS = 10
_GUESS_LENGTH = 200
USE, DROP, APPROVE, CONFIRM = "use", "drop", "approve", "confirm"

WHY = {
    "dataset": "Nothing can be reviewed until it is clear which dataset is meant.",
    "filters.state": "The dataset would be run with other filters than the link was shared with.",
    "filter.conflict": "Only one of the values can be applied; the result depends on which.",
    "variable.required": "Without it the SQL cannot be compiled.",
    "mapping.ambiguous": "The value that the template reads depends on the choice.",
    "profile.main_dttm": "A time range without a column filters nothing.",
    "filter.confirm": "An unconfirmed filter is left out of the run.",
    "mapping.warning": "The value reaches the SQL changed; a launch needs your approval.",
    "field.conflict": "Readers would be told something that another source contradicts.",
    "field.metric": "Nobody can judge a number whose definition is not written down.",
    "field.candidate": "A proposed meaning helps only once somebody has confirmed it.",
    "profile.summary": "The summary is the first thing that others read about the dataset.",
    "field.unknown": "Without label and description others must guess what the column holds.",
}


@dataclass(frozen=True, slots=True)
class WantedQuestion:
    """A question that the facts ask for."""

    topic_ref: str
    topic: str
    text: str
    priority: int
    cause: str
    blocking: bool = False
    options: tuple[tuple[str, str], ...] = ()
    """Value and label, the recommended one first."""
    guess: str | None = None
    has_best: bool = True


def wanted_questions(review: Review) -> tuple[WantedQuestion, ...]:
    """Everything worth asking, the most important first."""
    found = [*_dataset(review), *_filters(review), *_variables(review), *_mappings(review), *_fields(review)]
    if not found:
        found = list(_summary(review))
    return tuple(sorted(found, key=lambda q: -q.priority))


def reconcile(
    existing: tuple[Question, ...],
    wanted: tuple[WantedQuestion, ...],
    now: datetime,
    new_id: Callable[[], str],
    limit: int,
) -> tuple[Question, ...]:
    """The questions after a change; at most `limit` are open, the most important ones."""
    asked = {(w.topic_ref, w.topic, w.cause): w for w in wanted}
    kept: list[Question] = []
    for question in existing:
        still = asked.pop((question.topic_ref, question.topic, question.cause), None)
        if question.state is QuestionState.OPEN and still is None:
            kept.append(replace(question, state=QuestionState.SUPERSEDED))
        elif question.state is QuestionState.SUPERSEDED and still is not None:
            kept.append(replace(question, state=QuestionState.OPEN))
        else:
            kept.append(question)
    fresh = [_question(w, now, new_id) for w in asked.values()]
    return _limited((*kept, *fresh), limit)


def next_question(questions: tuple[Question, ...]) -> Question | None:
    """The open question to ask now: highest priority, then the oldest."""
    open_ones = [q for q in questions if q.state is QuestionState.OPEN]
    return min(open_ones, key=lambda q: (-q.priority, q.created_at, q.question_id), default=None)


def current_question(review: Review) -> Question | None:
    """The question that is being asked; None unless clarification is active."""
    clarification = review.clarification
    if clarification is None or clarification.status is not ClarificationStatus.ACTIVE:
        return None
    return next((q for q in review.questions if q.question_id == clarification.current_question_id), None)


def advance(clarification: Clarification, questions: tuple[Question, ...]) -> Clarification:
    """The conversation after questions changed: the next one is chosen, or it is complete."""
    upcoming = next_question(questions)
    match clarification.status:
        case ClarificationStatus.ACTIVE:
            if upcoming is None:
                return replace(clarification, status=ClarificationStatus.COMPLETED, current_question_id=None)
            held = next((q for q in questions if q.question_id == clarification.current_question_id), None)
            if held is not None and held.state is QuestionState.OPEN:
                return clarification
            return replace(clarification, current_question_id=upcoming.question_id)
        case ClarificationStatus.COMPLETED if upcoming is not None:
            return replace(clarification, status=ClarificationStatus.PENDING, current_question_id=None)
        case ClarificationStatus.PENDING if upcoming is None:
            return replace(clarification, status=ClarificationStatus.COMPLETED, current_question_id=None)
        case _:
            return clarification


def overflow_refs(questions: tuple[Question, ...], wanted: tuple[WantedQuestion, ...]) -> frozenset[str]:
    """Topics that are not asked yet because too many questions are open."""
    held = {q.topic_ref for q in questions}
    return frozenset(w.topic_ref for w in wanted) - held


def cause_of(*parts: object) -> str:
    """A short digest of what a question is about."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]


def _limited(questions: tuple[Question, ...], limit: int) -> tuple[Question, ...]:
    open_ones = sorted(
        (q for q in questions if q.state is QuestionState.OPEN),
        key=lambda q: (-q.priority, q.created_at, q.question_id),
    )
    dropped = {q.question_id for q in open_ones[limit:]}
    return tuple(q for q in questions if q.question_id not in dropped)


def _question(wanted: WantedQuestion, now: datetime, new_id: Callable[[], str]) -> Question:
    options = tuple(
        Option(
            option_id=new_id(),
            label=_short(label),
            value=value,
            is_recommended=position == 1 and wanted.has_best,
            display_order=position,
        )
        for position, (value, label) in enumerate(wanted.options[:MAX_OPTIONS], start=1)
    )
    return Question(
        question_id=new_id(),
        topic_ref=wanted.topic_ref,
        topic=wanted.topic,
        cause=wanted.cause,
        question_text=wanted.text,
        why_it_matters=WHY[wanted.topic],
        priority=wanted.priority,
        created_at=now,
        blocking=wanted.blocking,
        current_guess=None if wanted.guess is None else _short(wanted.guess),
        options=options,
    )


def _dataset(review: Review) -> Iterator[WantedQuestion]:
    for condition in review.conditions:
        if condition.code == "DATASET_AMBIGUOUS" and condition.options:
            yield WantedQuestion(
                "dataset",
                "dataset",
                "Which dataset should be reviewed?",
                100,
                cause_of(condition.options),
                blocking=True,
                options=condition.options,
            )
        if condition.code == "FILTER_STATE_UNAVAILABLE":
            yield WantedQuestion(
                "filters:state",
                "filters.state",
                "The filter state that the link names is gone. Which filters should apply?",
                95,
                cause_of(condition.cause),
                options=(("defaults", "Use the dashboard's default filters"), ("none", "Use no filters")),
            )


def _filters(review: Review) -> Iterator[WantedQuestion]:
    conflicts: dict[str, list[Filter]] = {}
    for item in review.filters:
        name = item.display_name or item.filter_name
        if item.recovery_status is FilterRecoveryStatus.CONFLICTED:
            conflicts.setdefault(f"{item.column_name or item.filter_name}\x1f{item.operator}", []).append(item)
        elif item.requires_confirmation and item.dataset_scope:
            yield WantedQuestion(
                f"filter:{item.filter_id}",
                "filter.confirm",
                f"Should the filter {name} apply with the value {_short(item.normalized_value)}?",
                70,
                cause_of(item.operator, item.normalized_value),
                options=((USE, "Use it"), (DROP, "Do not use it")),
                guess=item.normalized_value,
            )
    required = {v.variable_name for v in review.variables if v.is_required}
    for group in conflicts.values():
        first = group[0]
        yield WantedQuestion(
            f"filter:{first.filter_id}",
            "filter.conflict",
            f"Which value of the filter {first.display_name or first.filter_name} is meant?",
            90,
            cause_of(*sorted(f.normalized_value for f in group)),
            blocking=(first.column_name or first.filter_name) in required,
            options=tuple((f.filter_id, _short(f.normalized_value)) for f in group),
            has_best=False,
        )


def _variables(review: Review) -> Iterator[WantedQuestion]:
    ambiguous = {found.variable_id: found for found in ambiguities(review)}
    names = {f.filter_id: f for f in review.filters}
    for variable in review.variables:
        found = ambiguous.get(variable.variable_id)
        if found is not None:
            yield WantedQuestion(
                f"mapping:{variable.variable_id}",
                "mapping.ambiguous",
                f"Which filter gives {variable.variable_name} its value?",
                80,
                cause_of(*found.filter_ids),
                blocking=variable.is_required,
                options=tuple((i, _filter_label(names[i])) for i in found.filter_ids),
                has_best=False,
            )
        elif variable.is_required and value_is_missing(variable, review):
            yield _required(review, variable)
    if needs_time_column(review) and review.dataset is not None:
        yield WantedQuestion(
            "profile.main_dttm",
            "profile.main_dttm",
            "Which column does the time range mean?",
            75,
            cause_of(*review.dataset.temporal_columns),
            blocking=any(v.is_required and v.variable_kind is VariableKind.DERIVED for v in review.variables),
            options=tuple((c, c) for c in review.dataset.temporal_columns),
            has_best=False,
        )


def _required(review: Review, variable: Variable) -> WantedQuestion:
    usable = [f for f in review.filters if not f.is_placeholder and f.dataset_scope and f.normalized_value != NULL]
    return WantedQuestion(
        f"variable:{variable.variable_id}",
        "variable.required",
        f"What value should {variable.variable_name} have?",
        85,
        cause_of(variable.variable_name, variable.shape),
        blocking=True,
        options=tuple((f.filter_id, f"The value of {_filter_label(f)}") for f in usable if not f.is_template),
        has_best=False,
    )


def _mappings(review: Review) -> Iterator[WantedQuestion]:
    variables = {v.variable_id: v for v in review.variables}
    for mapping in review.mappings:
        pending = mapping.approval_state is ApprovalState.PENDING
        if not pending or mapping.warning_level is not MappingWarningLevel.HIGH:
            continue
        name = variables[mapping.variable_id].variable_name
        yield WantedQuestion(
            f"mapping:{mapping.mapping_id}",
            "mapping.warning",
            f"May {name} get the value {_short(mapping.effective_value)} ({mapping.transformation_note})?",
            65,
            cause_of(mapping.mapping_method, mapping.effective_value),
            options=((APPROVE, "Approve it"), (DROP, "Do not pass it")),
            guess=mapping.effective_value,
        )


def _fields(review: Review) -> Iterator[WantedQuestion]:
    for item in review.fields:
        if item.field_kind not in {FieldKind.COLUMN, FieldKind.METRIC} or item.is_locked:
            continue
        question = _field(item)
        if question is not None:
            yield question


def _field(item: Field) -> WantedQuestion | None:
    open_ones = [c for c in item.candidates if c.status in {CandidateStatus.PROPOSED, CandidateStatus.ACCEPTED}]
    waiting = [c for c in open_ones if c.status is CandidateStatus.PROPOSED]
    is_metric = item.field_kind is FieldKind.METRIC
    if item.has_conflict:
        return _about(item, "field.conflict", f"Which description of {item.field_name} is right?", 50, open_ones)
    if is_metric and not item.description:
        return _about(item, "field.metric", f"What does the metric {item.field_name} mean?", 40, waiting)
    if (
        item.provenance is FieldProvenance.UNRESOLVED
        and waiting
        and waiting[0].match_type
        in {
            MatchType.FUZZY,
            MatchType.GENERATED,
        }
    ):
        return _about(item, "field.candidate", f"Does this describe {item.field_name}?", 30, waiting)
    if not is_metric and not has_meaning(item) and not open_ones:
        return _about(item, "field.unknown", f"What does the column {item.field_name} hold?", 10, [])
    return None


def _about(item: Field, topic: str, text: str, priority: int, candidates: list[Candidate]) -> WantedQuestion:
    return WantedQuestion(
        f"field:{item.field_id}",
        topic,
        text,
        priority,
        cause_of(*sorted(c.candidate_id for c in candidates)),
        options=tuple((c.candidate_id, _candidate_label(c)) for c in candidates),
        guess=item.description or item.verbose_name,
    )


def _summary(review: Review) -> Iterator[WantedQuestion]:
    drafted = {BusinessSummarySource.INFERRED, BusinessSummarySource.AI_DRAFT}
    profile = review.profile
    if review.is_resolved and profile.business_summary_source in drafted and not profile.manual_summary_locked:
        yield WantedQuestion(
            "profile.summary",
            "profile.summary",
            "Is this summary correct?",
            20,
            cause_of(profile.dataset_name),
            options=((CONFIRM, "Correct as it stands"),),
            guess=profile.business_summary,
        )


def _candidate_label(candidate: Candidate) -> str:
    parts = (candidate.proposed_verbose_name, candidate.proposed_description)
    return ": ".join(p for p in parts if p) or (candidate.proposed_display_format or "")


def _filter_label(item: Filter) -> str:
    return f"{item.display_name or item.filter_name} = {_short(item.normalized_value)}"


def _short(text: str) -> str:
    shown = str(load(text)) if text.startswith('"') and text.endswith('"') and len(text) < _GUESS_LENGTH else text
    return shown if len(shown) <= _GUESS_LENGTH else shown[: _GUESS_LENGTH - 1] + "…"
