"""A session over time: previews that age, models that change, runs that are stopped, imports that are repeated."""

from datetime import timedelta

import pytest
from sagitta_server.app import Engine
from sagitta_server.models.compiled import ModelSource
from sagitta_server.reviews.answers import Answer
from sagitta_server.reviews.enums import AnswerKind, LaunchStatus, PreviewStatus, SessionStatus, SourceKind
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.field_decisions import FieldUpdate
from sagitta_server.reviews.mapping_decisions import MappingUpdate
from sagitta_server.reviews.recovery import begin_import
from sagitta_server.reviews.store import tables
from sagitta_server.reviews.store.tasks import TaskKind
from server.reviews.world import ALICE, MODEL, selection, settings, world
from sqlalchemy import select


@pytest.fixture
def engine(tmp_path):
    with world(tmp_path, launch_wait_ms=200) as running:
        yield running


def start(engine, source=None):
    given = source or selection({"first_day": "2024-02-01"})
    return engine.reviews.service.start_session(ALICE, SourceKind.DATASET_SELECTION, given, "local").review


def ready(engine):
    review = start(engine)
    return engine.reviews.service.request_preview(ALICE, review.session_id, None).review


def test_a_preview_is_stale_after_a_day_also_in_the_list(engine):
    service = engine.reviews.service
    review = ready(engine)
    assert review.session.readiness_state == "run_ready"
    now = service.work.clock
    service.work.clock = lambda: now() + timedelta(days=1)
    assert service.get_session(ALICE, review.session_id).preview.preview_status is PreviewStatus.STALE
    listed = service.list_sessions(ALICE, None, None, 1, 20).sessions[0]
    assert (
        listed.readiness_state == service.get_session(ALICE, review.session_id).session.readiness_state != "run_ready"
    )
    with pytest.raises(ReviewError) as refused:
        service.launch(ALICE, review.session_id, None)
    assert refused.value.code == "preview_stale"


def test_a_preview_is_of_the_values_that_were_compiled_also_when_they_changed_while_it_waited(tmp_path):
    """Else a change that is taken back would make a text `ready` that holds the other value."""
    with world(tmp_path, workers=1) as engine:
        service = engine.reviews.service
        service.runner.stop()
        service.start_session(
            ALICE, SourceKind.DATASET_SELECTION, selection({"first_day": "2024-02-01"}), "local", wait=False
        )
        assert service.runner.run_one()
        session_id = service.list_sessions(ALICE, None, None, 1, 1).sessions[0].session_id
        first = service.request_preview(ALICE, session_id, None, wait=False).preview
        (mapping,) = service.get_session(ALICE, session_id).mappings
        service.update_mapping(ALICE, session_id, mapping.mapping_id, MappingUpdate(value='"2024-03-01"'), None)
        assert service.runner.run_one()
        shown = service.get_session(ALICE, session_id).preview
        assert shown.preview_id == first.preview_id
        assert "2024-03-01" in shown.compiled_sql
        assert shown.preview_status is PreviewStatus.READY
        service.update_mapping(ALICE, session_id, mapping.mapping_id, MappingUpdate(value='"2024-02-01"'), None)
        assert service.get_session(ALICE, session_id).preview.preview_status is PreviewStatus.STALE


def test_a_model_that_changed_upstream_blocks_the_launch_until_it_is_previewed_again(engine, tmp_path):
    service = engine.reviews.service
    review = ready(engine)
    model = tmp_path / "shop.yaml"
    model.write_text(model.read_text().replace("Orders of a small shop", "Orders of a bigger shop"))
    assert engine.models.curated.reload_changed() == ("shop",)
    with pytest.raises(ReviewError) as refused:
        service.launch(ALICE, review.session_id, None)
    blockers = {b["code"] for b in refused.value.details["blockers"]}
    assert "dataset_changed" in blockers


def test_a_launch_that_looked_at_an_earlier_preview_looks_again(engine, monkeypatch):
    """The ticket and the links of a run are made before its transaction, of the text as it was then."""
    service = engine.reviews.service
    review = ready(engine)
    launcher, looks = service._launcher, []
    look = launcher.look

    def look_slowly(principal, seen):
        looked = look(principal, seen)
        if not looks:
            service.request_preview(ALICE, review.session_id, None, force=True)
        looks.append(looked.preview_id)
        return looked

    monkeypatch.setattr(launcher, "look", look_slowly)
    run = service.launch(ALICE, review.session_id, None).run
    assert len(set(looks)) == 2
    assert run.preview_id == looks[-1]


