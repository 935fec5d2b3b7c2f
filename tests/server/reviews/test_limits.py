"""Every limit of the settings holds at its new value, and says so in the documented way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sagitta_server.reviews.answers import Answer
from sagitta_server.reviews.enums import AnswerKind, PreviewStatus, QuestionState, SourceKind
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.store import artifacts
from server.reviews.world import ALICE, BOB, selection, world

WHERE = [
    {"field": "Order Day", "op": ">=", "value": "{{ first_day }}"},
    {"field": "Order Day", "op": "<=", "value": "{{ last_day }}"},
]
DAYS = {"first_day": "2024-02-01", "last_day": "2024-03-01"}


@pytest.fixture
def start(tmp_path):
    """Starts a review of the shop under these limits."""
    opened = []

    def run(source=None, **limits):
        while opened:  # an engine with other limits would work on the tasks of this one
            opened.pop().__exit__(None, None, None)
        context = world(tmp_path, limits=limits)
        opened.append(context)
        service = context.__enter__().reviews.service
        given = source or selection(DAYS, where=WHERE)
        return service, service.start_session(ALICE, SourceKind.DATASET_SELECTION, given, "local").review

    yield run
    for context in opened:
        context.__exit__(None, None, None)


def told(review, code):
    return [f.message for f in review.findings if f.code == code]


@pytest.mark.parametrize(("kind", "count"), [("field", 3), ("filter", 4), ("variable", 2)])
def test_only_the_first_ones_of_a_dataset_are_reviewed_and_that_is_told(start, kind, count):
    for limit, kept, messages in (
        (count, count, []),
        (1, 1, [f"There are {count} {kind}s; the first 1 are reviewed."]),
    ):
        _, review = start(**{f"{kind}s": limit})
        found = {
            "field": [f for f in review.fields if f.field_kind in {"column", "metric"}],
            "filter": [f for f in review.filters if not f.is_placeholder],
            "variable": review.variables,
        }
        assert len(found[kind]) == kept
        assert told(review, "DATASET_LIMIT_EXCEEDED") == messages


def test_filters_beyond_the_limit_block_the_launch_because_their_rows_would_be_too_many(start):
    source = selection({}, where=[{"field": "Status", "op": "=", "value": word} for word in ("paid", "open")])
    service, review = start(source, filters=1)
    (message,) = told(review, "FILTERS_LEFT_OUT")
    assert "Status" in message
    shown = service.request_preview(ALICE, review.session_id, None).preview
    assert shown.preview_status is PreviewStatus.READY, shown.error_details
    with pytest.raises(ReviewError) as refused:
        service.launch(ALICE, review.session_id, None)
    assert refused.value.code == "blocking_findings"
    _, within = start(source, filters=2)
    assert not told(within, "FILTERS_LEFT_OUT")


def test_so_many_questions_are_open_and_the_next_ones_follow(start):
    service, review = start(selection({}, where=WHERE), open_questions=1)
    asked = [q for q in review.questions if q.state is QuestionState.OPEN]
    assert len(asked) == 1
    state = service.resume_clarification(ALICE, review.session_id, None)
    held = state.clarification.current_question_id
    answer = Answer(held, AnswerKind.CUSTOM, "2024-02-01")
    after = service.submit_answer(ALICE, review.session_id, answer, None).review
    still = [q.question_id for q in after.questions if q.state is QuestionState.OPEN]
    assert len(still) == 1
    assert still != [held]


def test_a_template_that_is_too_long_to_be_searched_blocks_the_preview(start):
    service, review = start(template_bytes=10)
    assert not review.variables
    assert told(review, "TEMPLATE_SYNTAX_ERROR")
    assert all("at most 10 are searched" in message for message in told(review, "TEMPLATE_SYNTAX_ERROR"))
    with pytest.raises(ReviewError) as refused:
        service.request_preview(ALICE, review.session_id, None)
    assert refused.value.code == "template_invalid"


def test_a_user_holds_so_many_uploads_and_the_oldest_go(tmp_path):
    with world(tmp_path, max_uploads_per_user=2) as engine:
        service = engine.reviews.service
        now = service.work.clock()
        made = []
        for minute, owner in enumerate((ALICE, BOB, ALICE, ALICE)):
            service.work.clock = lambda minute=minute: now + timedelta(minutes=minute)
            made.append((owner, service.upload(owner, "a.csv", "text/csv", b"column,label\na,b\n").upload_id))
        with engine.database.read() as connection:
            kept = [artifacts.read_upload(connection, key, owner.user_id, now) is not None for owner, key in made]
        assert kept == [False, True, True, True]


def test_a_source_is_measured_in_bytes(start):
    service, _ = start("model:shop", source_bytes=20)
    with pytest.raises(ReviewError) as refused:
        service.start_session(ALICE, SourceKind.DATASET_SELECTION, "model:" + "ü" * 8, "local")
    assert refused.value.code == "validation_error"
    assert refused.value.message == "body.source_input: may have 20 bytes"


def test_a_compiled_text_that_is_too_large_is_a_failed_preview(start):
    service, review = start(preview_bytes=40)
    shown = service.request_preview(ALICE, review.session_id, None).review.preview
    assert shown.preview_status is PreviewStatus.FAILED
    assert "larger than 40 bytes" in str(shown.error_details)
