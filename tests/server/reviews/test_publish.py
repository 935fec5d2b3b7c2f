"""Writing accepted texts back to Superset: nothing is lost, nothing unaccepted leaves, nobody is overwritten."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
from sagitta_server.auth import Permission, PermissionDeniedError, Principal
from sagitta_server.reviews.answers import Answer
from sagitta_server.reviews.enums import AnswerKind, SemanticSourceType, SessionStatus, SourceKind
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.field_decisions import FieldUpdate
from sagitta_server.reviews.publishing import Wish
from server.reviews.fake_superset import PASSWORD, USER, VERSIONS, Reply, fake_superset
from server.reviews.world import ALICE, BOB, selection, world


@pytest.fixture(params=VERSIONS)
def superset(request):
    with fake_superset(request.param) as fake:
        yield fake


@pytest.fixture
def one_superset():
    with fake_superset("5.0.0") as fake:
        yield fake


@pytest.fixture
def publishing(tmp_path, monkeypatch):
    """Makes the review service of a fake that takes texts."""
    monkeypatch.setenv("BI_USER", USER)
    monkeypatch.setenv("BI_PASSWORD", PASSWORD)
    opened = []

    def run(fake, write_back=True, **reviews):
        settings = {
            "base_url": fake.url,
            "username_env": "BI_USER",
            "password_env": "BI_PASSWORD",
            "timeout_s": 3,
            "write_back": write_back,
        }
        context = world(tmp_path, intake_wait_ms=20_000, environments={"bi": settings}, **reviews)
        opened.append(context)
        return context.__enter__().reviews.service

    yield run
    for context in opened:
        context.__exit__(None, None, None)


def start(service, number=1):
    return service.start_session(ALICE, SourceKind.DATASET_SELECTION, str(number), "bi").review


def write(service, review, name, **texts):
    """The owner writes texts of a field."""
    found = next(f for f in service.get_session(ALICE, review.session_id).fields if f.field_name == name)
    update = FieldUpdate(texts=tuple(texts.items()))
    return service.update_field(ALICE, review.session_id, found.field_id, update, None)[1]


def publish(service, review, wish=None, **options):
    return service.publish_semantics(ALICE, review.session_id, wish or Wish(), None, **options)


def puts(fake):
    return [body for method, path, body in fake.asked if method == "PUT"]


def audit(service, review):
    with service.work.database.read() as connection:
        return [(r["kind"], r["actor"]) for r in service.work.store.audit_records(connection, review.session_id)]


def test_accepted_texts_are_written_and_everything_else_stays(superset, publishing):
    service = publishing(superset)
    review = start(service)
    before = copy.deepcopy(superset.datasets[1])
    write(service, review, "amount", verbose_name="Amount", description="What the order came to")
    write(service, review, "revenue", verbose_name="Revenue", display_format=",.2f")
    _, told, _ = publish(service, review)
    after = superset.datasets[1]
    assert {(c.name, c.attribute, c.before, c.after) for c in told.changes} == {
        ("amount", "verbose_name", None, "Amount"),
        ("amount", "description", None, "What the order came to"),
        ("revenue", "verbose_name", None, "Revenue"),
        ("revenue", "display_format", None, ",.2f"),
    }
    assert [c["id"] for c in after["columns"]] == [c["id"] for c in before["columns"]]
    amount = next(c for c in after["columns"] if c["column_name"] == "amount")
    was = next(c for c in before["columns"] if c["column_name"] == "amount")
    assert amount == {**was, "verbose_name": "Amount", "description": "What the order came to"}
    untouched = [c for c in after["columns"] if c["column_name"] != "amount"]
    assert untouched == [c for c in before["columns"] if c["column_name"] != "amount"]
    assert after["metrics"] == [{**before["metrics"][0], "verbose_name": "Revenue", "d3format": ",.2f"}]
    assert after["sql"] == before["sql"]
    assert len(puts(superset)) == 1


def test_the_fake_deletes_what_a_list_leaves_out(one_superset, publishing):
    """What the whole care is about, as it was seen on a real Superset."""
    service = publishing(one_superset)
    client = service.environments["bi"]._client
    client.put_dataset(1, {"columns": [{"id": 101, "column_name": "country"}]})
    assert [c["column_name"] for c in one_superset.datasets[1]["columns"]] == ["country"]


def test_what_nobody_has_accepted_does_not_leave_the_review(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    service.apply_source(ALICE, review.session_id, SemanticSourceType.AI_GENERATED, "default", None)
    _, told, _ = publish(service, review)
    assert told.changes == ()
    assert puts(one_superset) == []
    current = service.get_session(ALICE, review.session_id)
    waiting = next(f for f in current.fields if f.field_name == "amount")
    assert waiting.candidates
    with pytest.raises(ReviewError) as refused:
        publish(service, review, Wish(field_ids=(waiting.field_id,)))
    assert refused.value.code == "field_not_accepted"
    best = waiting.candidates[0]
    service.update_field(ALICE, review.session_id, waiting.field_id, FieldUpdate(candidate_id=best.candidate_id), None)
    _, told, _ = publish(service, review)
    assert {c.name for c in told.changes} == {"amount"}


def test_only_the_named_fields_go(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    chosen = write(service, review, "amount", verbose_name="Amount")
    write(service, review, "status", verbose_name="Status")
    _, told, _ = publish(service, review, Wish(field_ids=(chosen.field_id,)))
    assert [c.name for c in told.changes] == ["amount"]
    with pytest.raises(ReviewError) as refused:
        publish(service, review, Wish(field_ids=("nothing",)))
    assert refused.value.code == "field_not_found"


def test_a_confirmed_summary_becomes_the_description(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    with pytest.raises(ReviewError) as refused:
        publish(service, review, Wish(include_description=True))
    assert refused.value.code == "field_not_accepted"
    for name in ("id", "country", "status", "amount", "order_ts", "revenue"):
        write(service, review, name, description=f"What {name} holds")
    state = service.resume_clarification(ALICE, review.session_id, None)
    while (current := state.clarification.current_question_id) is not None:
        topic = next(q.topic for q in state.questions if q.question_id == current)
        kind = AnswerKind.CUSTOM if topic == "profile.summary" else AnswerKind.SKIPPED
        answer = Answer(current, kind, "Orders of the shop" if kind is AnswerKind.CUSTOM else None)
        state = service.submit_answer(ALICE, review.session_id, answer, None).review
    assert state.profile.business_summary_source == "manual_override"
    _, told, _ = publish(service, review, Wish(include_description=True))
    assert one_superset.datasets[1]["description"] == "Orders of the shop"
    assert ("", "description") in {(c.name, c.attribute) for c in told.changes}


def test_somebody_else_s_change_is_not_overwritten(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    one_superset.datasets[1]["columns"][3]["verbose_name"] = "Somebody else's word"
    one_superset.touch(1)
    with pytest.raises(ReviewError) as refused:
        publish(service, review)
    assert refused.value.code == "dataset_changed"
    assert one_superset.datasets[1]["columns"][3]["verbose_name"] == "Somebody else's word"
    assert puts(one_superset) == []
    assert [kind for kind, _ in audit(service, review)] == ["publish.requested", "publish.failed"]
    current = service.get_session(ALICE, review.session_id)
    assert "DATASET_CHANGED_UPSTREAM" in {f.code for f in current.findings if f.resolution_state == "open"}
    service.update_session(ALICE, review.session_id, SessionStatus.ACTIVE, None, None)
    service.work.wait(lambda: service.get_session(ALICE, review.session_id).session.import_task_id is None, 20)
    current = service.get_session(ALICE, review.session_id)
    assert "DATASET_CHANGED_UPSTREAM" not in {f.code for f in current.findings if f.resolution_state == "open"}
    assert [(c.before, c.after) for c in publish(service, review)[1].changes] == [("Somebody else's word", "Amount")]


def test_our_own_change_is_no_foreign_one(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    publish(service, review)
    write(service, review, "amount", verbose_name="Amount in EUR")
    after, told, _ = publish(service, review)
    assert [(c.before, c.after) for c in told.changes] == [("Amount", "Amount in EUR")]
    assert after.session.version > review.session.version


def test_an_account_that_owns_nothing_is_told_so(superset, publishing):
    service = publishing(superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    superset.owned = False
    with pytest.raises(ReviewError) as refused:
        publish(service, review)
    assert refused.value.code == "publish_forbidden"
    assert "owner" in refused.value.message
    assert audit(service, review)[-1] == ("publish.failed", "alice")


def test_publishing_twice_writes_once(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    _, first, replayed = publish(service, review, key="k")
    assert not replayed
    _, again, replayed = publish(service, review, key="k")
    assert (again, replayed) == (first, True)
    _, third, replayed = publish(service, review)
    assert (third.changes, replayed) == ((), False)
    assert len(puts(one_superset)) == 1
    with pytest.raises(ReviewError) as refused:
        publish(service, review, Wish(dry_run=True), key="k")
    assert refused.value.code == "idempotency_key_reused"


def test_the_same_key_at_once_has_one_effect(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: publish(service, review, key="k")[1], range(4)))
    assert len({a.publication_id for a in answers}) == 1
    assert one_superset.datasets[1]["columns"][3]["verbose_name"] == "Amount"


def test_after_a_crash_between_writing_and_noting_it_publishing_goes_on(one_superset, publishing):
    """Superset took the texts, the review never learnt it: the dataset says the same already, so it is no conflict."""
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    one_superset.datasets[1]["columns"][3]["verbose_name"] = "Amount"
    one_superset.touch(1)
    assert publish(service, review)[1].changes == ()
    write(service, review, "status", verbose_name="Status")
    assert [c.name for c in publish(service, review)[1].changes] == ["status"]


def test_a_dry_run_tells_and_writes_nothing(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    _, told, _ = publish(service, review, Wish(dry_run=True))
    assert ([c.name for c in told.changes], told.dry_run, puts(one_superset)) == (["amount"], True, [])
    assert audit(service, review) == []


def test_it_is_on_record_before_and_after(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    publish(service, review)
    with service.work.database.read() as connection:
        records = service.work.store.audit_records(connection, review.session_id)
        events = service.work.store.events(connection, review.session_id, 0, 1000)
    assert [r["kind"] for r in records] == ["publish.requested", "publish.finished"]
    assert records[1]["body"]["changes"][0]["after"] == "Amount"
    published = next(e for e in events if e.kind == "semantics.published")
    assert published.note == "1 text written to dataset:1"


def test_audit_records_can_do_without_the_texts(one_superset, publishing):
    service = publishing(one_superset, audit_keep_values=False)
    review = start(service)
    write(service, review, "amount", verbose_name="Confidential label")
    publish(service, review)
    with service.work.database.read() as connection:
        assert "Confidential" not in str(service.work.store.audit_records(connection, review.session_id))


def test_a_format_of_a_column_has_no_place_in_superset(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount", display_format=",.2f")
    _, told, _ = publish(service, review)
    assert {c.attribute for c in told.changes} == {"verbose_name"}
    assert told.skipped == ("amount: Superset keeps formats of metrics only",)


def test_a_column_that_is_gone_is_told(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    write(service, review, "status", verbose_name="Status")
    del one_superset.datasets[1]["columns"][3]
    _, told, _ = publish(service, review)
    assert ([c.name for c in told.changes], told.skipped) == (["status"], ("amount: the dataset has no such column",))


def test_nothing_is_written_unless_the_environment_permits_it(one_superset, publishing):
    service = publishing(one_superset, write_back=False)
    review = start(service)
    with pytest.raises(ReviewError) as refused:
        publish(service, review)
    assert refused.value.code == "publish_disabled"
    local = service.start_session(ALICE, SourceKind.DATASET_SELECTION, selection({"first_day": "2024-01-01"}), "local")
    with pytest.raises(ReviewError) as refused:
        publish(service, local.review)
    assert refused.value.code == "publish_disabled"
    assert "publish" not in service.environments["bi"].health().features


def test_it_takes_a_permission_of_its_own_and_the_owner(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    editor = Principal("alice", frozenset(Permission) - {Permission.SEMANTICS_PUBLISH})
    with pytest.raises(PermissionDeniedError):
        service.publish_semantics(editor, review.session_id, Wish(), None)
    with pytest.raises(ReviewError) as refused:
        service.publish_semantics(BOB, review.session_id, Wish(), None)
    assert refused.value.code == "session_forbidden"
    with pytest.raises(ReviewError) as refused:
        service.publish_semantics(ALICE, review.session_id, Wish(), 99)
    assert refused.value.code == "session_version_conflict"
    service.update_session(ALICE, review.session_id, SessionStatus.PAUSED, None, None)
    with pytest.raises(ReviewError) as refused:
        publish(service, review)
    assert refused.value.code == "session_not_active"


def test_a_completed_review_can_be_published(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    service.update_session(ALICE, review.session_id, SessionStatus.COMPLETED, None, None)
    assert len(publish(service, review)[1].changes) == 1


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(500, {"message": "Fatal error"}), "superset_error"),
        (Reply(502, content=b"<html/>", media_type="text/html"), "superset_unreachable"),
        (Reply(200, {}, seconds=4), "superset_timeout"),
        (Reply(422, {"errors": [{"message": "Invalid", "error_type": "MARSHMALLOW_ERROR"}]}), "superset_error"),
    ],
)
def test_a_write_that_fails_is_told_and_can_be_repeated(one_superset, publishing, reply, code):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")
    one_superset.trouble = lambda method, _path: reply if method == "PUT" else None
    with pytest.raises(ReviewError) as refused:
        publish(service, review)
    assert refused.value.code == code
    assert audit(service, review)[-1][0] == "publish.failed"
    one_superset.trouble = lambda _method, _path: None
    assert len(publish(service, review)[1].changes) == 1


def test_a_write_that_another_one_crossed_is_told(one_superset, publishing):
    service = publishing(one_superset)
    review = start(service)
    write(service, review, "amount", verbose_name="Amount")

    def cross(method, _path):
        if method == "PUT":
            one_superset.datasets[1]["columns"][3]["verbose_name"] = "Faster"
            return Reply(200, {"id": 1})
        return None

    one_superset.trouble = cross
    with pytest.raises(ReviewError) as refused:
        publish(service, review)
    assert refused.value.code == "semantics_overwritten"
