"""The documented REST API, row by row: success, documented keys, documented failures."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import pytest
from gateway.conftest import Place
from gateway.serving import MODEL, NUMBERS, QUERY

UNKNOWN = "/v1/sessions/feedfacefeedface"
WARNING_KEYS = {"code", "severity", "message", "path", "hint", "context"}


def ok(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


def detail(response: httpx.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    return response.json()["detail"]


def asked(place: Place, query: dict[str, Any] = QUERY, **more: Any) -> dict[str, Any]:
    return {"model_id": place.model_id, "query": query, **more}


# ---------------------------------------------------------------- 1-5 health and sessions


def test_row_1_health_tells_status_and_version(client: httpx.Client) -> None:
    body = ok(client.get("/health"))
    assert body["status"] == "ok"
    assert body["version"]
    assert body["auth_mode"] == "none"


def test_row_2_a_session_is_created_with_its_metadata(client: httpx.Client) -> None:
    body = ok(client.post("/v1/sessions", json={"metadata": {"user": "alice", "purpose": "revenue analysis"}}), 201)
    assert body["metadata"] == {"user": "alice", "purpose": "revenue analysis"}
    assert body["model_count"] == 0
    for key in ("created_at", "last_accessed_at", "expires_at", "max_expires_at"):
        assert body[key].endswith("Z")
        dt.datetime.fromisoformat(body[key])
    assert ok(client.post("/v1/sessions"), 201)["metadata"] == {}


def test_row_3_active_sessions_are_listed(client: httpx.Client, place: Place) -> None:
    sessions = ok(client.get("/v1/sessions"))["sessions"]
    mine = next(item for item in sessions if place.session.endswith(item["session_id"]))
    assert mine["model_count"] == 1


def test_row_4_a_session_is_described_and_refreshed(client: httpx.Client, place: Place) -> None:
    first = ok(client.get(place.session))
    second = ok(client.get(place.session))
    assert second["last_accessed_at"] > first["last_accessed_at"]
    assert second["created_at"] == first["created_at"]


def test_row_4_an_unknown_session_is_404(client: httpx.Client) -> None:
    assert "feedface" in detail(client.get(UNKNOWN), 404)


def test_row_5_a_closed_session_is_gone(client: httpx.Client) -> None:
    session = f"/v1/sessions/{ok(client.post('/v1/sessions'), 201)['session_id']}"
    closed = client.delete(session)
    assert (closed.status_code, closed.content) == (204, b"")
    detail(client.delete(session), 404)
    detail(client.get(session), 404)


# ---------------------------------------------------------------- 6-10 models


def test_row_6_a_loaded_model_tells_its_counts_and_health(client: httpx.Client, place: Place) -> None:
    text = MODEL.replace("team-data", "team-other")
    body = ok(client.post(f"{place.session}/models", json={"model_yaml": text}), 201)
    counts = {key: body[key] for key in ("data_objects", "dimensions", "measures", "metrics")}
    assert counts == {"data_objects": 3, "dimensions": 4, "measures": 3, "metrics": 1}
    assert body["model_load"] == "fresh"
    assert {"status", "data_objects", "joins", "orphan_data_objects", "fan_trap_risks"} <= body["health"].keys()
    assert body["health"]["orphan_data_objects"] == ["Numbers"]
    assert all(warning.keys() >= WARNING_KEYS for warning in body["warnings"])


def test_row_6_the_same_text_is_reused_unless_dedup_is_off(client: httpx.Client, place: Place) -> None:
    again = ok(client.post(f"{place.session}/models", json={"model_yaml": f"\n{MODEL}\n"}), 201)
    assert (again["model_id"], again["model_load"]) == (place.model_id, "reused")
    assert again["health"]["data_objects"] == 3
    fresh = ok(client.post(f"{place.session}/models", json={"model_yaml": MODEL, "dedup": False}), 201)
    assert fresh["model_load"] == "fresh"
    assert fresh["model_id"] != place.model_id


def test_row_6_models_come_as_json_with_fragments_and_parents(client: httpx.Client, place: Place) -> None:
    document = {
        "version": 1.0,
        "dataObjects": {"T": {"code": "t", "columns": {"A": {"code": "a", "abstractType": "int"}}}},
    }
    for form in (document, '{"version": 1.0, "dataObjects": {"T": {"code": "t", "columns": {"A": {"code": "a"}}}}}'):
        assert ok(client.post(f"{place.session}/models", json={"model_json": form}), 201)["data_objects"] == 1
    fragment = "dimensions: {Name: {dataObject: Customers, column: Name, resultType: string}}"
    merged = ok(client.post(f"{place.session}/models", json={"model_yaml": MODEL, "extends": [fragment]}), 201)
    assert (merged["dimensions"], merged["model_load"]) == (5, "fresh")
    child = {"model_yaml": "version: 1.0\n" + fragment, "inherits": place.model_id}
    assert ok(client.post(f"{place.session}/models", json=child), 201)["dimensions"] == 5
    detail(client.post(f"{place.session}/models", json={**child, "inherits": "nope"}), 422)


def test_row_6_failures(client: httpx.Client, place: Place) -> None:
    bad = MODEL.replace("dataObject: Customers, column: Country", "dataObject: Unknown, column: Country")
    body = detail(client.post(f"{place.session}/models", json={"model_yaml": bad}), 422)
    assert body["errors"][0]["code"] == "UNKNOWN_DATA_OBJECT"
    assert body["errors"][0]["path"] == "dimensions.Customer Country.dataObject"
    detail(client.post(f"{place.session}/models", json={"model_yaml": "a: ["}), 422)
    detail(client.post(f"{place.session}/models", json={}), 422)
    detail(client.post(f"{place.session}/models", json={"model_yaml": MODEL, "model_json": {}}), 422)
    detail(client.post(f"{UNKNOWN}/models", json={"model_yaml": MODEL}), 404)


def test_unknown_keys_of_a_body_are_named(client: httpx.Client, place: Place) -> None:
    response = client.post(f"{place.session}/models", json={"model_yaml": MODEL, "dedupe": True})
    assert response.status_code == 422
    assert response.json()["errors"][0] == {
        "code": "UNKNOWN_PROPERTY",
        "message": "Unknown property 'dedupe'",
        "path": "dedupe",
    }


def test_row_7_models_are_listed_as_an_array(client: httpx.Client, place: Place) -> None:
    assert [item["model_id"] for item in ok(client.get(f"{place.session}/models"))] == [place.model_id]
    detail(client.get(f"{UNKNOWN}/models"), 404)


def test_row_8_a_model_is_described(client: httpx.Client, place: Place) -> None:
    body = ok(client.get(place.model))
    orders = next(item for item in body["data_objects"] if item["label"] == "Orders")
    assert orders["code"] == "main.orders"
    assert orders["columns"] == ["Id", "Cust", "Day", "Amount", "Status"]
    assert orders["join_targets"] == ["Customers"]
    assert body["dimensions"][0]["time_grain"] is None
    assert {"name", "result_type", "data_object", "column"} <= body["dimensions"][0].keys()
    detail(client.get(f"{place.session}/models/nope"), 404)
    detail(client.get(f"{UNKNOWN}/models/{place.model_id}"), 404)


def test_row_9_a_model_is_removed(client: httpx.Client, place: Place) -> None:
    assert client.delete(place.model).status_code == 204
    detail(client.delete(place.model), 404)
    detail(client.delete(f"{UNKNOWN}/models/x"), 404)


@pytest.mark.parametrize("path", ["{session}/validate", "/v1/validate"])
def test_row_10_validation_always_answers_200(client: httpx.Client, place: Place, path: str) -> None:
    where = path.format(session=place.session)
    assert ok(client.post(where, json={"model_yaml": MODEL}))["valid"] is True
    bad = ok(client.post(where, json={"model_yaml": MODEL.replace("dataObject: Customers", "dataObject: Unknown", 1)}))
    assert bad["valid"] is False
    assert (bad["errors"][0]["code"], bad["errors"][0]["message"]) == (
        "UNKNOWN_DATA_OBJECT",
        "Data object 'Unknown' not found",
    )
    assert ok(client.post(where, json={"model_yaml": "a: ["}))["valid"] is False
    detail(client.post(where, json={}), 422)
    assert len(ok(client.get(f"{place.session}/models"))) == 1


# ---------------------------------------------------------------- 11-14 queries


def test_row_11_sql(client: httpx.Client, place: Place) -> None:
    body = ok(client.post(f"{place.session}/query/sql", json=asked(place)))
    assert body["dialect"] == "duckdb"
    assert body["sql_valid"] is True
    assert body["physical_tables"] == ["main.customers", "main.orders"]
    explain = body["explain"]
    assert explain["planner"] == "Star Schema"
    assert explain["base_object"] == "Orders"
    assert explain["cfl_legs"] == 0
    assert explain["joins"][0]["from_object"] == "Orders"
    assert {"join_columns", "reason", "to_object"} <= explain["joins"][0].keys()
    assert {"where_filter_count", "having_filter_count", "has_totals"} <= explain.keys()


@pytest.mark.parametrize("tail", ["sql", "execute"])
def test_rows_11_and_13_failures(client: httpx.Client, place: Place, tail: str) -> None:
    where = f"{place.session}/query/{tail}"
    assert detail(client.post(where, json=asked(place, dialect="oracle")), 400) == "Unsupported dialect: 'oracle'"
    detail(client.post(where, json={"model_id": "nope", "query": QUERY}), 404)
    detail(client.post(f"{UNKNOWN}/query/{tail}", json=asked(place)), 404)
    wrong = detail(client.post(where, json=asked(place, {"select": {"measures": ["Revenu"]}})), 422)
    assert wrong["error"] == "Query resolution failed"
    assert wrong["errors"][0]["code"] == "UNKNOWN_MEASURE"
    assert wrong["errors"][0]["suggestions"] == ["Revenue"]
    detail(client.post(where, json=asked(place, {"select": {"measures": ["Revenue"]}, "limitt": 3})), 422)
    detail(client.post(where, json=asked(place, {"select": {}})), 422)
    detail(client.post(where, json={"query": QUERY}), 422)


def test_row_12_plan(client: httpx.Client, place: Place) -> None:
    body = ok(client.post(f"{place.session}/query/plan", json=asked(place)))
    assert (body["status"], body["would_compile"], body["planner"]) == ("ok", True, "Star Schema")
    assert body["join_path"][0]["cardinality"] == "many-to-one"
    assert "=" in body["join_path"][0]["fk"]
    assert body["compiled_sql_length_estimate"] > 0
    assert body["database_explain"] is None


def test_row_12_plan_with_the_plan_of_the_database(client: httpx.Client, place: Place) -> None:
    body = ok(client.post(f"{place.session}/query/plan", json=asked(place, include_database_explain=True)))
    explain = body["database_explain"]
    assert (explain["dialect"], explain["explain_format"]) == ("duckdb", "text")
    assert explain["compiled_sql"].startswith("SELECT")
    assert explain["explain_output"]


def test_row_12_a_query_that_does_not_compile_is_answered_with_200(client: httpx.Client, place: Place) -> None:
    body = ok(client.post(f"{place.session}/query/plan", json=asked(place, {"select": {"measures": ["Revenu"]}})))
    assert (body["status"], body["would_compile"]) == ("error", False)
    assert (body["warnings"][0]["code"], body["warnings"][0]["severity"]) == ("UNKNOWN_MEASURE", "error")
    detail(client.post(f"{place.session}/query/plan", json=asked(place, dialect="oracle")), 400)
    detail(client.post(f"{place.session}/query/plan", json={"model_id": "nope", "query": QUERY}), 404)


def test_row_12_a_warehouse_that_refuses_explain_is_a_warning(client: httpx.Client, place: Place) -> None:
    broken = MODEL.replace("code: orders", "code: no_such_table")
    model = ok(client.post(f"{place.session}/models", json={"model_yaml": broken}), 201)["model_id"]
    body = ok(
        client.post(
            f"{place.session}/query/plan",
            json={"model_id": model, "query": QUERY, "include_database_explain": True},
        )
    )
    assert body["status"] == "ok"
    assert body["database_explain"] is None
    assert [warning["code"] for warning in body["warnings"]] == ["DATABASE_EXPLAIN_FAILED"]


def test_row_13_execute(client: httpx.Client, place: Place) -> None:
    body = ok(client.post(f"{place.session}/query/execute", json=asked(place)))
    assert body["rows"] == [["DE", 200.0], ["US", 150.0], [None, 30.0]]
    assert body["columns"] == [
        {"name": "Customer Country", "type": "string"},
        {"name": "Revenue", "type": "decimal(18, 2)", "format": "#,##0.00"},
    ]
    assert body["row_count"] == 3
    assert body["execution_time_ms"] >= 0
    assert body["resolved"] == {
        "fact_tables": ["Orders"],
        "dimensions": ["Customer Country"],
        "measures": ["Revenue"],
    }
    assert (body["cached"], body["cached_at"], body["truncated"]) == (False, None, False)
    assert body["physical_tables"] == ["main.customers", "main.orders"]
    assert {"ttl_seconds", "ttl_source", "ttl_limiting_table", "explain", "warnings", "sql_valid"} <= body.keys()


def test_row_13_a_table_that_the_warehouse_does_not_have_is_502(client: httpx.Client, place: Place) -> None:
    broken = MODEL.replace("code: orders", "code: no_such_table")
    model = ok(client.post(f"{place.session}/models", json={"model_yaml": broken}), 201)["model_id"]
    text = detail(client.post(f"{place.session}/query/execute", json={"model_id": model, "query": QUERY}), 502)
    assert "no_such_table" in text
    assert "Traceback" not in text


def test_row_13_a_result_without_limit_is_cut_and_says_so(client: httpx.Client, place: Place) -> None:
    everything = {"select": {"dimensions": ["Number"], "measures": ["Total"]}}
    cut = ok(client.post(f"{place.session}/query/execute", json=asked(place, everything)))
    assert (cut["row_count"], len(cut["rows"]), cut["truncated"]) == (10_000, 10_000, True)
    assert [warning["code"] for warning in cut["warnings"]] == ["LARGE_RESULT_SET"]
    assert "LIMIT 10000" in cut["sql"]
    whole = ok(client.post(f"{place.session}/query/execute", json=asked(place, {**everything, "limit": 100_000})))
    assert (whole["row_count"], len(whole["rows"]), whole["truncated"]) == (NUMBERS, NUMBERS, False)
    assert whole["warnings"] == []


def test_row_13_display_values_follow_pattern_and_locale(client: httpx.Client, place: Place) -> None:
    def shown(**parameters: str) -> list[Any]:
        body = ok(client.post(f"{place.session}/query/execute", json=asked(place), params=parameters))
        return [row[1] for row in body["rows"]]

    assert shown(format_values="true") == ["200.00", "150.00", "30.00"]
    assert shown(format_values="true", locale="de") == ["200,00", "150,00", "30,00"]
    detail(
        client.post(f"{place.session}/query/execute", json=asked(place), params={"locale": "xx-nonsense-1"}),
        400,
    )


def test_row_13_tsv(client: httpx.Client, place: Place) -> None:
    response = client.post(
        f"{place.session}/query/execute", json=asked(place), params={"format": "tsv", "locale": "de"}
    )
    assert response.headers["content-type"] == "text/tab-separated-values; charset=utf-8"
    assert response.text == "Customer Country\tRevenue\nDE\t200,00\nUS\t150,00\n\t30,00\n"


def test_row_13_timezone_must_be_known(client: httpx.Client, place: Place) -> None:
    body = ok(client.post(f"{place.session}/query/execute", json=asked(place), params={"timezone": "Europe/Berlin"}))
    assert body["timezone"] == "Europe/Berlin"
    detail(client.post(f"{place.session}/query/execute", json=asked(place), params={"timezone": "Mars"}), 400)


def test_row_13_a_dialect_without_a_warehouse_is_503(client: httpx.Client, place: Place) -> None:
    dialects = [item["name"] for item in ok(client.get("/v1/dialects"))["dialects"] if item["name"] != "duckdb"]
    if not dialects:
        pytest.skip("the compiler writes one dialect only")
    text = detail(client.post(f"{place.session}/query/execute", json=asked(place, dialect=dialects[0])), 503)
    assert dialects[0] in text


def test_row_14_batch_executes_and_compiles(client: httpx.Client, place: Place) -> None:
    body = ok(
        client.post(
            "/v1/oneshot/batch",
            json={
                "session_id": None,
                "model_yaml": MODEL,
                "model_id": None,
                "execute": True,
                "queries": [
                    {"id": "revenue_by_country", "query": QUERY},
                    {"query": QUERY, "execute": False},
                    {"id": "wrong", "query": {"select": {"measures": ["Revenu"]}}},
                ],
            },
        )
    )
    executed, compiled, wrong = body["results"]
    assert (executed["id"], executed["status"], executed["executed"]) == ("revenue_by_country", "ok", True)
    assert executed["rows"] == [["DE", 200.0], ["US", 150.0], [None, 30.0]]
    assert (compiled["id"], compiled["executed"], "rows" in compiled) == ("q1", False, False)
    assert compiled["sql"].startswith("SELECT")
    assert wrong["status"] == "error"
    assert wrong["error"]["code"] == "UNKNOWN_MEASURE"
    assert {"code", "message", "path", "hint"} == wrong["error"].keys()
    assert (body["model_load"], body["model_persisted"], body["batch_warnings"]) == ("fresh", False, [])
    created = f"/v1/sessions/{body['session_id']}"
    assert ok(client.get(f"{created}/models")) == []
    client.delete(created)


def test_a_batch_that_wants_too_much_at_once_is_told(client: httpx.Client) -> None:
    asked = {"model_yaml": MODEL, "queries": [{"query": QUERY}]}
    told = ok(client.post("/v1/oneshot/batch", json={**asked, "max_parallelism": 100}))["batch_warnings"]
    assert [(warning["code"], warning["path"], warning["severity"]) for warning in told] == [
        ("MAX_PARALLELISM_CAPPED", "max_parallelism", "warning")
    ]
    assert ok(client.post("/v1/oneshot/batch", json={**asked, "max_parallelism": 8}))["batch_warnings"] == []


def test_row_14_a_reused_model_stays_and_a_persisted_one_too(client: httpx.Client, place: Place) -> None:
    session_id = place.session.rsplit("/", 1)[1]
    one = [{"query": QUERY}]
    reused = ok(client.post("/v1/oneshot/batch", json={"session_id": session_id, "model_yaml": MODEL, "queries": one}))
    assert (reused["model_load"], reused["model_persisted"]) == ("reused", True)
    named = {"session_id": session_id, "model_id": place.model_id, "queries": one}
    referenced = ok(client.post("/v1/oneshot/batch", json=named))
    assert referenced["model_load"] == "referenced"
    kept = {"session_id": session_id, "model_yaml": f"{MODEL}\n# other", "persist_model": True, "queries": one}
    persisted = ok(client.post("/v1/oneshot/batch", json=kept))
    assert persisted["model_persisted"] is True
    models = [item["model_id"] for item in ok(client.get(f"{place.session}/models"))]
    assert models == [place.model_id, persisted["model_id"]]


def test_row_14_failures(client: httpx.Client, place: Place) -> None:
    session_id = place.session.rsplit("/", 1)[1]
    one = [{"query": QUERY}]

    def refused(status: int, **body: Any) -> Any:
        return detail(client.post("/v1/oneshot/batch", json=body), status)

    refused(422, queries=one)
    refused(422, queries=one, model_yaml=MODEL, model_id="x", session_id=session_id)
    refused(422, queries=[], model_yaml=MODEL)
    refused(422, queries=[{"id": "a", "query": QUERY}, {"id": "a", "query": QUERY}], model_yaml=MODEL)
    refused(422, queries=one * 51, model_yaml=MODEL)
    refused(422, queries=one, model_yaml="a: [")
    refused(404, queries=one, session_id="nope", model_id="x")
    refused(404, queries=one, session_id=session_id, model_id="nope")


def test_row_14_fail_fast_cancels_the_rest(client: httpx.Client, place: Place) -> None:
    queries = [{"query": {"select": {"measures": ["Revenu"]}}}, *({"query": QUERY} for _ in range(20))]
    body = ok(
        client.post(
            "/v1/oneshot/batch",
            json={
                "session_id": place.session.rsplit("/", 1)[1],
                "model_id": place.model_id,
                "execute": True,
                "fail_fast": True,
                "max_parallelism": 1,
                "queries": queries,
            },
        )
    )
    assert body["results"][0]["status"] == "error"
    assert body["results"][-1]["status"] == "cancelled"


# ---------------------------------------------------------------- 17-30 discovery


def test_row_17_schema(client: httpx.Client, place: Place) -> None:
    body = ok(client.get(f"{place.model}/schema"))
    assert (body["model_id"], body["version"], body["owner"]) == (place.model_id, 1.0, "team-data")
    customers = body["data_objects"][0]
    assert (customers["name"], customers["code"], customers["schema"], customers["owner"]) == (
        "Customers",
        "customers",
        "main",
        "team-sales",
    )
    assert {"name", "code", "abstract_type"} <= customers["columns"][0].keys()
    assert body["metrics"][0]["component_measures"] == ["Revenue", "Order Count"]


@pytest.mark.parametrize(
    ("kind", "name", "keys"),
    [
        ("dimensions", "Customer Country", {"name", "data_object", "column", "result_type", "time_grain", "owner"}),
        ("measures", "Revenue", {"name", "aggregation", "result_type", "columns", "expression", "total", "owner"}),
        ("metrics", "Revenue per Order", {"name", "expression", "component_measures", "type"}),
    ],
)
def test_rows_18_to_23_lists_and_single_artefacts(
    client: httpx.Client, place: Place, kind: str, name: str, keys: set[str]
) -> None:
    listed = ok(client.get(f"{place.model}/{kind}"))
    assert isinstance(listed, list)
    single = ok(client.get(f"{place.model}/{kind}/{name}"))
    assert single in listed
    assert keys <= single.keys()
    assert "Nothing" in detail(client.get(f"{place.model}/{kind}/Nothing"), 404)
    detail(client.get(f"{UNKNOWN}/models/x/{kind}"), 404)


def test_row_21_the_columns_of_a_measure(client: httpx.Client, place: Place) -> None:
    body = ok(client.get(f"{place.model}/measures/Revenue"))
    assert body["columns"] == [{"data_object": "Orders", "column": "Amount"}]
    assert body["total"] is False


@pytest.mark.parametrize(
    ("name", "kind"), [("Revenue", "measure"), ("Customer Country", "dimension"), ("Revenue per Order", "metric")]
)
def test_row_24_lineage(client: httpx.Client, place: Place, name: str, kind: str) -> None:
    body = ok(client.get(f"{place.model}/explain/{name}"))
    assert (body["name"], body["type"]) == (name, kind)
    assert {"column", "data_object"} <= {item["type"] for item in body["lineage"]}
    assert all({"type", "name", "detail"} == item.keys() for item in body["lineage"])
    detail(client.get(f"{place.model}/explain/Nothing"), 404)


def test_row_25_find(client: httpx.Client, place: Place) -> None:
    exact = ok(client.post(f"{place.model}/find", json={"query": "Revenue", "types": ["measure"]}))
    assert exact["results"][0] == {"type": "measure", "name": "Revenue", "match_field": "name", "score": 1.0}
    assert exact["fuzzy_matches"] == []
    synonym = ok(client.post(f"{place.model}/find", json={"query": "Nation"}))
    assert synonym["synonym_matches"][0]["name"] == "Customer Country"
    fuzzy = ok(client.post(f"{place.model}/find", json={"query": "Custmr Cuntry"}))
    assert fuzzy["results"] == []
    assert fuzzy["fuzzy_matches"][0]["name"] == "Customer Country"
    assert fuzzy["fuzzy_matches"][0]["kind"] == "dimension"
    detail(client.post(f"{place.model}/find", json={"query": "x", "types": ["table"]}), 422)


def test_row_26_join_graph(client: httpx.Client, place: Place) -> None:
    body = ok(client.get(f"{place.model}/join-graph"))
    assert body["nodes"] == ["Customers", "Orders", "Numbers"]
    edge = body["edges"][0]
    assert (edge["from_object"], edge["to_object"], edge["cardinality"], edge["secondary"]) == (
        "Orders",
        "Customers",
        "many-to-one",
        False,
    )


def test_rows_27_and_28_examples(client: httpx.Client, place: Place) -> None:
    listed = ok(client.get(f"{place.model}/examples"))
    assert listed["examples"][0]["intent_tags"] == ["revenue", "geography"]
    assert listed["suggestion"] is None
    assert len(ok(client.get(f"{place.model}/examples", params={"intent": "GEO"}))["examples"]) == 1
    nothing = ok(client.get(f"{place.model}/examples", params={"intent": "foo"}))
    assert nothing["examples"] == []
    assert nothing["suggestion"] == "no examples for 'foo'; available tags: revenue, geography"
    single = ok(client.get(f"{place.model}/examples/revenue_by_country"))
    assert single["query"]["select"]["measures"] == ["Revenue"]
    assert single["compiled_sql_preview"].startswith("SELECT")
    detail(client.get(f"{place.model}/examples/nothing"), 404)


def test_composables_and_diagram(client: httpx.Client, place: Place) -> None:
    body = ok(client.get(f"{place.model}/composables", params={"anchor": "Revenue"}))
    assert "Customer Country" in body["dimensions"]
    assert {"anchorObjects", "cflMeasures", "cflMetrics"} <= body.keys()
    assert ok(client.post(f"{place.model}/composables", json=QUERY))["anchorObjects"]
    assert ok(client.get(f"{place.model}/diagram/er"))["mermaid"].find("erDiagram") >= 0


# ---------------------------------------------------------------- 35-48 shortcuts

SHORTCUTS = [
    ("GET", "/v1/schema", None),
    ("GET", "/v1/dimensions", None),
    ("GET", "/v1/dimensions/Customer Country", None),
    ("GET", "/v1/measures", None),
    ("GET", "/v1/measures/Revenue", None),
    ("GET", "/v1/metrics", None),
    ("GET", "/v1/metrics/Revenue per Order", None),
    ("GET", "/v1/explain/Revenue", None),
    ("POST", "/v1/find", {"query": "Revenue"}),
    ("GET", "/v1/join-graph", None),
    ("GET", "/v1/graph", None),
    ("POST", "/v1/sparql", {"query": "ASK { ?s ?p ?o }"}),
    ("POST", "/v1/query/sql", QUERY),
    ("POST", "/v1/query/execute", QUERY),
]


@pytest.mark.parametrize(("method", "path", "body"), SHORTCUTS)
def test_rows_35_to_48_shortcuts(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None) -> None:
    for session in ok(client.get("/v1/sessions"))["sessions"]:
        client.delete(f"/v1/sessions/{session['session_id']}")
    detail(client.request(method, path, json=body), 404)
    sessions = [f"/v1/sessions/{ok(client.post('/v1/sessions'), 201)['session_id']}" for _ in range(2)]
    ok(client.post(f"{sessions[0]}/models", json={"model_yaml": MODEL}), 201)
    assert client.request(method, path, json=body).status_code == 200
    ok(client.post(f"{sessions[1]}/models", json={"model_yaml": MODEL}), 201)
    detail(client.request(method, path, json=body), 409)
    for session in sessions:
        client.delete(session)


# ---------------------------------------------------------------- 49-50 settings and dialects


def test_row_49_settings_of_a_model(client: httpx.Client, place: Place) -> None:
    stated = "defaultTimezone: Europe/Berlin, defaultDialect: duckdb, defaultNumericDataType: 'decimal(38, 4)'"
    text = f"{MODEL}settings: {{{stated}}}\n"
    session = f"/v1/sessions/{ok(client.post('/v1/sessions'), 201)['session_id']}"
    model = ok(client.post(f"{session}/models", json={"model_yaml": text}), 201)["model_id"]
    session_id = session.rsplit("/", 1)[1]
    body = ok(client.get("/v1/settings", params={"session_id": session_id}))
    assert body["model_settings"] == {
        "defaultTimezone": "Europe/Berlin",
        "defaultDialect": "duckdb",
        "defaultNumericDataType": "decimal(38, 4)",
    }
    assert body["dialect"] == {"model": "duckdb", "env": "duckdb", "effective": "duckdb"}
    assert body["timezone"]["model"] == "Europe/Berlin"
    pinned = ok(client.get("/v1/settings", params={"session_id": session_id, "model_id": model}))
    assert pinned["model_settings"] == body["model_settings"]
    client.delete(session)


def test_row_49_settings_without_a_model(client: httpx.Client) -> None:
    session = ok(client.post("/v1/sessions"), 201)["session_id"]
    body = ok(client.get("/v1/settings", params={"session_id": session}))
    assert (body["api_version"], body["single_model_mode"], body["query_execute"]) == ("v1", False, True)
    assert "model_settings" not in body
    assert "model" not in body["dialect"]
    limits = ("session_ttl_seconds", "session_max_age_seconds", "max_sessions", "max_models_per_session")
    assert [body[key] for key in limits] == [1800, 86_400, 500, 10]
    assert body["oneshot_batch"]["max_queries"] == 50
    assert body["timezone"]["utc"].endswith("Z")
    client.delete(f"/v1/sessions/{session}")


def test_row_49_failures(client: httpx.Client, place: Place) -> None:
    detail(client.get("/v1/settings", params={"model_id": "x"}), 400)
    detail(client.get("/v1/settings", params={"session_id": "nope"}), 404)
    detail(client.get("/v1/settings", params={"session_id": place.session.rsplit("/", 1)[1], "model_id": "nope"}), 404)


def test_row_50_dialects(client: httpx.Client) -> None:
    dialects = ok(client.get("/v1/dialects"))["dialects"]
    names = [item["name"] for item in dialects]
    assert names == sorted(names)
    documented = {
        "supports_cte",
        "supports_qualify",
        "supports_arrays",
        "supports_window_filters",
        "supports_ilike",
        "supports_time_travel",
        "supports_semi_structured",
    }
    duckdb = next(item for item in dialects if item["name"] == "duckdb")
    assert documented <= duckdb["capabilities"].keys()
    assert list(duckdb["capabilities"]) == sorted(duckdb["capabilities"]), "every process answers alike"
    assert duckdb["capabilities"]["supports_ilike"] is True
    assert duckdb["capabilities"]["supports_time_travel"] is False


def test_reference_documents(client: httpx.Client) -> None:
    listed = ok(client.get("/v1/reference"))["references"]
    assert {"obml", "functions", "schemas/obml", "schemas/query"} <= {item["name"] for item in listed}
    for item in listed:
        assert client.get(item["path"]).status_code == 200
    schema = client.get("/v1/reference/schemas/query")
    assert schema.headers["content-type"] == "application/schema+json"
    assert "# The model language" in ok(client.get("/v1/reference/obml"))["reference"]
    detail(client.get("/v1/reference/nothing"), 404)
