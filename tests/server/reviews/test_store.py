"""Reviews in SQLite and PostgreSQL: what is written is what is read, and nobody's change is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sagitta_server.reviews import task_runner
from sagitta_server.reviews.enums import ArtifactFormat, ArtifactType, SourceKind
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.field_decisions import FieldUpdate
from sagitta_server.reviews.mapping_decisions import MappingUpdate
from sagitta_server.reviews.retention import forget
from sagitta_server.reviews.settings import ReviewSettings
from sagitta_server.reviews.store import VersionConflictError, tables, tasks
from sagitta_server.reviews.store.tasks import Task, TaskKind
from sagitta_server.reviews.work import ReviewWork
from sagitta_server.state.base import Base
from server.reviews.world import ALICE, selection
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DatabaseError, OperationalError


def start(engine, source=None):
    given = source or selection({"firstDay": "2024-02-01"})
    return engine.reviews.service.start_session(ALICE, SourceKind.DATASET_SELECTION, given, "local").review


def test_the_migrated_schema_is_the_declared_one(engine):
    with engine.database.write() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda _o, name, kind, _r, _c: kind != "table" or name.startswith("review_"),
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_a_review_is_read_as_it_was_written(engine):
    service = engine.reviews.service
    review = start(engine)
    service.request_preview(ALICE, review.session_id, None)
    service.approve_mapping(ALICE, review.session_id, review.mappings[0].mapping_id, "fine", None)
    run = service.launch(ALICE, review.session_id, None).run
    with engine.database.read() as connection:
        first = service.work.store.load(connection, review.session_id)
        second = service.work.store.load(connection, review.session_id)
    assert first == second
    assert first.run == run
    assert first.run.row_count == 2
    with engine.database.write() as connection:
        changed = replace(first, session=replace(first.session, version=first.session.version + 1))
        service.work.store.save(connection, first, changed, stale_at=None)
        assert service.work.store.load(connection, review.session_id) == changed


def test_a_write_over_a_newer_version_fails(engine):
    review = start(engine)
    store = engine.reviews.service.work.store
    with engine.database.read() as connection:
        old = store.load(connection, review.session_id)
    engine.reviews.service.lock_field(ALICE, review.session_id, old.fields[0].field_id, None)
    with pytest.raises(VersionConflictError), engine.database.write() as connection:
        store.save(
            connection, old, replace(old, session=replace(old.session, version=old.session.version + 1)), stale_at=None
        )


def test_many_editors_of_one_session_lose_nothing(engine):
    review = start(engine)
    service = engine.reviews.service
    errors = []

    def edit(number):
        try:
            for step in range(5):
                update_ = FieldUpdate(texts=(("description", f"{number}.{step}"),))
                service.update_field(ALICE, review.session_id, review.fields[number % 3].field_id, update_, None)
        except Exception as error:  # noqa: BLE001 - reported by the assertion
            errors.append(error)

    threads = [threading.Thread(target=edit, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    after = service.get_session(ALICE, review.session_id)
    assert after.session.version == review.session.version + 30
    events = service.events(ALICE, review.session_id, 0, 10_000)
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    assert sum(e.kind == "field.changed" and e.payload.last_changed_by == "user" for e in events) == 30


def test_an_optimistic_version_lets_one_of_two_through(engine):
    review = start(engine)
    service = engine.reviews.service
    field = review.fields[0].field_id
    service.lock_field(ALICE, review.session_id, field, review.session.version)
    with pytest.raises(ReviewError) as refused:
        service.unlock_field(ALICE, review.session_id, field, review.session.version)
    assert refused.value.code == "session_version_conflict"


def test_starts_with_one_key_at_once_make_one_session(engine):
    service = engine.reviews.service

    def begin(_):
        return service.start_session(ALICE, SourceKind.DATASET_SELECTION, "model:shop", "local", key="k", wait=False)

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(begin, range(8)))
    assert len({s.review.session_id for s in started}) == 1
    assert sum(not s.replayed for s in started) == 1


def test_one_key_at_once_for_several_sessions_is_good_for_one(engine):
    service = engine.reviews.service
    sessions = [start(engine).session_id for _ in range(6)]
    together = threading.Barrier(len(sessions))

    def preview(session_id):
        together.wait()
        try:
            return service.request_preview(ALICE, session_id, None, key="k", wait=False).review.session_id
        except ReviewError as refused:
            return refused.code

    with ThreadPoolExecutor(len(sessions)) as pool:
        answers = list(pool.map(preview, sessions))
    assert answers.count("idempotency_key_reused") == len(sessions) - 1
    assert set(answers) & set(sessions)


def test_a_lease_outlives_a_moment_without_the_state_database(engine, monkeypatch):
    renewed, stumbled = threading.Event(), threading.Event()

    def renew(*_):
        if not stumbled.is_set():
            stumbled.set()
            raise OperationalError("UPDATE", None, Exception("gone"))
        renewed.set()
        return True

    monkeypatch.setattr(tasks, "renew", renew)
    work = ReviewWork(engine.database, ReviewSettings(lease_s=0.1))
    with task_runner._Lease(work, Task("t", "s", TaskKind.IMPORT, None, 1, work.clock()), "me"):
        assert renewed.wait(20)


def test_the_audit_trail_outlives_the_session_and_cannot_be_changed(engine):
    service = engine.reviews.service
    review = start(engine, selection({"first_day": "2024-02-01"}))
    service.request_preview(ALICE, review.session_id, None)
    run = service.launch(ALICE, review.session_id, None).run
    service.delete_session(ALICE, review.session_id, hard=True, expected=None)
    with engine.database.read() as connection:
        records = service.work.store.audit_records(connection, review.session_id)
        left = {t.name: connection.execute(select(text("count(*)")).select_from(t)).scalar_one() for t in _children()}
    assert [r["kind"] for r in records] == ["launch.requested", "launch.finished"]
    assert records[1]["body"]["sql"] == run.sql
    assert records[1]["body"]["row_count"] == 2
    assert set(left.values()) == {0}, left
    for statement in (update(tables.AUDIT).values(actor="eve"), delete(tables.AUDIT)):
        with pytest.raises(DatabaseError, match="append-only"), engine.database.write() as connection:
            connection.execute(statement)


def _children():
    return [t for t in Base.metadata.sorted_tables if t.name.startswith("review_") and t is not tables.AUDIT]


def test_what_changed_in_meaning_is_told_between_any_two_versions(engine):
    service = engine.reviews.service
    review = start(engine)
    first = review.session.version
    field = next(f for f in review.fields if f.field_name == "Revenue")
    service.update_field(ALICE, review.session_id, field.field_id, FieldUpdate(texts=(("description", "a"),)), None)
    service.update_field(ALICE, review.session_id, field.field_id, FieldUpdate(texts=(("description", "b"),)), None)
    mapping = review.mappings[0].mapping_id
    service.update_mapping(ALICE, review.session_id, mapping, MappingUpdate(value='"2024-03-01"'), None)
    _, _, changes = service.diff(ALICE, review.session_id, first, None)
    told = {(c.subject, c.name, c.attribute): (c.before, c.after) for c in changes}
    assert told["field", "Revenue", "description"] == ("null", '"b"')
    assert told["mapping", "first_day", "effective_value"] == ('"2024-02-01"', '"2024-03-01"')
    _, _, between = service.diff(ALICE, review.session_id, first + 1, first + 2)
    assert [(c.attribute, c.before, c.after) for c in between if c.subject == "field"] == [
        ("description", '"a"', '"b"')
    ]
    assert service.diff(ALICE, review.session_id, first, first)[2] == ()
    with pytest.raises(ReviewError):
        service.diff(ALICE, review.session_id, 0, 10_000)


def test_an_edit_drops_the_approval_of_what_was_approved(engine):
    service = engine.reviews.service
    review = start(engine)
    mapping = review.mappings[0].mapping_id
    _, changed = service.approve_mapping(ALICE, review.session_id, mapping, None, None)
    assert changed.approval_state == "approved"
    _, again = service.update_mapping(
        ALICE, review.session_id, mapping, MappingUpdate(method=changed.mapping_method), None
    )
    assert (again.approval_state, again.approved_by_user_id) == ("pending", None)
    finding = next(
        f for f in service.get_session(ALICE, review.session_id).findings if f.code == "MAPPING_APPROVAL_REQUIRED"
    )
    assert finding.resolution_state == "open"


def test_an_artifact_is_made_once_per_version(engine):
    service = engine.reviews.service
    review = start(engine)

    def export(form):
        return service.export(ALICE, review.session_id, ArtifactType.DOCUMENTATION, form, mask=False)[1].artifact_id

    first = [export(form) for form in ArtifactFormat]
    assert [export(form) for form in ArtifactFormat] == first
    service.lock_field(ALICE, review.session_id, review.fields[0].field_id, None)
    assert export(ArtifactFormat.PDF) not in first


def test_what_is_out_of_date_is_forgotten_and_nothing_else(engine):
    service = engine.reviews.service
    source = selection({"first_day": "2024-02-01"})
    kept = service.start_session(ALICE, SourceKind.DATASET_SELECTION, source, "local", key="k").review
    review = start(engine, source)
    for _ in "ab":
        service.request_preview(ALICE, review.session_id, None, force=True)
    for session in (kept, review):
        service.export(ALICE, session.session_id, ArtifactType.DOCUMENTATION, ArtifactFormat.JSON, mask=False)
    service.upload(ALICE, "a.csv", "text/csv", b"column,label\na,b\n")
    service.delete_session(ALICE, review.session_id, hard=False, expected=None)

    def counts(now):
        with engine.database.write() as connection:
            forget(connection, service.settings, now)
            tables_ = (tables.IDEMPOTENCY, tables.UPLOADS, tables.ARTIFACTS, tables.PREVIEWS, tables.SESSIONS)
            return [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables_]

    now = service.work.clock()
    assert counts(now) == [1, 1, 2, 2, 2]
    assert counts(now + timedelta(days=2)) == [0, 1, 2, 2, 2]
    assert counts(now + timedelta(days=91)) == [0, 0, 1, 1, 2]
    assert service.get_session(ALICE, review.session_id).preview is not None
