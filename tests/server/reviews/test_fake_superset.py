"""Reviews of datasets of a Superset that has the shapes of four versions, and that fails in every way."""

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from sagitta_server.reviews.enums import (
    ApprovalState,
    LaunchStatus,
    PreviewStatus,
    SemanticSourceType,
    SessionStatus,
    SourceKind,
)
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.mapping_decisions import MappingUpdate
from server.reviews.fake_superset import PASSWORD, USER, VERSIONS, Reply, fake_superset
from server.reviews.world import ALICE, world


@pytest.fixture(params=VERSIONS)
def superset(request):
    with fake_superset(request.param) as fake:
        yield fake


@pytest.fixture
def one_superset():
    """One version, where the version makes no difference."""
    with fake_superset("5.0.0") as fake:
        yield fake


def environments(fake, **changes):
    return {
        "bi": {
            "base_url": fake.url,
            "username_env": "BI_USER",
            "password_env": "BI_PASSWORD",
            "timeout_s": 5,
            "launch_timeout_s": 5,
            **changes,
        }
    }


@pytest.fixture
def reviewing(tmp_path, monkeypatch):
    """Makes the review service of a fake."""
    monkeypatch.setenv("BI_USER", USER)
    monkeypatch.setenv("BI_PASSWORD", PASSWORD)
    opened = []

    def run(fake, secret=PASSWORD, dictionaries=None, **changes):
        monkeypatch.setenv("BI_PASSWORD", secret)
        context = world(
            tmp_path,
            intake_wait_ms=20_000,
            preview_wait_ms=20_000,
            launch_wait_ms=20_000,
            environments=environments(fake, **changes),
            dictionaries=dictionaries or {},
        )
        opened.append(context)
        return context.__enter__().reviews.service

    yield run
    for context in opened:
        context.__exit__(None, None, None)


def start(service, fake, path="/dataset/1", kind=SourceKind.SUPERSET_LINK):
    source = f"{fake.url}{path}" if kind is SourceKind.SUPERSET_LINK else path
    return service.start_session(ALICE, kind, source, "bi").review


def explore(number=1, filters=(), **url_params):
    """A link of a chart on a dataset, with everything in the URL."""
    listed = [
        {"clause": "WHERE", "expressionType": "SIMPLE", "subject": column, "operator": operator, "comparator": value}
        for column, operator, value in filters
    ]
    form = {"datasource": f"{number}__table", "adhoc_filters": listed}
    return "/explore/?" + urlencode({"datasource": f"{number}__table", "form_data": json.dumps(form), **url_params})


def approved(service, review):
    for mapping in review.mappings:
        if mapping.approval_state is ApprovalState.PENDING:
            review, _ = service.approve_mapping(ALICE, review.session_id, mapping.mapping_id, None, None)
    return review


def preview(service, review, **options):
    review = approved(service, review)
    return service.request_preview(ALICE, review.session_id, None, **options)


def codes(review):
    return {f.code for f in review.findings if f.resolution_state == "open"}


def blockers(error):
    return {b["gate"]: b["code"] for b in error.value.details["blockers"]}


# A whole review


def test_a_whole_review(superset, reviewing):
    service = reviewing(superset)
    review = start(service, superset, explore(filters=[("country", "IN", ["FR", "US"])], status="shipped"))
    assert (review.session.dataset_ref, review.session.readiness_state) == ("dataset:1", "review_ready")
    assert {v.variable_name for v in review.variables} == {"status", "country", "min_amount"}
    made = preview(service, review).preview
    assert made.preview_status is PreviewStatus.READY, made.error_details
    for part in ("country IN ('FR', 'US')", "status = 'shipped'", "amount >= 5"):
        assert part in made.compiled_sql
    run = service.launch(ALICE, review.session_id, None).run
    assert (run.launch_status, run.row_count, run.diverged) == (LaunchStatus.SUCCESS, 19, False)
    assert run.sql_lab_session_ref.startswith("sqllab:query:")
    assert run.redirect_url.startswith(f"{superset.url}/sqllab/")
    assert service.get_session(ALICE, review.session_id).session.status is SessionStatus.COMPLETED


