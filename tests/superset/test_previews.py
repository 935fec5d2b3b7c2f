"""What Superset compiles a reviewed dataset to."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from sagitta_server.reviews.enums import ApprovalState, PreviewStatus
from sagitta_server.reviews.errors import ReviewError

from superset.server import restart
from superset.shop import explore_link, make_dashboard, native_filter

pytestmark = pytest.mark.xdist_group("superset")


def rendering(superset):
    """How changed plain values are compiled: without executing since 6.1."""
    return "format_sql" if tuple(map(int, superset.version.split(".")[:2])) >= (6, 1) else "probe"


def simple(column, operator, value):
    return {
        "clause": "WHERE",
        "expressionType": "SIMPLE",
        "subject": column,
        "operator": operator,
        "comparator": value,
    }


def in_url(superset, *filters, **params):
    """A link to the orders, filtered in the URL itself."""
    form = {"datasource": f"{superset.fixtures['ds_v_orders']}__table", "adhoc_filters": list(filters)}
    extra = "".join(f"&{name}={quote(value)}" for name, value in params.items())
    return f"{superset.base_url}/explore/?form_data={quote(json.dumps(form))}{extra}"


def test_the_preview_holds_every_filter_of_the_link(desk, superset):
    preview = desk.start(superset.links["dashboard_permalink"]).preview()
    assert preview.preview_status is PreviewStatus.READY
    assert (preview.compiler_kind, preview.strategy, preview.executed_rows) == ("superset", "chart_data", 0)
    for part in ("o.country IN ('FR', 'US')", "o.status = 'shipped'", "o.amount >= 5", "LIMIT 1000"):
        assert part in preview.compiled_sql


def test_a_required_value_is_asked_for_and_compiled_in(desk, superset):
    sitting = desk.select(superset.fixtures["ds_v_required"])
    assert "REQUIRED_VALUE_MISSING" in sitting.codes
    with pytest.raises(ReviewError) as refused:
        sitting.preview()
    assert refused.value.code == "required_values_missing"
    sitting.give("min_amount", 10)
    preview = sitting.preview()
    assert (preview.preview_status, preview.strategy) == (PreviewStatus.READY, rendering(superset)), preview
    assert "amount >= 10" in preview.compiled_sql
    assert "qty >= 1" in preview.compiled_sql
    run = sitting.launch()
    assert (run.launch_status.value, run.diverged, run.launch_error) == ("success", False, None)


def test_changed_values_need_a_probe_before_6_1_which_a_site_may_forbid(desk, superset):
    sitting = desk.select(superset.fixtures["ds_v_required"], "careful")
    sitting.give("min_amount", 10)
    preview = sitting.preview()
    if rendering(superset) == "format_sql":
        assert preview.preview_status is PreviewStatus.READY
    else:
        assert preview.error_code == "template_override_unsupported"
        with pytest.raises(ReviewError) as refused:
            sitting.launch()
        assert refused.value.code == "preview_missing"


def test_a_changed_value_is_compiled_together_with_filters_parameters_and_times(desk, superset, api):
    dataset = make_wide(superset, api)
    form = {
        "datasource": f"{dataset}__table",
        "adhoc_filters": [
            simple("country", "IN", ["FR", "it's {{ 1+1 }}"]),
            simple("qty", ">=", 2),
            simple("order_ts", "TEMPORAL_RANGE", "2024-02-01 : 2024-03-01"),
            simple("double_amount", "<", 500),
        ],
        "url_params": {"status": "a'b"},
    }
    sitting = desk.start(explore_link(api, superset.base_url, dataset, form))
    sitting.give("floor", 7)
    preview = sitting.preview()
    assert (preview.preview_status, preview.strategy) == (PreviewStatus.READY, rendering(superset)), preview
    sql = " ".join(preview.compiled_sql.split())
    for part in (
        "amount >= 7",
        "'a''b'",
        "'2024-02-01T00:00:00'",
        "qty >= 2",
        "'it''s {{ 1+1 }}'",
        "order_ts >= '2024-02-01 00:00:00'",
        "order_ts < '2024-03-01 00:00:00'",
        "< 500",
        "LIMIT 1000",
    ):
        assert part in sql, sql
    assert sql.count("'it''s {{ 1+1 }}'") == 2  # the template's own condition, and ours around it
    run = sitting.launch()
    assert (run.launch_status.value, run.diverged, run.row_count) == ("success", False, 0), run


def test_a_relative_time_range_is_resolved_by_superset_itself(desk, superset, api):
    dataset = make_wide(superset, api)
    form = {
        "datasource": f"{dataset}__table",
        "adhoc_filters": [simple("order_ts", "TEMPORAL_RANGE", "Last year")],
        "url_params": {"status": "paid"},
    }
    sitting = desk.start(explore_link(api, superset.base_url, dataset, form))
    assert "RELATIVE_TIME_RANGE" in sitting.codes
    sitting.give("floor", 7)
    preview = sitting.preview()
    assert preview.preview_status is PreviewStatus.READY, preview
    assert preview.uses_relative_time
    assert preview.compiled_sql.count("T00:00:00'") == 2
    assert "{{" not in preview.compiled_sql


def make_wide(superset, api):
    """A dataset that reads values in every way, with a required plain name and a computed column."""
    found = api.find("dataset", "table_name", "wide")
    if found:
        return found
    sql = (
        "SELECT order_id, order_ts, country, status, amount, qty FROM orders WHERE amount >= {{ floor%s }}\n"
        "AND status = '{{ url_param('status', 'paid') }}'\n"
        "{%% if filter_values('country') %%}AND country IN {{ filter_values('country') | where_in }}{%% endif %%}\n"
        "{%% if from_dttm %%}AND order_ts >= '{{ from_dttm }}'{%% endif %%}\n"
        "{%% if to_dttm %%}AND order_ts < '{{ to_dttm }}'{%% endif %%} -- the end\n"
    )
    made = api.dataset(superset.fixtures["db_sqlite"], "wide", sql % " | default(0)")
    api.change_dataset(made, {"sql": sql % "", "main_dttm_col": "order_ts"}, {"order_ts": {"is_dttm": True}})
    current = api.call("GET", f"/api/v1/dataset/{made}")["result"]
    keep = ("id", "column_name", "type", "is_dttm", "groupby", "filterable", "is_active")
    columns = [{k: c[k] for k in keep} for c in current["columns"]]
    computed = {"column_name": "double_amount", "expression": "amount * 2", "type": "FLOAT"}
    api.call("PUT", f"/api/v1/dataset/{made}", {"columns": [*columns, computed]})
    return made


def test_template_marks_in_a_filters_value_run_as_text(desk, superset):
    sitting = desk.start(in_url(superset, simple("country", "IN", ["{{ 1+1 }}"])))
    preview = sitting.preview()
    assert preview.preview_status is PreviewStatus.READY, preview
    assert "'{{ 1+1 }}'" in preview.compiled_sql
    run = sitting.launch()
    assert (run.launch_status.value, run.row_count, run.diverged) == ("success", 0, False), run
    assert "'{{ 1+1 }}'" in run.executed_sql


@pytest.mark.parametrize("value", ["{{ x }}", "{% endraw %}{{ x }}", "{{ x"])
def test_template_marks_that_read_names_never_reach_sql_lab(desk, superset, value):
    sitting = desk.start(in_url(superset, simple("country", "IN", [value])))
    preview = sitting.preview()
    with pytest.raises(ReviewError) as refused:
        sitting.launch()
    blockers = {b["code"] for b in refused.value.details["blockers"]}
    if preview.preview_status is PreviewStatus.READY:
        assert "template_marks_in_sql" in blockers
    else:
        assert "preview_missing" in blockers


def test_a_text_that_closes_the_raw_block_does_not_escape(desk, superset):
    sitting = desk.start(in_url(superset, simple("country", "IN", ["{% raw %}{{ 12345*6789 }}{% endraw %}"])))
    preview = sitting.preview()
    if preview.preview_status is not PreviewStatus.READY:
        pytest.skip(f"Superset {superset.version} does not compile it: {preview.error_details}")
    run = sitting.launch()
    assert "83810205" not in (run.executed_sql or "")


def test_a_quote_in_a_url_parameter_is_escaped(desk, superset):
    sitting = desk.start(f"{superset.links['dashboard']}?status={quote(chr(97) + chr(39) + 'b')}")
    sql = sitting.preview().compiled_sql
    assert "o.status = 'a''b'" in sql
    assert sitting.launch().launch_status.value == "success"


def test_free_sql_is_compiled_in_once_it_is_confirmed(desk, superset):
    sitting = desk.start(superset.links["explore_permalink"])
    assert "amount > 10" not in sitting.preview().compiled_sql
    sitting.answer(next(q for q in sitting.review.questions if q.topic == "filter.confirm"), "use")
    assert sitting.review.preview.preview_status is PreviewStatus.STALE
    assert "amount > 10" in sitting.preview().compiled_sql


def test_approving_keeps_a_preview_and_changing_a_value_does_not(desk, superset, api):
    dataset = superset.fixtures["ds_v_required"]
    least = {"filters": [{"col": "amount", "op": ">=", "val": 10}]}
    target = [{"datasetId": dataset, "column": {"name": "amount"}}]
    wanted = native_filter("min", "Min amount", "filter_range", target, least, [10, None])
    sitting = desk.start(f"{superset.base_url}/superset/dashboard/{make_dashboard(api, 'Least', None, [wanted], [])}/")
    assert sitting.review.session.dataset_id == dataset
    mapping = sitting.mapping("min_amount")
    assert (mapping.mapping_method.value, mapping.warning_level.value) == ("heuristic_match", "medium")
    assert mapping.approval_state is ApprovalState.PENDING
    first = sitting.preview()
    assert "amount >= 10" in first.compiled_sql
    with pytest.raises(ReviewError) as refused:
        sitting.launch()
    assert refused.value.code == "mappings_unapproved"
    sitting.approve("min_amount")
    assert sitting.preview() == first
    sitting.give("min_amount", 20)
    assert sitting.review.preview.preview_status is PreviewStatus.STALE
    assert "amount >= 20" in sitting.preview().compiled_sql


def test_a_preview_is_stale_after_a_day(desk, superset, monkeypatch):
    sitting = desk.select(superset.fixtures["ds_orders"])
    sitting.preview()
    now = sitting.service.work.clock
    monkeypatch.setattr(sitting.service.work, "clock", lambda: now() + timedelta(days=1))
    assert sitting.review.preview.preview_status is PreviewStatus.STALE


def test_a_broken_template_is_a_failed_preview_or_none_at_all(desk, superset, api):
    broken = api.dataset(superset.fixtures["db_sqlite"], "broken", "SELECT order_id FROM orders")
    api.change_dataset(broken, {"sql": "SELECT order_id FROM orders {% if %}"})
    sitting = desk.select(broken)
    assert "TEMPLATE_SYNTAX_ERROR" in sitting.codes
    with pytest.raises(ReviewError) as refused:
        sitting.preview()
    assert refused.value.code == "template_invalid"
    api.change_dataset(broken, {"sql": "SELECT order_id FROM orders WHERE order_id > {{ 1 // 0 }}"})
    failing = desk.select(broken)
    preview = failing.preview()
    assert preview.preview_status is PreviewStatus.FAILED
    assert (preview.error_code, preview.compiler_kind, preview.strategy) == ("compilation_failed", "superset", "")
    assert preview.error_details
    assert "PREVIEW_FAILED" in failing.codes


def test_a_superset_that_renders_no_templates_is_recognised(desk, superset):
    restart(superset, templates=False)
    try:
        for link in (superset.links["dashboard_permalink"], superset.links["sqllab_saved_query"]):
            sitting = desk.start(link)
            assert sitting.preview().error_code == "unresolved_template"
            assert "TEMPLATE_PROCESSING_DISABLED" in sitting.codes
        required = desk.select(superset.fixtures["ds_v_required"])
        required.give("min_amount", 10)
        assert required.preview().error_code == "unresolved_template"
        assert desk.select(superset.fixtures["ds_orders"]).preview().preview_status is PreviewStatus.READY
    finally:
        restart(superset, templates=True)
    assert desk.start(superset.links["dashboard_permalink"]).preview().preview_status is PreviewStatus.READY
