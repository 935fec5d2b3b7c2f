"""What a link of every kind brings into a review."""

import json
import socket
from urllib.parse import quote

import pytest
from sagitta_server.reviews.enums import AnswerKind, SemanticSourceType
from sagitta_server.reviews.errors import ReviewError
from server.reviews.world import ALICE

from superset.reviewing import desk as open_desk
from superset.reviewing import environment_settings
from superset.shop import dashboard_permalink, explore_link, make_dashboard, native_filter

pytestmark = pytest.mark.xdist_group("superset")

HALF_YEAR = ("__time_range", "TEMPORAL_RANGE", '{"time_range": "2024-01-01 : 2024-07-01"}', "superset_native")
SPRING = ("order_ts", "TEMPORAL_RANGE", '{"time_range": "2024-02-01 : 2024-04-01"}', "superset_native")
SHIPPED = ("status", "URL_PARAM", "shipped", "superset_url")
FREE = ("SQL expression", "SQL", "amount > 10", "superset_url")


def country(*codes, source="superset_native"):
    return ("country", "IN", json.dumps(list(codes)), source)


FILTERS = {
    "dashboard": {country("DE"), HALF_YEAR},
    "dashboard_slug": {country("DE"), HALF_YEAR, SHIPPED},
    "dashboard_native_filters": {country("DE", "JP", source="superset_url"), HALF_YEAR},
    "dashboard_native_filters_key": {country("FR", "US"), HALF_YEAR},
    "dashboard_permalink": {country("FR", "US"), HALF_YEAR, SHIPPED},
    "explore_form_data_key": {country("DE"), FREE, SPRING, SHIPPED},
    "explore_slice": set(),
    "explore_datasource": set(),
    "explore_permalink": {country("DE"), FREE, SPRING, SHIPPED},
    "dataset_edit": set(),
    "sqllab_permalink": set(),
    "sqllab_saved_query": set(),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_link_gives_the_dataset_its_filters_and_its_variables(desk, superset, name):
    if name not in superset.links:
        pytest.skip(f"Superset {superset.version} has no such links")
    sitting = desk.start(superset.links[name])
    review = sitting.review
    if name.startswith("sqllab"):
        assert review.session.dataset_ref.startswith(f"sqllab:{superset.fixtures['db_sqlite']}:")
        assert review.profile.is_sqllab_view
    else:
        assert review.session.dataset_ref == f"dataset:{superset.fixtures['ds_v_orders']}"
        assert review.session.dataset_id == superset.fixtures["ds_v_orders"]
    assert review.session.dashboard_id == (superset.fixtures["dashboard"] if name.startswith("dash") else None)
    assert sitting.readiness == "review_ready"
    assert sitting.filters == FILTERS[name]
    assert [(v.variable_name, v.variable_kind.value, v.is_required, v.default_value) for v in review.variables] == [
        ("country", "native_filter", False, "null"),
        ("from_dttm", "derived", False, "null"),
        ("to_dttm", "derived", False, "null"),
        ("status", "parameter", False, '"paid"'),
        ("min_amount", "parameter", False, "5"),
    ]
    columns = [f.field_name for f in review.fields if f.field_kind.value == "column"]
    assert columns == ["order_id", "order_ts", "country", "region", "status", "amount", "qty"]


def test_a_dataset_is_selected_by_number_or_by_name(desk, superset):
    number = superset.fixtures["ds_v_orders"]
    for selected in (
        number,
        f"dataset:{number}",
        f"{number}__table",
        "v_orders",
        "main.v_orders",
        "shop_sqlite.main.v_orders",
    ):
        assert desk.select(selected).review.session.dataset_id == number


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/superset/dashboard/999/", "source_not_found"),
        ("/superset/dashboard/no-such-slug/", "source_not_found"),
        ("/superset/dashboard/p/nosuchkey/", "source_not_found"),
        ("/explore/?slice_id=999", "source_not_found"),
        ("/explore/?datasource=999__table", "source_not_found"),
        ("/explore/?form_data_key=nosuchkey", "source_not_found"),
        ("/superset/explore/p/nosuchkey/", "source_not_found"),
        ("/tablemodelview/edit/999", "source_not_found"),
        ("/sqllab/p/nosuchkey/", "source_not_found"),
        ("/sqllab?savedQueryId=999", "source_not_found"),
        ("/r/12", "unsupported_link"),
        ("/superset/welcome/", "unsupported_link"),
        ("/superset/dashboard/../../etc/", "invalid_link"),
        ("/explore/?datasource=x__table", "invalid_link"),
    ],
)
def test_what_does_not_exist_or_is_not_supported_makes_no_session(desk, superset, path, code):
    with pytest.raises(ReviewError) as refused:
        desk.start(superset.base_url + path)
    assert refused.value.code == code