def test_no_more_rows_than_the_limit_are_run(superset, reviewing):
    service = reviewing(superset, run_row_limit=5)
    review = preview(service, start(service, superset)).review
    run = service.launch(ALICE, review.session_id, None).run
    assert (run.launch_status, run.row_count, run.truncated) == (LaunchStatus.SUCCESS, 5, True)


# Check 5: a template's error


def test_an_error_of_the_template_is_a_failed_preview_in_every_version(superset, reviewing):
    """Up to 6.0 it comes with status 400, since 6.1 with 200 and an `error`."""
    superset.add_dataset(3, "v_broken", "SELECT id FROM orders WHERE 1 = {{ 1 // 0 if url_param('x', '') else 1 }}")
    superset.datasets[3]["sql"] = "SELECT id FROM orders WHERE id = {{ url_param('x', '1') | no_such_filter }}"
    service = reviewing(superset)
    answer = preview(service, start(service, superset, "/dataset/3"))
    failed = answer.preview
    assert (failed.preview_status, failed.error_code) == (PreviewStatus.FAILED, "compilation_failed")
    assert "no_such_filter" in failed.error_details
    assert "PREVIEW_FAILED" in codes(answer.review)
    with pytest.raises(ReviewError) as refused:
        service.launch(ALICE, answer.review.session_id, None)
    assert blockers(refused)["G6"] == "preview_missing"


def test_a_name_without_a_value_is_found_before_superset_is_asked(superset, reviewing):
    """Superset itself reports nothing: it leaves `{{ x }}` in the text, or makes a dictionary of it."""
    superset.add_dataset(3, "v_required", "SELECT id FROM orders WHERE amount >= {{ least }}")
    service = reviewing(superset)
    review = start(service, superset, "/dataset/3")
    with pytest.raises(ReviewError) as refused:
        service.request_preview(ALICE, review.session_id, None)
    assert refused.value.code == "required_values_missing"
    assert superset.count("POST", "/api/v1/chart/data") == 0


def test_a_changed_plain_variable_is_compiled_by_formatting_or_by_a_probe(superset, reviewing):
    superset.add_dataset(3, "v_required", "SELECT * FROM orders WHERE amount >= {{ least }}")
    service = reviewing(superset)
    review = start(service, superset, "/dataset/3")
    mapping = review.mappings[0]
    service.update_mapping(ALICE, review.session_id, mapping.mapping_id, MappingUpdate(value="10"), None)
    made = service.request_preview(ALICE, review.session_id, None).preview
    assert made.preview_status is PreviewStatus.READY, made.error_details
    assert ">= 10" in made.compiled_sql
    assert made.strategy == ("format_sql" if superset.major >= (6, 1) else "probe")


def test_templates_that_superset_does_not_render_are_told(one_superset, reviewing):
    one_superset.render = lambda text, *_: text
    service = reviewing(one_superset)
    answer = preview(service, start(service, one_superset))
    assert answer.preview.preview_status is PreviewStatus.FAILED
    assert "TEMPLATE_PROCESSING_DISABLED" in codes(answer.review)
    del one_superset.render
    again = service.request_preview(ALICE, answer.review.session_id, None)
    assert again.preview.preview_status is PreviewStatus.READY
    assert "TEMPLATE_PROCESSING_DISABLED" not in codes(again.review)


# Check 6: values that look like templates


def test_a_value_that_looks_like_a_computation_runs_as_the_text_it_is(superset, reviewing):
    service = reviewing(superset)
    review = start(service, superset, explore(2, filters=[("status", "==", "{{ 1+1 }}")]))
    made = preview(service, review).preview
    assert "'{{ 1+1 }}'" in made.compiled_sql
    run = service.launch(ALICE, review.session_id, None).run
    assert (run.launch_status, run.row_count) == (LaunchStatus.SUCCESS, 0), run.launch_error
    sent = [body for method, path, body in superset.asked if path.endswith("/sqllab/execute/")][-1]
    assert "{% raw %}" in sent["sql"]
    assert sent["templateParams"] == "{}"
    assert "'{{ 1+1 }}'" in run.executed_sql
    assert run.diverged is False


