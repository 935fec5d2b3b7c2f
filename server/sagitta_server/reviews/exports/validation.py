"""The validation report as a document: may it be launched, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sagitta_server.reviews.enums import FindingSeverity, LaunchStatus, QuestionState, ResolutionState, SessionStatus
from sagitta_server.reviews.exports.blocks import Block, Bullets, Document, Heading, Paragraph, Table
from sagitta_server.reviews.exports.wording import moment
from sagitta_server.reviews.gates import Gate, failing, gates
from sagitta_server.reviews.settle import ordered_findings
from sagitta_server.reviews.values import Finding, Review

NAMES = {
    "G1": "Session is active",
    "G2": "Dataset is identified",
    "G3": "No blocking findings",
    "G4": "Required values are given",
    "G5": "Mappings are approved",
    "G6": "SQL is compiled",
    "G7": "Preview is up to date",
    "G8": "Dataset is unchanged",
    "G9": "No run in progress",
    "G10": "Database may run queries",
    "G11": "SQL only reads",
    "G12": "SQL holds no template marks",
}
"""What each gate makes sure of."""


def validation(review: Review, now: datetime) -> Document:
    """The report of gates, findings and questions."""
    return Document(
        title=f"Validation of {review.profile.dataset_name}",
        subtitle=f"Version {review.session.version} of the review, {moment(now)}",
        blocks=tuple(_blocks(review)),
    )


def effective_gates(review: Review) -> tuple[Gate, ...]:
    """The gates of a review whose preview already shows its effective status."""
    return gates(review, review.preview.preview_status if review.preview else None)


def _blocks(review: Review) -> Iterator[Block]:
    all_gates = effective_gates(review)
    yield Paragraph(_verdict(review, failing(all_gates)), strong=True)
    yield Heading("Gates")
    rows = tuple((g.gate, NAMES[g.gate], "passed" if g.passed else f"not passed: {g.message}") for g in all_gates)
    yield Table(("Gate", "Makes sure that", "Result"), rows, (8, 32, 60))
    shown = ordered_findings(review)
    expert = [f for f in shown if f.resolution_state is ResolutionState.EXPERT_REVIEW]
    if expert:
        yield Heading("For an expert")
        yield Bullets(tuple(f"{f.title}: {f.message}" for f in expert))
    for severity in FindingSeverity:
        yield from _findings(severity, [f for f in shown if f.severity is severity])
    put_off = [f for f in shown if f.resolution_state in {ResolutionState.SKIPPED, ResolutionState.DEFERRED}]
    if put_off:
        yield Heading("Skipped and deferred")
        yield Bullets(tuple(f"{f.title} ({f.resolution_state}): {f.message}" for f in put_off))
    yield from _answers(review)


def _verdict(review: Review, blocked: tuple[Gate, ...]) -> str:
    run = review.run
    if (
        review.session.status is SessionStatus.COMPLETED
        and run is not None
        and run.launch_status is LaunchStatus.SUCCESS
    ):
        rows = "" if run.row_count is None else f": {run.row_count} row{'' if run.row_count == 1 else 's'}"
        return f"Launched {moment(run.finished_at)}{rows}. Reopen the session to launch it again."
    if not blocked:
        return "Ready to launch."
    return "Not ready to launch: blocked by " + ", ".join(f"{g.gate} ({NAMES[g.gate].lower()})" for g in blocked) + "."


def _findings(severity: FindingSeverity, found: list[Finding]) -> Iterator[Block]:
    if not found:
        return
    yield Heading(f"{severity.capitalize()} findings ({len(found)})")
    rows = tuple(
        (f.code, f.message, f.resolution_state.value.replace("_", " "), f.resolution_note or "") for f in found
    )
    yield Table(("Code", "What and what to do", "State", "Note"), rows, (30, 44, 12, 14))


def _answers(review: Review) -> Iterator[Block]:
    answered = [q for q in review.questions if q.state is QuestionState.ANSWERED]
    if not answered:
        return
    yield Heading("Answered questions")
    rows = []
    for question in answered:
        option = next((o for o in question.options if question.answer_value in {o.option_id, o.value}), None)
        rows.append((question.question_text, option.label if option else question.answer_value or ""))
    yield Table(("Question", "Answer"), tuple(rows), (60, 40))
