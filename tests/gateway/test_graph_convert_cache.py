"""Rows 15, 16, 29 to 34, 45 and 46 of the documented API: graph, conversion, cache and heartbeat."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gateway.conftest import Place
from gateway.serving import MODEL, QUERY, Serving, serving, settings
from rdflib import RDF, RDFS, Graph, Namespace

OBSL = Namespace("https://ralforion.com/ns/obsl#")
PREFIXES = "PREFIX obsl: <https://ralforion.com/ns/obsl#> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> "
LABELS = PREFIXES + "SELECT ?label WHERE { ?m a obsl:Metric ; rdfs:label ?label }"
VALIDATION_KEYS = {"schema_valid", "semantic_valid", "schema_errors", "semantic_errors", "semantic_warnings"}
TOKEN = "heartbeat-token-0123456789abcdef"
FRESH = MODEL.replace("    code: customers\n", "    code: customers\n    refresh: {mode: static}\n").replace(
    "    code: orders\n", "    code: orders\n    refresh: {mode: interval, interval: 1h}\n"
)


def ok(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


def detail(response: httpx.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    return response.json()["detail"]


def test_row_29_the_graph_is_turtle(client: httpx.Client, place: Place) -> None:
    for path in (f"{place.model}/graph", "/v1/graph"):
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/turtle")
        graph = Graph().parse(data=response.text, format="turtle")
        (model,) = graph.subjects(RDF.type, OBSL.SemanticModel)
        assert str(model) == f"https://ralforion.com/ns/model/{place.model_id}"
        labels = {str(graph.value(node, RDFS.label)) for node in graph.objects(model, OBSL.hasDimension)}
        assert labels == {"Customer Country", "Order Month", "Status", "Number"}


def test_row_30_select_and_ask(client: httpx.Client, place: Place) -> None:
    for path in (f"{place.model}/sparql", "/v1/sparql"):
        assert ok(client.post(path, json={"query": LABELS})) == {
            "type": "select",
            "variables": ["label"],
            "results": [{"label": "Revenue per Order"}],
            "boolean": None,
            "truncated": False,
        }
    asked = ok(client.post(f"{place.model}/sparql", json={"query": PREFIXES + "ASK { ?m a obsl:Measure }"}))
    assert asked == {"type": "ask", "variables": [], "results": [], "boolean": True, "truncated": False}
    text = (
        PREFIXES + "SELECT ?label ?owner { ?o a obsl:DataObject ; rdfs:label ?label OPTIONAL { ?o obsl:owner ?owner } }"
    )
    rows = {
        row["label"]: row["owner"] for row in ok(client.post(f"{place.model}/sparql", json={"query": text}))["results"]
    }
    assert rows == {"Customers": "team-sales", "Orders": None, "Numbers": None}


@pytest.mark.parametrize(
    "query",
    [
        "INSERT DATA {<a:a> <a:b> <a:c>}",
        "SELECT",
        "CONSTRUCT {?a ?b ?c} {?a ?b ?c}",
        "SELECT * {SERVICE <x:y> {?a ?b ?c}}",
    ],
)
def test_row_30_what_is_no_question_is_400(client: httpx.Client, place: Place, query: str) -> None:
    assert detail(client.post(f"{place.model}/sparql", json={"query": query}), 400)


def test_row_30_an_endless_question_is_stopped_while_others_are_answered(client: httpx.Client, place: Place) -> None:
    endless = "SELECT ?x {BIND(REGEX('" + "a" * 40 + "!', '^(a+)+$') AS ?x)}"
    assert "5 seconds" in detail(client.post(f"{place.model}/sparql", json={"query": endless}), 400)
    assert ok(client.post(f"{place.model}/sparql", json={"query": LABELS}))["results"]


def test_rows_29_and_30_failures(client: httpx.Client, place: Place) -> None:
    for path in ("/v1/sessions/feedfacefeedface/models/x", f"{place.session}/models/nosuch"):
        detail(client.get(f"{path}/graph"), 404)
        detail(client.post(f"{path}/sparql", json={"query": "ASK {}"}), 404)
    detail(client.post(f"{place.model}/sparql", json={"query": "x" * 100_001}), 422)
    detail(client.post(f"{place.model}/sparql", json={}), 422)


def test_rows_15_and_16_a_model_travels_to_osi_and_back(client: httpx.Client) -> None:
    there = ok(client.post("/v1/convert/obml-to-osi", json={"input_yaml": MODEL, "model_name": "shop"}))
    assert set(there) == {"output_yaml", "warnings", "validation", "input_validation"}
    assert there["validation"] == {
        "schema_valid": True,
        "semantic_valid": True,
        "schema_errors": [],
        "semantic_errors": [],
        "semantic_warnings": [],
    }
    assert there["input_validation"] is None
    assert "version: 0.2.0.dev0" in there["output_yaml"]
    back = ok(client.post("/v1/convert/osi-to-obml", json={"input_yaml": there["output_yaml"]}))
    assert set(back["input_validation"]) == VALIDATION_KEYS
    assert back["validation"]["semantic_valid"]
    session = ok(client.post("/v1/sessions"), 201)["session_id"]
    models = f"/v1/sessions/{session}/models"
    ids = [ok(client.post(models, json={"model_yaml": text}), 201)["model_id"] for text in (MODEL, back["output_yaml"])]
    first, second = (ok(client.get(f"{models}/{model_id}/schema")) | {"model_id": ""} for model_id in ids)
    assert first == second
    client.delete(f"/v1/sessions/{session}")


@pytest.mark.parametrize("path", ["/v1/convert/osi-to-obml", "/v1/convert/obml-to-osi"])
def test_rows_15_and_16_failures(client: httpx.Client, path: str) -> None:
    for text in ("", "[", "just text", "a: &x 1\nb: *x"):
        assert "YAML" in detail(client.post(path, json={"input_yaml": text}), 400)
    assert detail(client.post(path, json={"input_yaml": "name: x"}), 422)
    detail(client.post(path, json={}), 422)
    assert client.post(path, json={"input_yaml": "x" * 6_000_000}).status_code == 413


def test_a_model_that_inherits_is_given_as_what_it_was_merged_to(client: httpx.Client, place: Place) -> None:
    child = "version: 1.0\nmetrics: {Twice: {expression: '{[Revenue]} * 2'}}"
    made = ok(
        client.post(f"{place.session}/models", json={"model_yaml": child, "inherits": place.model.split("/")[-1]}), 201
    )
    osi = ok(client.get(f"{place.session}/models/{made['model_id']}/osi"))
    assert osi["validation"]["schema_valid"]
    assert "name: Twice" in osi["output_yaml"]
    assert "name: Revenue" in osi["output_yaml"]


def test_a_model_is_loaded_from_osi_and_given_back_as_osi(client: httpx.Client, place: Place) -> None:
    osi = ok(client.get(f"{place.model}/osi", params={"model_name": "shop"}))
    assert "name: shop" in osi["output_yaml"]
    assert osi["input_validation"] is None
    loaded = ok(client.post(f"{place.session}/models/from-osi", json={"osi_yaml": osi["output_yaml"]}), 201)
    assert (loaded["measures"], loaded["model_load"], loaded["conversion_warnings"]) == (3, "fresh", [])
    assert loaded["input_validation"]["schema_valid"]
    again = ok(client.post(f"{place.session}/models/from-osi", json={"osi_yaml": osi["output_yaml"]}), 201)
    assert (again["model_load"], again["model_id"]) == ("reused", loaded["model_id"])
    answer = ok(client.post(f"{place.session}/query/execute", json={"model_id": loaded["model_id"], "query": QUERY}))
    assert answer["row_count"] == 3
    detail(client.post(f"{place.session}/models/from-osi", json={"osi_yaml": "["}), 400)
    detail(client.post(f"{place.session}/models/from-osi", json={"osi_yaml": "a: 1"}), 422)
    detail(client.post("/v1/sessions/feedfacefeedface/models/from-osi", json={"osi_yaml": "a: 1"}), 404)
    detail(client.get(f"{place.session}/models/nosuch/osi"), 404)


def test_rows_31_to_34_without_a_cache(client: httpx.Client) -> None:
    stats = ok(client.get("/v1/cache/stats"))
    assert stats["backend"] == "noop"
    assert (stats["entry_count"], stats["hit_rate"], stats["oldest_entry"], stats["next_sweep_at"]) == (
        0,
        0.0,
        None,
        None,
    )
    assert ok(client.post("/v1/cache/sweep")) == {"backend": "noop", "ttl_evicted": 0, "capacity_evicted": 0}
    assert ok(client.post("/v1/cache/clear")) == {"backend": "noop", "entries_cleared": 0}
    assert detail(client.post("/v1/heartbeat", json={"database": "a", "schema": "b", "table": "c"}), 404) == "Not found"


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("cached")
    with serving(settings(folder, cache={"backend": "file"}, access={"heartbeat_token": TOKEN})) as running:
        yield running


@pytest.fixture(scope="module")
def fresh(cached: Serving) -> dict[str, Any]:
    session = ok(cached.client.post("/v1/sessions"), 201)["session_id"]
    loaded = ok(cached.client.post(f"/v1/sessions/{session}/models", json={"model_yaml": FRESH}), 201)
    return {"session": f"/v1/sessions/{session}", "model_id": loaded["model_id"]}


def execute(cached: Serving, fresh: dict[str, Any], query: dict[str, Any] = QUERY) -> dict[str, Any]:
    body = {"model_id": fresh["model_id"], "query": query}
    answer: dict[str, Any] = ok(cached.client.post(f"{fresh['session']}/query/execute", json=body))
    return answer


def heartbeat(cached: Serving, body: dict[str, Any], token: str = TOKEN) -> httpx.Response:
    return cached.client.post("/v1/heartbeat", json=body, headers={"Authorization": f"Bearer {token}"})


def test_rule_b_a_second_execution_comes_from_the_cache(cached: Serving, fresh: dict[str, Any]) -> None:
    cached.client.post("/v1/cache/clear")
    before = ok(cached.client.get("/v1/cache/stats"))
    first, second = execute(cached, fresh), execute(cached, fresh)
    assert (first["cached"], first["cached_at"]) == (False, None)
    assert second["cached"]
    assert dt.datetime.fromisoformat(second["cached_at"]) <= dt.datetime.now(dt.UTC)
    assert second["rows"] == first["rows"]
    assert second["columns"] == first["columns"]
    assert isinstance(first["ttl_seconds"], int)
    assert 0 < first["ttl_seconds"] <= 3600
    assert (first["ttl_source"], first["ttl_limiting_table"]) == ("freshness_derived", "main.orders")
    after = ok(cached.client.get("/v1/cache/stats"))
    assert after["hit_count_total"] - before["hit_count_total"] == 1
    assert after["miss_count_total"] - before["miss_count_total"] == 1
    assert (after["backend"], after["entry_count"], after["tracked_physical_tables"]) == ("file", 1, 2)
    assert after["total_size_bytes"] > 0
    assert after["oldest_entry"].endswith("Z")
    assert after["next_sweep_at"].endswith("Z")


def test_rule_b_a_caller_may_ask_for_fresh_rows(cached: Serving, fresh: dict[str, Any]) -> None:
    execute(cached, fresh)
    body = {"model_id": fresh["model_id"], "query": QUERY}

    def asked(cache_control: str) -> tuple[Any, ...]:
        headers = {"Cache-Control": cache_control}
        answer = ok(cached.client.post(f"{fresh['session']}/query/execute", json=body, headers=headers))
        return answer["cached"], answer["ttl_seconds"], answer["ttl_source"]

    assert asked("no-cache") == (False, None, "no_cache:caller_bypass")
    assert asked("max-age=1000, no-transform") == (True, 1000, "caller_capped")
    assert asked("max-age=0") == (False, None, "no_cache:caller_bypass")
    assert asked("max-age=100000")[2] == "freshness_derived"


def test_rule_b_a_table_without_contract_is_not_cached(cached: Serving, fresh: dict[str, Any]) -> None:
    query = {"select": {"measures": ["Total"]}}
    for _ in range(2):
        answer = execute(cached, fresh, query)
        assert (answer["cached"], answer["ttl_seconds"]) == (False, None)
        assert (answer["ttl_source"], answer["ttl_limiting_table"]) == ("no_cache:unknown_freshness", "main.numbers")


def test_a_contract_below_the_floor_is_a_warning(cached: Serving) -> None:
    session = f"/v1/sessions/{ok(cached.client.post('/v1/sessions'), 201)['session_id']}"
    text = FRESH.replace("interval: 1h", "interval: 1s")
    model_id = ok(cached.client.post(f"{session}/models", json={"model_yaml": text}), 201)["model_id"]
    answer = execute(cached, {"session": session, "model_id": model_id})
    assert answer["ttl_source"] == "no_cache:below_min_ttl"
    assert [warning["code"] for warning in answer["warnings"]] == ["CACHE_TTL_FLOOR_HIT"]


def test_row_34_a_heartbeat_empties_what_depends_on_the_table(cached: Serving, fresh: dict[str, Any]) -> None:
    execute(cached, fresh)
    sent = "2020-04-29T14:32:15Z"
    assert ok(heartbeat(cached, {"database": "", "schema": "main", "table": "orders", "timestamp": sent})) == {
        "table_ref": "main.orders",
        "recorded_at": sent,
        "invalidated_cache_entries": 1,
        "affected_data_objects": ["Orders"],
    }
    assert not execute(cached, fresh)["cached"]
    future = "2999-01-01T00:00:00+02:00"
    recorded = ok(heartbeat(cached, {"schema": "main", "table": "orders", "timestamp": future}))["recorded_at"]
    assert abs(dt.datetime.fromisoformat(recorded) - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=30)
    assert ok(heartbeat(cached, {"table": "elsewhere"}))["affected_data_objects"] == []


def test_row_34_failures(cached: Serving) -> None:
    body = {"database": "a", "schema": "b", "table": "c"}
    assert cached.client.post("/v1/heartbeat", json=body).status_code == 401
    assert heartbeat(cached, body, "wrong").status_code == 401
    assert cached.client.post("/v1/heartbeat", json=body, headers={"Authorization": TOKEN}).status_code == 401
    for moment in ("yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", 5, True):
        assert heartbeat(cached, body | {"timestamp": moment}).status_code == 422
    for wrong in ({"table": ""}, {"table": "x" * 256}, {}, {"table": 1}):
        assert heartbeat(cached, wrong).status_code == 422


def test_rows_32_and_33_sweep_and_clear(cached: Serving, fresh: dict[str, Any]) -> None:
    execute(cached, fresh)
    assert ok(cached.client.post("/v1/cache/sweep"))["ttl_evicted"] == 0
    assert execute(cached, fresh)["cached"]
    hits = ok(cached.client.get("/v1/cache/stats"))["hit_count_total"]
    assert ok(cached.client.post("/v1/cache/clear"))["entries_cleared"] >= 1
    stats = ok(cached.client.get("/v1/cache/stats"))
    assert (stats["entry_count"], stats["hit_count_total"]) == (0, hits)
    assert not execute(cached, fresh)["cached"]


def test_sessions_share_results(cached: Serving, fresh: dict[str, Any]) -> None:
    execute(cached, fresh)
    session = ok(cached.client.post("/v1/sessions"), 201)["session_id"]
    other = ok(cached.client.post(f"/v1/sessions/{session}/models", json={"model_yaml": FRESH}), 201)
    assert execute(cached, {"session": f"/v1/sessions/{session}", "model_id": other["model_id"]})["cached"]