def test_a_value_that_looks_like_a_name_is_blocked(superset, reviewing):
    """Superset refuses a leftover `{{ x }}` in any text, so such a run could only fail."""
    service = reviewing(superset)
    review = start(service, superset, explore(2, filters=[("status", "==", "{{ x }}")]))
    answer = preview(service, review)
    if answer.preview.preview_status is PreviewStatus.READY:
        with pytest.raises(ReviewError) as refused:
            service.launch(ALICE, review.session_id, None)
        assert blockers(refused) == {"G12": "template_marks_in_sql"}
    else:
        assert answer.preview.error_code == "unresolved_template"
    assert superset.count("POST", "/api/v1/sqllab/execute/") == 0


def test_a_quote_in_a_url_parameter_is_escaped(superset, reviewing):
    service = reviewing(superset)
    review = start(service, superset, explore(status="a'b"))
    made = preview(service, review).preview
    assert "status = 'a''b'" in made.compiled_sql
    asked = [path for method, path, _ in superset.asked if method == "POST"]
    assert not any("status" in path for path in asked)
    assert service.launch(ALICE, review.session_id, None).run.launch_status is LaunchStatus.SUCCESS


# Check 7: what makes a preview out of date


def test_approving_leaves_a_preview_as_it_is_and_another_value_does_not(one_superset, reviewing):
    service = reviewing(one_superset)
    review = start(service, one_superset, explore(filters=[("country", "==", "FR")], Status="shipped"))
    ready = service.request_preview(ALICE, review.session_id, None).review
    assert ready.preview.preview_status is PreviewStatus.READY
    assert approved(service, ready).preview.preview_status is PreviewStatus.READY
    country = next(m for m in ready.mappings if "FR" in m.effective_value)
    changed, _ = service.update_mapping(
        ALICE, review.session_id, country.mapping_id, MappingUpdate(value='["DE"]'), None
    )
    assert changed.preview.preview_status is PreviewStatus.STALE
    back, _ = service.update_mapping(ALICE, review.session_id, country.mapping_id, MappingUpdate(value='["FR"]'), None)
    assert back.preview.preview_status is PreviewStatus.READY


def test_a_preview_is_out_of_date_after_a_day(one_superset, reviewing):
    service = reviewing(one_superset)
    review = preview(service, start(service, one_superset)).review
    now = service.work.clock
    service.work.clock = lambda: now() + timedelta(hours=24, seconds=1)
    assert service.get_session(ALICE, review.session_id).preview.preview_status is PreviewStatus.STALE


def test_sql_that_changed_in_superset_blocks_the_launch_until_it_is_imported_again(one_superset, reviewing):
    service = reviewing(one_superset)
    review = preview(service, start(service, one_superset)).review
    held = one_superset.datasets[1]
    held["verbose_name"] = "labels do not matter"
    one_superset.touch(1)
    assert service.get_session(ALICE, review.session_id).preview.preview_status is PreviewStatus.READY
    held["sql"] = held["sql"].replace("amount >=", "amount >")
    with pytest.raises(ReviewError) as refused:
        service.launch(ALICE, review.session_id, None)
    assert blockers(refused)["G8"] == "dataset_changed"
    stale = service.get_session(ALICE, review.session_id)
    assert stale.preview.preview_status is PreviewStatus.STALE
    assert "DATASET_CHANGED_UPSTREAM" in codes(stale)
    service.update_session(ALICE, review.session_id, SessionStatus.ACTIVE, None, None)
    service.work.wait(lambda: service.get_session(ALICE, review.session_id).session.import_task_id is None, 20)
    made = preview(service, service.get_session(ALICE, review.session_id))
    assert "amount > 5" in made.preview.compiled_sql
    assert "DATASET_CHANGED_UPSTREAM" not in codes(made.review)
    assert service.launch(ALICE, review.session_id, None).run.launch_status is LaunchStatus.SUCCESS


