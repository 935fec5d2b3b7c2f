"""Runs in SQL Lab: what was shown is what runs, once."""

import json
import shutil
import threading
import time
from urllib.parse import quote, urlsplit

import pytest
from sagitta_server.reviews.enums import LaunchStatus
from sagitta_server.reviews.environment import RunRequest
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.sql_safety import normalized
from sagitta_server.reviews.store import tables
from sagitta_server.reviews.superset.running import client_id
from server.reviews.world import ALICE
from sqlalchemy import select

from superset.shop import Api

pytestmark = pytest.mark.xdist_group("superset")


def runs_of(api, run_id):
    """What Superset keeps of a run."""
    query = f"(filters:!((col:sql,opr:ct,value:'{run_id}')),columns:!(id,status,sql,executed_sql,rows))"
    return api.call("GET", "/api/v1/query/", params={"q": query})["result"]


def test_a_launch_runs_what_was_shown_and_completes_the_review(desk, superset, api):
    sitting = desk.start(superset.links["dashboard_permalink"])
    preview = sitting.preview()
    run = sitting.launch()
    assert (run.launch_status, run.row_count, run.truncated, run.diverged) == (LaunchStatus.SUCCESS, 43, False, False)
    assert normalized(run.executed_sql, "sqlite") == normalized(preview.compiled_sql, "sqlite")
    assert sitting.readiness == "completed"
    kept = runs_of(api, run.run_context_id)
    assert [(q["status"], q["rows"]) for q in kept] == [("success", 43)]
    assert run.sql_lab_session_ref == f"sqllab:query:{kept[0]['id']}"


def test_the_redirect_opens_the_text_for_any_user_of_sql_lab(desk, superset):
    sitting = desk.start(superset.links["dashboard_permalink"])
    sitting.preview()
    link = sitting.launch().redirect_url
    assert link.startswith(f"{superset.base_url}/sqllab/")
    if superset.series >= 5:
        sam = Api(superset.base_url, "sam")
        shown = sam.call("GET", f"/api/v1/sqllab/permalink/{urlsplit(link).path.split('/')[-2]}")
        sam.close()
        assert "o.status = 'shipped'" in shown["sql"]
        assert shown["dbId"] == superset.fixtures["db_sqlite"]
    else:
        assert "sql=" in link


def test_the_row_limit_holds_whatever_the_version_makes_of_a_limit_in_the_text(desk, superset):
    sitting = desk.start(superset.links["dashboard_permalink"], "five")
    assert "LIMIT 5" in sitting.preview().compiled_sql
    run = sitting.launch()
    assert (run.launch_status, run.row_count, run.truncated, run.diverged) == (LaunchStatus.SUCCESS, 5, True, False)
    text = desk.start(superset.links["sqllab_saved_query"], "five")
    text.preview()
    assert text.launch().row_count == 5


def test_an_analyst_who_owns_nothing_may_launch(desk, superset):
    sitting = desk.start(superset.links["dashboard_permalink"], "sam")
    sitting.preview()
    assert sitting.launch().row_count == 43


def test_a_text_of_sql_lab_is_reviewed_rendered_and_run(desk, superset):
    sql = "SELECT country, count(*) AS orders FROM orders WHERE status = '{{ url_param('status', 'paid') }}' GROUP BY 1"
    sitting = desk.start(
        f"{superset.base_url}/sqllab?dbid={superset.fixtures['db_sqlite']}&sql={quote(sql)}&status=new"
    )
    assert [f.field_name for f in sitting.review.fields if f.field_kind.value == "column"] == ["country", "orders"]
    assert "'new'" in sitting.preview().compiled_sql
    run = sitting.launch()
    assert (run.launch_status, run.diverged) == (LaunchStatus.SUCCESS, False)