def test_reopening_a_completed_session_makes_its_preview_stale(engine):
    service = engine.reviews.service
    review = ready(engine)
    service.launch(ALICE, review.session_id, None)
    service.work.wait(
        lambda: service.get_session(ALICE, review.session_id).session.status is SessionStatus.COMPLETED, 20
    )
    after = service.update_session(ALICE, review.session_id, SessionStatus.ACTIVE, None, None)
    assert after.preview.preview_status is PreviewStatus.STALE


def test_a_run_is_stopped_on_request_and_the_session_goes_on(engine):
    service = engine.reviews.service
    review = ready(engine)
    long = "SELECT count(*) AS n FROM range(100000000000) a(i), range(100000) b(j) WHERE (i * j) % 7 = 3"
    with engine.database.write() as connection:
        connection.execute(tables.PREVIEWS.update().values(compiled_sql=long))
    run = service.launch(ALICE, review.session_id, None).run
    assert run.launch_status is LaunchStatus.STARTED
    assert service.get_session(ALICE, review.session_id).session.readiness_state == "run_in_progress"
    for refused in (SessionStatus.COMPLETED, SessionStatus.ARCHIVED):
        with pytest.raises(ReviewError) as error:
            service.update_session(ALICE, review.session_id, refused, None, None)
        assert error.value.code == "run_in_progress"
    _, stopped = service.cancel_run(ALICE, review.session_id, run.run_context_id)
    service.work.wait(
        lambda: service.get_run(ALICE, review.session_id, run.run_context_id)[1].finished_at is not None, 20
    )
    _, stopped = service.get_run(ALICE, review.session_id, run.run_context_id)
    assert (stopped.launch_status, "cancelled" in stopped.launch_error) == (LaunchStatus.FAILED, True)
    after = service.get_session(ALICE, review.session_id)
    assert after.session.status is SessionStatus.ACTIVE
    assert "LAUNCH_FAILED" in {f.code for f in after.findings if f.resolution_state == "open"}
    with pytest.raises(ReviewError, match="ended already"):
        service.cancel_run(ALICE, review.session_id, run.run_context_id)


def test_a_query_that_fails_is_a_failed_run_not_an_error(engine):
    service = engine.reviews.service
    review = ready(engine)
    with engine.database.write() as connection:
        connection.execute(tables.PREVIEWS.update().values(compiled_sql="SELECT * FROM not_there"))
    service.launch(ALICE, review.session_id, None)
    service.work.wait(lambda: service.get_session(ALICE, review.session_id).run.finished_at is not None, 20)
    run = service.get_session(ALICE, review.session_id).run
    assert (run.launch_status, "not_there" in run.launch_error) == (LaunchStatus.FAILED, True)
    with engine.database.read() as connection:
        assert connection.execute(select(tables.TASKS)).all() == []


def test_questions_come_one_at_a_time_and_end(engine):
    service = engine.reviews.service
    review = start(engine, selection())
    asked = []
    state = service.resume_clarification(ALICE, review.session_id, None)
    while (current := state.clarification.current_question_id) is not None:
        question = next(q for q in state.questions if q.question_id == current)
        asked.append(question.topic)
        value = {"variable.required": "2024-03-01", "profile.summary": "confirm"}.get(question.topic, "What it holds")
        kind = AnswerKind.SELECTED if question.topic == "profile.summary" else AnswerKind.CUSTOM
        state = service.submit_answer(ALICE, review.session_id, Answer(current, kind, value), None).review
    assert asked == ["variable.required", "field.metric", "field.unknown", "field.unknown"]
    assert state.clarification.status == "completed"
    assert {f.provenance for f in state.fields if f.field_kind in {"column", "metric"}} == {"manual_override"}
    with pytest.raises(ReviewError) as refused:
        service.submit_answer(ALICE, review.session_id, Answer(current or "x", AnswerKind.SKIPPED), None)
    assert refused.value.code == "question_not_found"


def test_what_is_left_to_an_expert_is_reported_until_it_is_answered(engine):
    service = engine.reviews.service
    review = start(engine, selection())
    state = service.resume_clarification(ALICE, review.session_id, None)
    first = state.clarification.current_question_id
    after = service.submit_answer(
        ALICE, review.session_id, Answer(first, AnswerKind.EXPERT_REVIEW, "ask Eve"), None
    ).review
    assert {f.code: f.resolution_state for f in after.findings}["EXPERT_REVIEW_REQUESTED"] == "open"
    later = service.submit_answer(ALICE, review.session_id, Answer(first, AnswerKind.CUSTOM, "2024-01-05"), None).review
    assert {f.code: f.resolution_state for f in later.findings}["REQUIRED_VALUE_MISSING"] == "resolved"


