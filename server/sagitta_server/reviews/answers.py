"""What an answer to a question does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sagitta_server.reviews import questions as asking
from sagitta_server.reviews.candidates import accept
from sagitta_server.reviews.enums import (
    AnswerKind,
    BusinessSummarySource,
    ChangedByKind,
    ClarificationStatus,
    FilterConfidenceState,
    FilterRecoveryStatus,
    FilterSource,
    MappingMethod,
    QuestionState,
    ResolutionState,
)
from sagitta_server.reviews.errors import ReviewError, Violation, validation_error
from sagitta_server.reviews.field_decisions import (
    LIMITS,
    find_candidate,
    find_field,
    settle_findings,
    with_field,
    write_by_hand,
)
from sagitta_server.reviews.json_text import NULL, InvalidJsonError, Json, JsonText, canonical, dump, load
from sagitta_server.reviews.mapping_decisions import (
    MappingUpdate,
    approve_mapping,
    find_mapping,
    reject_mapping,
    update_mapping,
    variable_of,
)
from sagitta_server.reviews.mappings import check_manual_value, fresh_mapping, manual_value, set_value
from sagitta_server.reviews.recovery import natural_key, with_conditions, without_conditions
from sagitta_server.reviews.settle import Context
from sagitta_server.reviews.values import Condition, Filter, Finding, Question, Review

DOUBLE_CLICK = timedelta(seconds=10)
_MAX_SUMMARY = 65_535


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came in."""

    question_id: str
    kind: AnswerKind
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A review after an answer."""

    review: Review
    delta: str
    """What the answer changed, in one sentence."""
    wants_import: bool = False
    is_repeat: bool = False
    """The same answer came again right away; nothing was done."""


def answer(review: Review, given: Answer, context: Context) -> Answered:
    """The review after an answer and everything that follows from it.

    Raises:
        ReviewError: the question is unknown, not open or not current, or the answer does not fit.
    """
    question = next((q for q in review.questions if q.question_id == given.question_id), None)
    if question is None:
        raise ReviewError("question_not_found", "This session has no such question.")
    if _is_repeat(question, given, context.now):
        return Answered(review, "", is_repeat=True)
    review = _current(review, question)
    if given.kind in {AnswerKind.SELECTED, AnswerKind.CUSTOM} and not (given.value or "").strip():
        raise validation_error(Violation("body.answer_value", "is needed for this answer_kind"))
    recorded = _record(review, question, given, context)
    match given.kind:
        case AnswerKind.SKIPPED:
            return Answered(_mark(recorded, question, ResolutionState.SKIPPED), f"Skipped: {question.question_text}")
        case AnswerKind.EXPERT_REVIEW:
            return Answered(_for_expert(recorded, question), f"Left to an expert: {question.question_text}")
        case AnswerKind.SELECTED | AnswerKind.CUSTOM:
            settled = without_conditions(recorded, "EXPERT_REVIEW_REQUESTED", ref=f"question:{question.question_id}")
            value = _value(question, given)
            return _EFFECTS[question.topic](settled, question, given.kind, value, context)


def resume(review: Review, now: datetime) -> Review:
    """Clarification active with the most important open question, or completed when nothing is open."""
    del now
    clarification = review.clarification
    if clarification is None:
        return review
    active = replace(clarification, status=ClarificationStatus.ACTIVE)
    return replace(review, clarification=asking.advance(active, review.questions))


def _is_repeat(question: Question, given: Answer, now: datetime) -> bool:
    same = (question.answer_kind, question.answer_value) == (given.kind, given.value)
    recent = question.answered_at is not None and now - question.answered_at <= DOUBLE_CLICK
    return question.state is not QuestionState.OPEN and same and recent


def _current(review: Review, question: Question) -> Review:
    """The review with clarification active on this very question."""
    if question.state in {QuestionState.ANSWERED, QuestionState.SUPERSEDED}:
        raise ReviewError("question_not_open", f"The question is {question.state}; it needs no answer any more.")
    if question.state in {QuestionState.SKIPPED, QuestionState.EXPERT_REVIEW}:
        return review
    clarification = review.clarification
    current = asking.current_question(review)
    startable = clarification is not None and clarification.status in {
        ClarificationStatus.PENDING,
        ClarificationStatus.PAUSED,
    }
    if startable and asking.next_question(review.questions) == question:
        return resume(review, question.created_at)
    if current is None or current.question_id != question.question_id:
        raise ReviewError(
            "question_not_current",
            "Another question is being asked; answer that one first."
            if current is not None
            else "No question is being asked; resume the clarification first.",
            {"current_question_id": current.question_id if current else None},
        )
    return review


def _record(review: Review, question: Question, given: Answer, context: Context) -> Review:
    state = {
        AnswerKind.SKIPPED: QuestionState.SKIPPED,
        AnswerKind.EXPERT_REVIEW: QuestionState.EXPERT_REVIEW,
    }.get(given.kind, QuestionState.ANSWERED)
    answered = replace(question, state=state, answer_kind=given.kind, answer_value=given.value, answered_at=context.now)
    return replace(
        review,
        questions=tuple(answered if q.question_id == question.question_id else q for q in review.questions),
    )


def _value(question: Question, given: Answer) -> str:
    value = (given.value or "").strip()
    if given.kind is AnswerKind.CUSTOM:
        return value
    option = next((o for o in question.options if value in {o.option_id, o.value}), None)
    if option is None:
        raise ReviewError(
            "invalid_answer",
            "The answer is none of the options.",
            {"options": [o.option_id for o in question.options]},
        )
    return option.value


def _mark(review: Review, question: Question, state: ResolutionState) -> Review:
    refs = _finding_refs(question)
    return replace(
        review, findings=tuple(_with_state(f, state) if f.caused_by_ref in refs else f for f in review.findings)
    )


def _with_state(finding: Finding, state: ResolutionState) -> Finding:
    if finding.resolution_state in {ResolutionState.RESOLVED, ResolutionState.APPROVED}:
        return finding
    return replace(finding, resolution_state=state)


def _finding_refs(question: Question) -> set[str]:
    refs = {question.topic_ref}
    if question.topic == "mapping.ambiguous":
        refs.add(question.topic_ref.replace("mapping:", "variable:"))
    if question.topic in {"dataset", "profile.summary", "profile.main_dttm"}:
        refs.add("dataset")
    return refs


def _for_expert(review: Review, question: Question) -> Review:
    marked = _mark(review, question, ResolutionState.EXPERT_REVIEW)
    condition = Condition(
        "EXPERT_REVIEW_REQUESTED",
        f"Left to an expert: {question.question_text}",
        f"question:{question.question_id}",
        cause=question.cause,
    )
    return with_conditions(marked, [condition])


def _choose_dataset(review: Review, _q: Question, kind: AnswerKind, value: str, _c: Context) -> Answered:
    if kind is AnswerKind.CUSTOM and len(value) > 1000:
        raise ReviewError("invalid_answer", "Name one dataset.")
    changed = without_conditions(
        replace(review, session=replace(review.session, chosen_dataset=value)), "DATASET_AMBIGUOUS"
    )
    return Answered(changed, "The dataset is chosen and imported again.", wants_import=True)


def _filter_state(review: Review, _q: Question, kind: AnswerKind, value: str, _c: Context) -> Answered:
    guessed = [f for f in review.filters if f.requires_confirmation]
    if kind is AnswerKind.CUSTOM:
        changed = replace(review, session=replace(review.session, source_input=value))
        return Answered(changed, "The dataset is imported again from the new link.", wants_import=True)
    changed = without_conditions(review, "FILTER_STATE_UNAVAILABLE")
    for item in guessed:
        changed = _confirm(changed, item) if value == "defaults" else _drop(changed, item)
    done = "confirmed" if value == "defaults" else "removed"
    return Answered(changed, f"{len(guessed)} filters were {done}.")


def _filter_conflict(review: Review, question: Question, kind: AnswerKind, value: str, _c: Context) -> Answered:
    if kind is AnswerKind.CUSTOM:
        raise ReviewError("invalid_answer", "Choose one of the two values.")
    winner = _filter(review, value)
    rivals = [o.value for o in question.options if o.value != value]
    changed = _replace_filter(review, replace(winner, recovery_status=FilterRecoveryStatus.RECOVERED))
    for rival in rivals:
        changed = _drop(changed, _filter(changed, rival))
    return Answered(changed, f"{winner.display_name or winner.filter_name} has one value now.")


def _filter_confirm(review: Review, question: Question, kind: AnswerKind, value: str, _c: Context) -> Answered:
    item = _filter(review, question.topic_ref.partition(":")[2])
    name = item.display_name or item.filter_name
    if kind is AnswerKind.CUSTOM:
        changed = replace(item, normalized_value=_json(value), source=FilterSource.MANUAL)
        return Answered(_confirm(_replace_filter(review, changed), changed), f"{name} has a new value.")
    if value == asking.DROP:
        return Answered(_drop(review, item), f"{name} is not used.")
    return Answered(_confirm(review, item), f"{name} is confirmed.")


def _variable_value(review: Review, question: Question, kind: AnswerKind, value: str, context: Context) -> Answered:
    variable_id = question.topic_ref.partition(":")[2]
    variable = next(v for v in review.variables if v.variable_id == variable_id)
    mapping = next((m for m in review.mappings if m.variable_id == variable_id), None)
    if kind is AnswerKind.SELECTED:
        return _feed(review, variable_id, value, context)
    parsed = _loose(value, variable.shape)
    expected = check_manual_value(variable, parsed)
    if expected is not None:
        raise ReviewError("invalid_answer", f"{variable.variable_name} takes {expected}.", {"expected": expected})
    assert mapping is not None  # a required variable without a filter always has a mapping to fill
    written = set_value(mapping, manual_value(variable, parsed), context.user_id, context.now)
    changed = replace(
        review, mappings=tuple(written if m.mapping_id == mapping.mapping_id else m for m in review.mappings)
    )
    return Answered(changed, f"{variable.variable_name} has a value.")


def _mapping_choice(review: Review, question: Question, kind: AnswerKind, value: str, context: Context) -> Answered:
    if kind is AnswerKind.CUSTOM:
        raise ReviewError("invalid_answer", "Choose one of the filters.")
    return _feed(review, question.topic_ref.partition(":")[2], value, context)


def _feed(review: Review, variable_id: str, filter_id: str, context: Context) -> Answered:
    """The variable fed by the filter that the owner chose; choosing it is approving it."""
    variable = next(v for v in review.variables if v.variable_id == variable_id)
    source = _filter(review, filter_id)
    old = next((m for m in review.mappings if m.variable_id == variable_id), None)
    mapping_id = old.mapping_id if old else context.new_id()
    made = fresh_mapping(variable, source, MappingMethod.DIRECT_MATCH, mapping_id)
    others = tuple(m for m in review.mappings if m.variable_id != variable_id)
    return Answered(
        replace(review, mappings=(*others, made)),
        f"{variable.variable_name} gets its value from {source.display_name or source.filter_name}.",
    )


def _mapping_warning(review: Review, question: Question, kind: AnswerKind, value: str, context: Context) -> Answered:
    mapping = find_mapping(review, question.topic_ref.partition(":")[2])
    name = variable_of(review, mapping).variable_name
    if kind is AnswerKind.CUSTOM:
        given = dump(_loose(value, variable_of(review, mapping).shape))
        changed = update_mapping(review, mapping.mapping_id, MappingUpdate(given), context.user_id, context.now)
        return Answered(changed, f"{name} has a new value.")
    if value == asking.DROP:
        return Answered(reject_mapping(review, mapping.mapping_id), f"The filter is not passed to {name}.")
    return Answered(
        approve_mapping(review, mapping.mapping_id, context.user_id, context.now), f"The mapping of {name} is approved."
    )


def _time_column(review: Review, _q: Question, _k: AnswerKind, value: str, _c: Context) -> Answered:
    known = review.dataset.temporal_columns if review.dataset else ()
    if value not in known:
        raise ReviewError("invalid_answer", "Choose one of the temporal columns.", {"columns": list(known)})
    return Answered(
        replace(review, session=replace(review.session, main_time_column=value)), f"The time range means {value}."
    )


def _field(review: Review, question: Question, kind: AnswerKind, value: str, context: Context) -> Answered:
    field_id = question.topic_ref.partition(":")[2]
    item = find_field(review, field_id)
    if kind is AnswerKind.SELECTED:
        decided = accept(item, find_candidate(item, value), ChangedByKind.USER)
    else:
        if len(value) > LIMITS["description"]:
            raise ReviewError("invalid_answer", f"A description may have {LIMITS['description']} characters.")
        decided = write_by_hand(item, {"description": value})
    changed = settle_findings(with_field(review, decided), field_id, None, context.now)
    return Answered(changed, f"{item.field_name} is described.")


def _summary(review: Review, _q: Question, kind: AnswerKind, value: str, _c: Context) -> Answered:
    if kind is AnswerKind.CUSTOM:
        profile = replace(
            review.profile,
            business_summary=value[:_MAX_SUMMARY],
            business_summary_source=BusinessSummarySource.MANUAL_OVERRIDE,
            manual_summary_locked=True,
        )
        return Answered(replace(review, profile=profile), "The summary is the owner's.")
    profile = replace(
        review.profile, business_summary_source=BusinessSummarySource.CONFIRMED, manual_summary_locked=True
    )
    return Answered(replace(review, profile=profile), "The summary is confirmed.")


_EFFECTS: Mapping[str, Callable[[Review, Question, AnswerKind, str, Context], Answered]] = {
    "dataset": _choose_dataset,
    "filters.state": _filter_state,
    "filter.conflict": _filter_conflict,
    "filter.confirm": _filter_confirm,
    "variable.required": _variable_value,
    "mapping.ambiguous": _mapping_choice,
    "mapping.warning": _mapping_warning,
    "profile.main_dttm": _time_column,
    "field.conflict": _field,
    "field.metric": _field,
    "field.candidate": _field,
    "field.unknown": _field,
    "profile.summary": _summary,
}


def _filter(review: Review, filter_id: str) -> Filter:
    found = next((f for f in review.filters if f.filter_id == filter_id), None)
    if found is None:
        raise ReviewError("invalid_answer", "That filter is gone.")
    return found


def _replace_filter(review: Review, changed: Filter) -> Review:
    filters = tuple(changed if f.filter_id == changed.filter_id else f for f in review.filters)
    return replace(review, filters=filters)


def _confirm(review: Review, item: Filter) -> Review:
    confirmed = replace(
        item,
        confidence_state=FilterConfidenceState.CONFIRMED,
        requires_confirmation=False,
        recovery_status=FilterRecoveryStatus.RECOVERED,
    )
    keys = tuple(dict.fromkeys((*review.confirmed_filters, natural_key(item))))
    return replace(_replace_filter(review, confirmed), confirmed_filters=keys)


def _drop(review: Review, item: Filter) -> Review:
    keys = tuple(dict.fromkeys((*review.removed_filters, natural_key(item))))
    return replace(
        review,
        filters=tuple(f for f in review.filters if f.filter_id != item.filter_id),
        mappings=tuple(m for m in review.mappings if m.filter_id != item.filter_id),
        removed_filters=keys,
    )


def _json(value: str) -> JsonText:
    try:
        return canonical(value)
    except InvalidJsonError:
        return dump(value)


def _loose(value: str, shape: str) -> Json:
    """JSON where the text is JSON of the wanted kind, else the text itself."""
    text = _json(value)
    parsed = load(text)
    if text == NULL or isinstance(parsed, dict):
        return value
    if shape in {"scalar", "time"} and not isinstance(parsed, str):
        return value if shape == "time" else parsed
    return parsed