def test_a_database_that_may_not_be_run_on_blocks_the_launch_and_nothing_else(one_superset, reviewing):
    one_superset.launchable = False
    service = reviewing(one_superset)
    review = start(service, one_superset)
    assert "DATABASE_NOT_LAUNCHABLE" in codes(review)
    ready = preview(service, review).review
    assert ready.preview.preview_status is PreviewStatus.READY
    with pytest.raises(ReviewError) as refused:
        service.launch(ALICE, review.session_id, None)
    assert blockers(refused) == {"G10": "database_not_launchable"}


# Sessions that end


def test_an_expired_token_is_refreshed_and_the_call_repeated(superset, reviewing):
    service = reviewing(superset)
    review = start(service, superset)
    superset.forget_tokens()
    assert preview(service, review).preview.preview_status is PreviewStatus.READY
    assert superset.logins == 1  # the refresh token did


def test_an_expired_csrf_token_is_fetched_again(superset, reviewing):
    service = reviewing(superset)
    review = preview(service, start(service, superset)).review
    superset.forget_csrf()
    assert service.launch(ALICE, review.session_id, None).run.launch_status is LaunchStatus.SUCCESS


def test_a_wrong_password_is_told_and_shown_nowhere(one_superset, reviewing, caplog):
    service = reviewing(one_superset, secret="wr0ng-s3cret")
    review = start(service, one_superset)
    assert review.session.readiness_state == "recovery_required"
    assert "SUPERSET_AUTH_FAILED" in codes(review)
    assert one_superset.logins <= 2  # not hammered, or the account would be locked
    assert "wr0ng-s3cret" not in caplog.text + repr(review)


# Trouble of every kind


def refuse(path, reply):
    return lambda _method, asked: reply if path in asked else None


BAD = {
    "an error": Reply(500, {"message": "Fatal error"}),
    "an HTML page": Reply(502, content=b"<html>Bad gateway</html>", media_type="text/html"),
    "a page instead of JSON": Reply(200, content=b"<html>Sign in</html>", media_type="text/html"),
    "JSON that is cut off": Reply(200, content=b'{"result": {"id": 1, "colu'),
    "JSON of another shape": Reply(200, [1, 2, 3]),
    "null": Reply(200, None),
    "less than it claims": Reply(200, content=b'{"result": {}}', claimed_length=10_000),
    "too much": Reply(200, content=b"[" + b"1," * 700_000 + b"1]"),
    "bytes that are no text": Reply(200, content=b'{"result": "\xff\xfe"}'),
    "a redirect": Reply(302, content=b"", media_type="text/html"),
    "a ban": Reply(403, {"message": "Forbidden"}),
}


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        *(("/api/v1/dataset/1", bad) for bad in BAD),
        *(("/security/login", bad) for bad in BAD),
        *(("/api/v1/database/1", bad) for bad in BAD if bad != "a ban"),  # a database may be hidden; see below
    ],
)
def test_whatever_superset_answers_at_the_import_the_review_can_be_repaired(one_superset, reviewing, path, bad):
    service = reviewing(one_superset, max_response_mib=1)
    one_superset.trouble = refuse(path, BAD[bad])
    review = start(service, one_superset)
    assert review.session.readiness_state == "recovery_required"
    assert review.session.active_task_id is None
    assert codes(review) & {"SUPERSET_UNREACHABLE", "SUPERSET_AUTH_FAILED", "DATASET_NOT_ACCESSIBLE"}
    one_superset.trouble = lambda _method, _path: None
    service.update_session(ALICE, review.session_id, SessionStatus.ACTIVE, None, None)
    service.work.wait(lambda: service.get_session(ALICE, review.session_id).session.import_task_id is None, 20)
    after = service.get_session(ALICE, review.session_id)
    assert (after.session.dataset_ref, len(after.fields)) == ("dataset:1", 9)
    assert after.session.readiness_state != "recovery_required"
    assert not codes(after) & {"SUPERSET_UNREACHABLE", "SUPERSET_AUTH_FAILED", "DATASET_NOT_ACCESSIBLE"}