def test_one_user_has_so_many_sessions_and_changes_per_minute(tmp_path):
    with world(tmp_path, max_sessions_per_user=2) as engine:
        start(engine), start(engine)
        with pytest.raises(ReviewError) as refused:
            start(engine)
        assert refused.value.code == "too_many_sessions"
    with world(tmp_path, mutations_per_minute=3) as engine:
        service = engine.reviews.service
        review = service.list_sessions(ALICE, None, None, 1, 1).sessions[0]
        for _ in range(3):
            service.update_session(ALICE, review.session_id, SessionStatus.ACTIVE, None, None)
        with pytest.raises(ReviewError) as refused:
            service.update_session(ALICE, review.session_id, SessionStatus.ACTIVE, None, None)
        assert (refused.value.code, refused.value.details["retry_after_s"] > 0) == ("rate_limited", True)


def test_audit_records_can_be_kept_without_values(tmp_path):
    with world(tmp_path, audit_keep_values=False) as engine:
        service = engine.reviews.service
        review = ready(engine)
        service.launch(ALICE, review.session_id, None)
        with engine.database.read() as connection:
            records = service.work.store.audit_records(connection, review.session_id)
        assert "2024-02-01" not in str(records)
        assert len(records[0]["body"]["sql_sha256"]) == 64


def test_a_name_that_means_two_models_is_asked_about_and_imported_again(tmp_path):
    base = settings(tmp_path)
    engine = Engine(base.model_copy(update={"models": base.models.model_copy(update={"files": ()})}))
    engine.reviews.start()
    try:
        keys = []
        for text in ("small", "big"):
            session = engine.models.create_session({})
            source = ModelSource(MODEL.replace("Orders of a small shop", f"Orders of a {text} shop"))
            handle = engine.models.load(session.session_id, source).handle
            keys.append(f"{handle.session_id}/{handle.model_id}")
        service = engine.reviews.service
        review = start(engine)
        assert (review.session.dataset_ref, review.session.readiness_state) == ("unresolved:shop", "recovery_required")
        assert review.session.recommended_action == "start_clarification"
        state = service.resume_clarification(ALICE, review.session_id, None)
        assert state.session.recommended_action == "answer_next_question"
        question = next(q for q in state.questions if q.topic == "dataset")
        assert {o.value for o in question.options} == set(keys)
        answer = Answer(question.question_id, AnswerKind.SELECTED, keys[1])
        service.submit_answer(ALICE, review.session_id, answer, None)
        service.work.wait(lambda: service.get_session(ALICE, review.session_id).session.import_task_id is None, 20)
        after = service.get_session(ALICE, review.session_id)
        assert (after.session.dataset_ref, after.profile.description) == ("model:shop", "Orders of a big shop")
        assert {f.code: f.resolution_state for f in after.findings}["DATASET_AMBIGUOUS"] == "resolved"
    finally:
        engine.stop()


def test_importing_again_keeps_what_the_owner_did(engine, tmp_path):
    service = engine.reviews.service
    review = start(engine)
    field = next(f for f in review.fields if f.field_name == "Revenue")
    service.update_field(ALICE, review.session_id, field.field_id, FieldUpdate(texts=(("description", "mine"),)), None)
    model = tmp_path / "shop.yaml"
    model.write_text(
        model.read_text()
        .replace("  Order Day:", "  Weekday: {dataObject: Orders, column: Day, resultType: date}\n  Order Day:")
        .replace("  Status: {dataObject: Orders, column: Status, resultType: string}\n", "")
        .replace("aggregation: sum, resultType: float}", "aggregation: sum, resultType: float, description: theirs}")
    )
    assert engine.models.curated.reload_changed() == ("shop",)

    def again(current, effects):
        return begin_import(current, effects.enqueue(current.session_id, TaskKind.IMPORT))

    service.work.system_change(review.session_id, again)
    service.work.wait(lambda: service.get_session(ALICE, review.session_id).session.import_task_id is None, 20)
    after = service.get_session(ALICE, review.session_id)
    kept = next(f for f in after.fields if f.field_name == "Revenue")
    assert (kept.field_id, kept.description, kept.is_locked) == (field.field_id, "mine", True)
    assert {f.field_name for f in after.fields} >= {"Weekday", "Order Day"}
    assert "Status" not in {f.field_name for f in after.fields}
    assert after.mappings[0].mapping_id == review.mappings[0].mapping_id
    removed = next(f for f in after.findings if f.code == "REIMPORT_REMOVED_ITEMS")
    assert "Status" in removed.message
