"""The decision table: every combination of facts hits exactly one row, and every state and action can be reached."""

from itertools import product

import pytest
from sagitta_server.reviews.decision import TABLE, Facts, decide, matches
from sagitta_server.reviews.enums import PreviewStatus, ReadinessState, RecommendedAction, SessionPhase, SessionStatus

BOOLEANS = (
    "import_runs",
    "run_runs",
    "imported",
    "resolved",
    "holds",
    "holding_question",
    "question_active",
    "question_blocking",
    "question_open",
    "source_available",
    "meaning_open",
    "value_missing",
    "mapping_open",
    "reviewed",
)
PREVIEWS = (
    *((PreviewStatus.READY, gate) for gate in (None, "G3", "G4", "G5", "G10", "G11", "G12")),
    *((status, "G7") for status in (None, PreviewStatus.PENDING, PreviewStatus.FAILED, PreviewStatus.STALE)),
)


def combinations():
    for status, values, (preview, gate) in product(
        SessionStatus, product((False, True), repeat=len(BOOLEANS)), PREVIEWS
    ):
        yield Facts(status=status, preview=preview, first_gate=gate, **dict(zip(BOOLEANS, values, strict=True)))


def expected(facts):
    """The table of the specification, written a second time as a person would decide."""
    s = facts.status
    if s in (SessionStatus.ARCHIVED, SessionStatus.CANCELLED):
        return 1
    if s is SessionStatus.PAUSED:
        return 2
    if s is SessionStatus.COMPLETED:
        return 3
    return live_row(facts)


def live_row(facts):
    if facts.run_runs:
        return 4
    if facts.import_runs:
        return 5
    if not facts.imported:
        return 6
    if not facts.resolved or facts.holds:
        return 7
    if facts.question_active:
        return 8
    if facts.preview is PreviewStatus.READY:
        return 10 if facts.first_gate else 9
    if not facts.reviewed:
        return 11
    if facts.question_blocking:
        return 12
    if facts.source_available and facts.meaning_open:
        return 13
    if facts.value_missing:
        return 14
    if facts.mapping_open:
        return 15
    return 16 if facts.question_open else 17


@pytest.fixture(scope="module")
def decisions():
    return [(facts, decide(facts)) for facts in combinations()]


def test_every_combination_hits_the_row_that_the_specification_names(decisions):
    assert len(decisions) == len(SessionStatus) * 2 ** len(BOOLEANS) * len(PREVIEWS)
    wrong = [(facts, decision) for facts, decision in decisions if decision.row != expected(facts)]
    assert wrong == []


def test_every_state_action_and_row_is_reachable(decisions):
    assert {d.readiness_state for _, d in decisions} == set(ReadinessState)
    assert {d.recommended_action for _, d in decisions} == set(RecommendedAction)
    assert {d.current_phase for _, d in decisions} == set(SessionPhase)
    assert {d.row for _, d in decisions} == {row.number for row in TABLE} == set(range(1, 18))
    assert (len(ReadinessState), len(RecommendedAction)) == (13, 11)


def test_paused_and_ended_sessions_show_the_readiness_they_would_have(decisions):
    for facts, decision in decisions[::997]:
        if decision.row in (1, 2):
            shown = next(row for row in TABLE[3:] if matches(row, facts))
            assert (decision.readiness_state, decision.current_phase) == (shown.readiness_state, shown.current_phase)


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        ({"holds": True, "question_active": True}, RecommendedAction.ANSWER_NEXT_QUESTION),
        ({"holds": True, "holding_question": True}, RecommendedAction.START_CLARIFICATION),
        ({"holds": True}, RecommendedAction.IMPORT_FROM_SUPERSET),
        ({"first_gate": "G3", "question_open": True}, RecommendedAction.START_CLARIFICATION),
        ({"first_gate": "G3"}, RecommendedAction.REVIEW_DOCUMENTATION),
        ({"first_gate": "G4"}, RecommendedAction.COMPLETE_REQUIRED_VALUES),
        ({"first_gate": "G5"}, RecommendedAction.APPROVE_MAPPING),
        ({"first_gate": "G12"}, RecommendedAction.EXPORT_OUTPUTS),
    ],
)
def test_the_action_follows_what_stands_in_the_way(facts, action):
    base = {"imported": True, "resolved": True, "preview": PreviewStatus.READY}
    assert decide(Facts(**{**base, **facts})).recommended_action is action


def test_the_facts_of_the_test_are_all_the_facts_there_are():
    assert set(Facts.__dataclass_fields__) == {*BOOLEANS, "status", "preview", "first_gate"}