def test_a_text_that_does_not_name_its_columns_runs_all_the_same(desk, superset):
    sql = "SELECT * FROM countries"
    sitting = desk.start(f"{superset.base_url}/sqllab?dbid={superset.fixtures['db_sqlite']}&sql={quote(sql)}")
    assert [f for f in sitting.review.fields if f.field_kind.value == "column"] == []
    assert "DATASET_EMPTY_SCHEMA" not in sitting.codes
    sitting.preview()
    assert sitting.launch().row_count == 4


def test_a_run_that_fails_in_the_database_leaves_the_review_open(desk, superset):
    sql = "SELECT abs(-9223372036854775807 - order_id) AS x FROM orders"
    sitting = desk.start(f"{superset.base_url}/sqllab?dbid={superset.fixtures['db_sqlite']}&sql={quote(sql)}")
    sitting.preview()
    run = sitting.launch()
    assert run.launch_status is LaunchStatus.FAILED
    assert "overflow" in run.launch_error
    assert "LAUNCH_FAILED" in sitting.codes
    assert sitting.readiness == "run_ready"
    assert run.sql_lab_session_ref.startswith("sqllab:")


@pytest.mark.parametrize("sql", ["DROP TABLE orders", "SELECT 1; DELETE FROM orders", "UPDATE orders SET qty = 1"])
def test_nothing_but_one_reading_statement_gets_through(desk, superset, sql):
    sitting = desk.start(f"{superset.base_url}/sqllab?dbid={superset.fixtures['db_sqlite']}&sql={quote(sql)}")
    preview = sitting.preview()
    assert preview.error_code in {"not_read_only", "compilation_failed"}
    with pytest.raises(ReviewError):
        sitting.launch()


def test_a_dataset_changed_upstream_blocks_the_launch_until_it_is_imported_again(desk, superset, api):
    changed = api.dataset(superset.fixtures["db_sqlite"], "changing", "SELECT order_id, qty FROM orders WHERE qty > 1")
    sitting = desk.select(changed)
    sitting.preview()
    api.change_dataset(changed, {"description": "labels are no reason"}, {"qty": {"verbose_name": "Pieces"}})
    api.change_dataset(changed, {"sql": "SELECT order_id, qty FROM orders WHERE qty > 2"})
    with pytest.raises(ReviewError) as refused:
        sitting.launch()
    assert "dataset_changed" in {b["code"] for b in refused.value.details["blockers"]}
    assert "DATASET_CHANGED_UPSTREAM" in sitting.codes


def test_labels_changed_upstream_are_no_reason_to_block(desk, superset, api):
    dataset = api.dataset(superset.fixtures["db_sqlite"], "labelled", "SELECT order_id, qty FROM orders")
    sitting = desk.select(dataset)
    sitting.preview()
    api.change_dataset(dataset, {"description": "now described"}, {"qty": {"verbose_name": "Pieces"}})
    assert sitting.launch().launch_status is LaunchStatus.SUCCESS


def test_a_database_that_is_closed_to_sql_lab_is_not_launched_on(desk, superset, api):
    copy = shutil.copy(superset.home / "shop.sqlite", superset.home / "closed.sqlite")
    closed = api.database("closed", f"sqlite:///{copy}")
    dataset = api.dataset(closed, "countries_closed", "SELECT code FROM countries")
    sitting = desk.select(dataset)
    sitting.preview()
    api.call("PUT", f"/api/v1/database/{closed}", {"expose_in_sqllab": False})
    with pytest.raises(ReviewError) as refused:
        sitting.launch()
    assert refused.value.code == "database_not_launchable"
    again = desk.select(dataset)
    assert "DATABASE_NOT_LAUNCHABLE" in again.codes