@pytest.mark.parametrize("bad", BAD)
def test_whatever_superset_answers_at_the_preview_it_is_a_failed_preview(one_superset, reviewing, bad):
    service = reviewing(one_superset, max_response_mib=1)
    review = start(service, one_superset)
    one_superset.trouble = refuse("/api/v1/chart/data", BAD[bad])
    failed = preview(service, review).preview
    assert (failed.preview_status, bool(failed.error_code)) == (PreviewStatus.FAILED, True)
    one_superset.trouble = lambda _method, _path: None
    again = service.request_preview(ALICE, review.session_id, None).preview
    assert again.preview_status is PreviewStatus.READY


@pytest.mark.parametrize("bad", BAD)
def test_whatever_superset_answers_at_the_launch_the_run_ends_and_is_on_record(one_superset, reviewing, bad):
    service = reviewing(one_superset, max_response_mib=1)
    review = preview(service, start(service, one_superset)).review
    one_superset.trouble = refuse("/sqllab/execute/", BAD[bad])
    service.launch(ALICE, review.session_id, None)
    service.work.wait(lambda: service.get_session(ALICE, review.session_id).run.finished_at is not None, 20)
    run = service.get_session(ALICE, review.session_id).run
    assert run.launch_status is LaunchStatus.FAILED
    assert run.launch_error or run.outcome_unknown
    with service.work.database.read() as connection:
        kinds = [r["kind"] for r in service.work.store.audit_records(connection, review.session_id)]
    assert kinds == ["launch.requested", "launch.finished"]


def test_a_launch_that_may_not_make_its_link_is_on_record_as_failed(one_superset, reviewing):
    service = reviewing(one_superset)
    review = preview(service, start(service, one_superset)).review
    one_superset.trouble = refuse("/sqllab/permalink", Reply(403, {"message": "Forbidden"}))
    run = service.launch(ALICE, review.session_id, None).run
    assert (run.launch_status, run.redirect_url) == (LaunchStatus.FAILED, f"{one_superset.url}/sqllab/")
    assert "Nothing was sent" in run.launch_error
    assert one_superset.count("POST", "/api/v1/sqllab/execute/") == 0
    after = service.get_session(ALICE, review.session_id)
    assert after.session.active_task_id is None
    assert "LAUNCH_FAILED" in codes(after)


def test_a_launch_that_superset_took_although_its_answer_was_lost_is_adopted(one_superset, reviewing):
    """The second attempt meets the client id of the first one, and runs nothing twice."""
    service = reviewing(one_superset)
    review = preview(service, start(service, one_superset)).review
    lost = []

    def lose(method, path):
        if path.endswith("/sqllab/execute/") and not lost:
            lost.append(path)
            one_superset.trouble = lambda _method, _path: None
            body = one_superset.asked[-1][2]
            one_superset._execute(body)
            return Reply(200, content=b"", claimed_length=500)
        return None

    one_superset.trouble = lose
    run = service.launch(ALICE, review.session_id, None).run
    service.work.wait(lambda: service.get_session(ALICE, review.session_id).run.finished_at is not None, 20)
    run = service.get_session(ALICE, review.session_id).run
    assert (run.launch_status, len(one_superset.queries)) == (LaunchStatus.SUCCESS, 1)


def test_a_superset_that_is_slow_is_not_waited_for(one_superset, reviewing):
    service = reviewing(one_superset, timeout_s=0.5)
    review = start(service, one_superset)
    one_superset.trouble = refuse("/api/v1/chart/data", Reply(200, {"result": []}, seconds=3))
    failed = preview(service, review).preview
    assert (failed.preview_status, failed.error_code) == (PreviewStatus.FAILED, "superset_unreachable")


