"""What happened to a session, told from the difference between two of its states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sagitta_server.reviews.enums import QuestionState
from sagitta_server.reviews.gates import is_unsettled
from sagitta_server.reviews.values import Field, Finding, Mapping, Preview, Question, Review, Run, Session


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """Progress of an import."""

    name: str
    number: int
    total: int


Payload = Session | Finding | Field | Question | Mapping | Preview | Run | RecoveryStep


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; the store gives it its sequence number."""

    kind: str
    payload: Payload | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in the session's history."""

    sequence: int
    at: datetime
    version: int
    kind: str
    payload: Payload | None
    note: str | None = None


def events_between(before: Review | None, after: Review) -> Iterator[Event]:
    """The events of one change, in the order in which a reader wants them."""
    yield from _findings(before, after)
    yield from _changed("field.changed", before.fields if before else (), after.fields, "field_id")
    yield from _questions(before, after)
    yield from _changed("mapping.changed", before.mappings if before else (), after.mappings, "mapping_id")
    yield from _preview(before, after)
    yield from _run(before, after)
    if before is None or _visible(before.session) != _visible(after.session):
        yield Event("session.changed", after.session)


def _visible(session: Session) -> tuple[object, ...]:
    return (
        session.status,
        session.readiness_state,
        session.recommended_action,
        session.dataset_ref,
        session.active_task_id,
        session.version,
    )


def _changed(
    kind: str, before: tuple[Field, ...] | tuple[Mapping, ...], after: tuple[Field, ...] | tuple[Mapping, ...], key: str
) -> Iterator[Event]:
    known = {getattr(item, key): item for item in before}
    for item in after:
        if known and known.get(getattr(item, key)) != item:
            yield Event(kind, item)


def _findings(before: Review | None, after: Review) -> Iterator[Event]:
    known = {f.finding_id: f for f in before.findings} if before else {}
    for finding in after.findings:
        was = known.get(finding.finding_id)
        if is_unsettled(finding) and (was is None or not is_unsettled(was)):
            yield Event("finding.raised", finding)
        elif was is not None and is_unsettled(was) and not is_unsettled(finding):
            yield Event("finding.settled", finding)


def _questions(before: Review | None, after: Review) -> Iterator[Event]:
    known = {q.question_id: q for q in before.questions} if before else {}
    for question in after.questions:
        was = known.get(question.question_id)
        decided = question.state not in {QuestionState.OPEN, QuestionState.SUPERSEDED}
        if decided and (was is None or was.state is QuestionState.OPEN):
            yield Event("question.answered", question)
    current = after.clarification.current_question_id if after.clarification else None
    former = before.clarification.current_question_id if before and before.clarification else None
    if current is not None and current != former:
        yield Event("question.asked", next(q for q in after.questions if q.question_id == current))


def _preview(before: Review | None, after: Review) -> Iterator[Event]:
    preview, was = after.preview, before.preview if before else None
    if preview is None:
        return
    same = was is not None and was.preview_id == preview.preview_id
    if not same or (was is not None and was.preview_status is not preview.preview_status):
        yield Event(f"preview.{preview.preview_status}", preview)


def _run(before: Review | None, after: Review) -> Iterator[Event]:
    run, was = after.run, before.run if before else None
    if run is None or run == was:
        return
    if was is None or was.run_context_id != run.run_context_id:
        yield Event("run.started", run)
    elif was.launch_status is not run.launch_status:
        yield Event("run.finished", run)