def test_two_launches_at_once_are_one_run(desk, superset):
    sitting = desk.start(superset.links["dashboard_permalink"])
    sitting.preview()
    answers = []

    def launch():
        try:
            answers.append(sitting.launch().launch_status.value)
        except ReviewError as error:
            answers.append(error.code)

    threads = [threading.Thread(target=launch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count("success") == 1
    assert set(answers) - {"success"} <= {"launch_in_progress", "session_not_active", "launch_blocked"}


def request_of(desk, sitting, run_id, age_s=0.0):
    review = sitting.review
    return RunRequest(
        session_id=review.session_id,
        run_context_id=run_id,
        owner_id="alice",
        sql=review.preview.compiled_sql,
        dialect=review.preview.dialect,
        dataset=review.dataset,
        row_limit=1000,
        redirect_url="",
        age_s=age_s,
    )


def test_a_run_that_was_sent_before_the_restart_is_adopted(desk, superset, api):
    sitting = desk.start(superset.links["dashboard_permalink"])
    sitting.preview()
    environment = desk.service.environment("bi")
    request = request_of(desk, sitting, "0c3e7d5e-4f13-4d3e-9a57-2f8c65b0a001")
    sent = environment.execute_run(request, first=True, cancelled=lambda: False)
    adopted = environment.execute_run(request, first=False, cancelled=lambda: False)
    assert sent == adopted
    assert (adopted.row_count, adopted.error, adopted.diverged) == (43, None, False)
    repeated = environment.execute_run(request, first=True, cancelled=lambda: False)  # as if nothing were known of it
    assert repeated == sent
    assert len(runs_of(api, request.run_context_id)) == 1


def test_a_run_that_was_not_sent_before_the_restart_is_sent_unless_it_is_too_old(desk, superset, api):
    sitting = desk.start(superset.links["dashboard_permalink"])
    sitting.preview()
    environment = desk.service.environment("bi")
    old = request_of(desk, sitting, "0c3e7d5e-4f13-4d3e-9a57-2f8c65b0a002", age_s=3600)
    outcome = environment.execute_run(old, first=False, cancelled=lambda: False)
    assert outcome.outcome_unknown
    assert runs_of(api, old.run_context_id) == []
    fresh = request_of(desk, sitting, "0c3e7d5e-4f13-4d3e-9a57-2f8c65b0a003", age_s=3)
    assert environment.execute_run(fresh, first=False, cancelled=lambda: False).row_count == 43
    assert len(client_id(fresh.run_context_id)) == 11


def test_a_run_that_is_cancelled_ends_at_once(desk, superset):
    sql = (
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 30000000) "
        "SELECT count(*) AS numbers FROM n"
    )
    sitting = desk.start(f"{superset.base_url}/sqllab?dbid={superset.fixtures['db_sqlite']}&sql={quote(sql)}")
    assert sitting.preview().compiled_sql
    started = threading.Thread(target=sitting.launch)
    started.start()
    while sitting.review.run is None:
        time.sleep(0.05)
    sitting.service.cancel_run(ALICE, sitting.session_id, sitting.review.run.run_context_id)
    started.join(timeout=60)
    run = sitting.review.run
    assert (run.launch_status, run.launch_error) == (LaunchStatus.FAILED, "The run was cancelled.")


def test_the_audit_knows_what_ran(desk, superset):
    sitting = desk.start(superset.links["dashboard_permalink"])
    sitting.preview()
    run = sitting.launch()
    with desk.service.work.database.read() as connection:
        wanted = select(tables.AUDIT).where(tables.AUDIT.c.run_context_id == run.run_context_id)
        rows = connection.execute(wanted.order_by(tables.AUDIT.c.at)).mappings().all()
    assert [r["kind"] for r in rows] == ["launch.requested", "launch.finished"]
    body = rows[1]["body"]
    ended = json.loads(body) if isinstance(body, str) else body
    assert ended["sql_lab_session_ref"] == run.sql_lab_session_ref
    assert ended["dataset_ref"] == f"dataset:{superset.fixtures['ds_v_orders']}"
    assert ended["row_count"] == 43
    assert "FR" in json.dumps(ended["effective_filters"])