def test_a_link_of_another_host_is_refused_without_a_call(desk):
    with pytest.raises(ReviewError) as refused:
        desk.start("http://bi.example.com/superset/dashboard/1/")
    assert refused.value.code == "link_host_mismatch"


def test_what_the_account_may_not_see_does_not_exist(desk, superset):
    with pytest.raises(ReviewError) as refused:
        desk.start(superset.links["dashboard"], "gina")
    assert refused.value.code == "source_not_found"
    with pytest.raises(ReviewError) as refused:
        desk.start(superset.links["sqllab_saved_query"], "sam")
    assert refused.value.code == "source_not_found"


@pytest.mark.parametrize(("chosen", "left"), [("defaults", {country("DE"), HALF_YEAR}), ("none", set())])
def test_a_state_that_is_gone_is_asked_about(desk, superset, chosen, left):
    link = f"{superset.links['dashboard']}?native_filters_key=nosuchkey"
    sitting = desk.start(link)
    assert sitting.readiness == "recovery_required"
    assert "FILTER_STATE_UNAVAILABLE" in sitting.codes
    guessed = [f for f in sitting.review.filters if f.requires_confirmation]
    assert {(f.filter_name, f.confidence_state.value, f.recovery_status.value) for f in guessed} == {
        ("country", "inferred", "partial"),
        ("__time_range", "inferred", "partial"),
    }
    sitting.answer(sitting.question("filters:state"), chosen)
    assert sitting.readiness != "recovery_required"
    assert sitting.filters == left


def test_a_saved_form_that_is_gone_falls_back_to_the_stored_chart(desk, superset):
    chart, dataset = superset.fixtures["chart"], superset.fixtures["ds_v_orders"]
    sitting = desk.start(f"{superset.base_url}/explore/?form_data_key=nosuchkey&slice_id={chart}")
    assert sitting.review.session.dataset_id == dataset
    assert sitting.readiness == "recovery_required"
    assert "FILTER_STATE_UNAVAILABLE" in sitting.codes


def test_the_url_and_a_saved_state_that_differ_are_a_conflict(desk, superset):
    rison = quote("(NATIVE_FILTER-country:(extraFormData:(filters:!((col:country,op:IN,val:!(JP))))))")
    sitting = desk.start(f"{superset.links['dashboard_permalink']}?native_filters={rison}")
    assert {country("JP", source="superset_url"), country("FR", "US")} <= sitting.filters
    assert "FILTER_VALUE_CONFLICT" in sitting.codes
    assert sitting.readiness == "recovery_required"
    conflicted = [f for f in sitting.review.filters if f.recovery_status.value == "conflicted"]
    question = next(q for q in sitting.review.questions if q.topic == "filter.conflict")
    winner = next(f for f in conflicted if "JP" in f.normalized_value)
    sitting.answer(question, winner.filter_id)
    assert sitting.filters == {country("JP", source="superset_url"), HALF_YEAR, SHIPPED}
    assert "'JP'" in sitting.preview().compiled_sql


def test_equal_values_in_the_url_and_in_the_state_are_one_filter(desk, superset):
    rison = quote("(NATIVE_FILTER-country:(extraFormData:(filters:!((col:country,op:IN,val:!(FR,US))))))")
    sitting = desk.start(f"{superset.links['dashboard_permalink']}?native_filters={rison}")
    assert sitting.filters == {country("FR", "US", source="superset_url"), HALF_YEAR, SHIPPED}