def test_a_superset_that_is_not_there_keeps_the_session(tmp_path, reviewing, one_superset):
    service = reviewing(one_superset)
    one_superset.url, there = "http://127.0.0.1:9", one_superset.url
    service.environments["bi"]._client._http.base_url = one_superset.url
    review = service.start_session(ALICE, SourceKind.DATASET_SELECTION, "1", "bi").review
    assert "SUPERSET_UNREACHABLE" in codes(review)
    assert service.environments["bi"].health().reachable is False
    one_superset.url = there


def test_a_database_that_the_account_may_not_see_can_be_reviewed_and_not_run_on(one_superset, reviewing):
    one_superset.trouble = refuse("/api/v1/database/1", BAD["a ban"])
    review = start(reviewing(one_superset), one_superset)
    assert (review.session.readiness_state, codes(review) >= {"DATABASE_NOT_LAUNCHABLE"}) == ("review_ready", True)


def test_what_does_not_exist_makes_no_session(superset, reviewing):
    service = reviewing(superset)
    for _ in range(2):  # a repeated request with its key is told the same
        with pytest.raises(ReviewError) as refused:
            service.start_session(ALICE, SourceKind.DATASET_SELECTION, "77", "bi", key="k")
        assert refused.value.code == "source_not_found"
    assert service.list_sessions(ALICE, None, None, 1, 10).total == 0


def test_texts_of_a_dataset_that_cannot_be_read_change_nothing(one_superset, reviewing):
    service = reviewing(one_superset)
    review = start(service, one_superset)
    one_superset.trouble = refuse("/api/v1/dataset/2", Reply(503, content=b"", media_type="text/html"))
    with pytest.raises(ReviewError) as refused:
        service.apply_source(ALICE, review.session_id, SemanticSourceType.REFERENCE_DATASET, "dataset:2", None)
    assert refused.value.code in {"superset_unreachable", "superset_error"}
    one_superset.trouble = lambda _method, _path: None
    after = service.apply_source(ALICE, review.session_id, SemanticSourceType.REFERENCE_DATASET, "dataset:2", None)
    assert any(f.candidates for f in after.fields)


DICTIONARY = "SELECT 'amount' AS column_name, 'Betrag' AS label, 'Was die Bestellung kostet' AS description"


def test_a_dictionary_may_be_a_dataset(superset, reviewing):
    held = superset.add_dataset(3, "dictionary", DICTIONARY)
    held["columns"] = [{"column_name": name} for name in ("column_name", "label", "description")]
    service = reviewing(superset, dictionaries={"glossary": {"environment": "bi", "dataset": 3}})
    amount = next(f for f in start(service, superset).fields if f.field_name == "amount")
    assert (amount.verbose_name, amount.description) == ("Betrag", "Was die Bestellung kostet")
    assert (amount.provenance, amount.needs_review) == ("dictionary_exact", False)


def test_a_dictionary_that_cannot_be_read_is_told_and_holds_nothing_up(one_superset, reviewing):
    service = reviewing(one_superset, dictionaries={"glossary": {"environment": "bi", "dataset": 99}})
    review = start(service, one_superset)
    assert "SEMANTIC_SOURCE_FAILED" in codes(review)
    assert review.session.readiness_state == "review_ready"


def test_nobody_but_the_configured_host_is_asked(one_superset, reviewing):
    service = reviewing(one_superset, link_hosts=["public.example.com"])
    review = service.start_session(ALICE, SourceKind.SUPERSET_LINK, "https://PUBLIC.example.com/dataset/1", "bi").review
    assert review.session.dataset_ref == "dataset:1"
    for link in ("https://evil.example.com/dataset/1", "https://x@public.example.com/dataset/1"):
        with pytest.raises(ReviewError) as refused:
            service.start_session(ALICE, SourceKind.SUPERSET_LINK, link, "bi")
        assert refused.value.code in {"link_host_mismatch", "invalid_link"}