def test_filters_in_the_url_that_cannot_be_read_hold_the_recovery(desk, superset):
    sitting = desk.start(f"{superset.links['dashboard']}?native_filters={quote('(country:(')}")
    assert "NATIVE_FILTERS_UNPARSABLE" in sitting.codes
    assert sitting.readiness == "recovery_required"
    assert sitting.filters == {country("DE"), HALF_YEAR}


def test_parameters_that_nothing_reads_are_named(desk, superset):
    sitting = desk.start(f"{superset.links['dashboard']}?nobody=reads&status=new&standalone=1")
    assert ("status", "URL_PARAM", "new", "superset_url") in sitting.filters
    finding = next(f for f in sitting.review.findings if f.code == "LINK_PARTIALLY_UNDERSTOOD")
    assert "nobody" in finding.message
    assert "standalone" not in finding.message


def test_a_dashboard_of_two_datasets_is_asked_about_and_scopes_and_cross_filters_are_kept(desk, superset, api):
    orders, v_orders = superset.fixtures["ds_orders"], superset.fixtures["ds_v_orders"]
    charts = [
        api.call(
            "POST",
            "/api/v1/chart/",
            {
                "slice_name": f"Chart of {dataset}",
                "viz_type": "table",
                "datasource_id": dataset,
                "datasource_type": "table",
                "params": json.dumps({"datasource": f"{dataset}__table", "viz_type": "table"}),
            },
        )["id"]
        for dataset in (orders, v_orders)
    ]
    amount = {"filters": [{"col": "amount", "op": ">=", "val": 10}, {"col": "amount", "op": "<=", "val": 99}]}
    ranged = native_filter(
        "range", "Amount", "filter_range", [{"datasetId": orders, "column": {"name": "amount"}}], amount, [10, 99]
    )
    elsewhere = native_filter(
        "qty", "Quantity", "filter_select", [{"datasetId": v_orders, "column": {"name": "qty"}}],
        {"filters": [{"col": "qty", "op": "IN", "val": [1]}]}, [1],
    )  # fmt: skip
    elsewhere["scope"]["excluded"] = [charts[0]]
    dashboard = make_dashboard(api, "Two", None, [ranged, elsewhere], charts)
    cross = {
        str(charts[1]): {"id": charts[1], "extraFormData": {"filters": [{"col": "status", "op": "IN", "val": ["new"]}]}}
    }
    sitting = desk.start(dashboard_permalink(api, superset.base_url, dashboard, cross))
    assert sitting.review.session.dataset_ref == f"unresolved:dashboard:{dashboard}"
    assert sitting.readiness == "recovery_required"
    question = sitting.question("dataset")
    assert {(o.value, o.label) for o in question.options} == {
        (f"dataset:{orders}", "orders (1 chart)"),
        (f"dataset:{v_orders}", "v_orders (1 chart)"),
    }
    sitting.answer(question, f"dataset:{orders}")
    assert sitting.review.session.dataset_id == orders
    found = {(f.filter_name, f.operator, f.display_name, f.dataset_scope) for f in sitting.review.filters}
    assert found == {
        ("amount", ">=", "Amount", True),
        ("amount", "<=", "Amount", True),
        ("qty", "IN", "Quantity", False),
        ("status", "IN", f"Cross filter from Chart of {v_orders}", True),
    }
    sql = sitting.preview().compiled_sql
    assert "amount >= 10" in sql
    assert "amount <= 99" in sql
    assert "'new'" in sql
    assert "qty IN" not in sql


def test_a_new_import_keeps_ids_manual_texts_and_answers(desk, superset):
    sitting = desk.start(f"{superset.links['dashboard']}?native_filters_key=nosuchkey")
    before = sitting.review
    sitting.answer(sitting.question("filters:state"), superset.links["dashboard_permalink"], AnswerKind.CUSTOM)
    after = sitting.review
    assert sitting.readiness in {"review_ready", "clarification_active"}
    assert {f.field_id for f in after.fields} >= {f.field_id for f in before.fields}
    assert {v.variable_id for v in after.variables} == {v.variable_id for v in before.variables}
    assert sitting.filters == FILTERS["dashboard_permalink"]


@pytest.mark.parametrize("link", ["garbage", "http://elsewhere.example.com/superset/dashboard/1/"])
def test_another_link_as_an_answer_is_checked_like_the_first(desk, superset, link):
    sitting = desk.start(f"{superset.links['dashboard']}?native_filters_key=nosuchkey")
    with pytest.raises(ReviewError) as refused:
        sitting.answer(sitting.question("filters:state"), link, AnswerKind.CUSTOM)
    assert refused.value.code == "invalid_answer"
    assert sitting.review.session.source_input.startswith(superset.base_url)


def test_an_inline_form_in_the_url_is_the_urls_own(desk, superset):
    dataset = superset.fixtures["ds_v_orders"]
    form = {
        "datasource": f"{dataset}__table",
        "adhoc_filters": [
            {"clause": "WHERE", "expressionType": "SIMPLE", "subject": "qty", "operator": ">", "comparator": "2"},
            {"clause": "WHERE", "expressionType": "SIMPLE", "subject": "qty", "operator": ">", "comparator": "3"},
            {"clause": "HAVING", "expressionType": "SQL", "sqlExpression": "SUM(amount) > 1"},
        ],
    }
    sitting = desk.start(f"{superset.base_url}/explore/?form_data={quote(json.dumps(form))}")
    assert sitting.review.session.dataset_id == dataset
    assert sitting.filters == {("qty", ">", "2", "superset_url"), ("qty", ">", "3", "superset_url")}


def test_reference_datasets_and_neighbours_are_offered_and_applied(desk, superset, api):
    sitting = desk.select(superset.fixtures["ds_v_orders"])
    offered = {(s.source_type.value, s.source_ref, s.trust_level.value) for s in sitting.review.sources}
    assert ("reference_dataset", f"dataset:{superset.fixtures['ds_orders']}", "trusted") in offered
    assert ("reference_dataset", f"dataset:{superset.fixtures['ds_countries_ref']}", "recommended") in offered
    other = desk.select(superset.fixtures["ds_v_required"])
    neighbours = [s for s in other.review.sources if s.source_type.value == "neighbor_dataset"]
    assert neighbours == [] or all((s.schema_overlap_score or 0) >= 0.3 for s in neighbours)
    kind = SemanticSourceType.REFERENCE_DATASET
    sitting.service.apply_source(ALICE, sitting.session_id, kind, f"dataset:{superset.fixtures['ds_orders']}", None)
    amount = next(f for f in sitting.review.fields if f.field_name == "amount")
    assert (amount.verbose_name, amount.description) == ("Order amount", "Gross order value in EUR")
    assert amount.provenance.value == "reference_imported"


def test_a_superset_that_is_down_or_refuses_the_account_keeps_the_session(superset, tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
        monkeypatch.setenv("WRONG", "wrong")
        environments = {
            "down": environment_settings(superset, base_url=f"http://127.0.0.1:{closed}"),
            "locked": environment_settings(superset, password_env="WRONG"),
        }
        with open_desk(superset, tmp_path, more=environments) as desk:
            down = desk.start(f"http://127.0.0.1:{closed}/superset/dashboard/1/", "down")
            assert down.readiness == "recovery_required"
            assert "SUPERSET_UNREACHABLE" in down.codes
            locked = desk.start(superset.links["dashboard"], "locked")
            assert locked.readiness == "recovery_required"
            assert "SUPERSET_AUTH_FAILED" in locked.codes
            assert "wrong" not in str(locked.review)
            assert not desk.service.environment("locked").health().reachable


def test_url_parameters_of_a_saved_form_are_read_without_supersets_own(desk, superset, api):
    dataset = superset.fixtures["ds_v_orders"]
    form = {"datasource": f"{dataset}__table", "adhoc_filters": [], "url_params": {"status": "new", "slice_id": "7"}}
    sitting = desk.start(explore_link(api, superset.base_url, dataset, form))
    assert sitting.filters == {("status", "URL_PARAM", "new", "superset_url")}
    assert "LINK_PARTIALLY_UNDERSTOOD" not in sitting.codes
