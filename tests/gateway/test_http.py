"""HTTP itself: methods, slashes, media types and texts that no client should send, each answered as documented."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gateway.conftest import Place
from gateway.serving import MODEL, QUERY, Serving, serving, settings
from sagitta_gateway.config import GatewaySettings
from sagitta_gateway.middleware import BodyLimit

JSON = {"Content-Type": "application/json"}
HALF = "\ud800"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that takes heartbeats."""
    with serving(settings(tmp_path_factory.mktemp("beats"), access={"heartbeat_token": "ping"})) as running:
        yield running


@pytest.mark.parametrize("path", ["/health", "/v1/dialects", "/v1/settings", "/v1/reference/obml"])
def test_head_is_get_without_its_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert int(head.headers["content-length"]) == pytest.approx(len(get.content), abs=8)  # settings tell the time


def test_head_of_what_is_not_there_is_404(client: httpx.Client) -> None:
    assert client.head("/v1/sessions/feedface").status_code == 404


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/health", "GET, HEAD"),
        ("/v1/sessions", "GET, HEAD, POST"),
        ("/v1/sessions/x", "DELETE, GET, HEAD"),
        ("/v1/query/sql", "POST"),
        ("/v1/composables", "GET, HEAD, POST"),
        ("/v1/measures/a/b", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_told_which_there_are(client: httpx.Client, path: str, methods: str, method: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)
    assert answer.json()["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/v1/dialects", "/v1/sessions", "/v1/measures", "/v1/examples"])
def test_a_last_slash_leads_to_the_path_without_it(client: httpx.Client, path: str) -> None:
    answer = client.get(f"{path}/?a=1", headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"../{path.rsplit('/', 1)[1]}?a=1")
    assert client.get(f"{path}/", follow_redirects=True).url.path == path
    assert client.get("/v1/nowhere/").status_code == 404
    assert client.get("//elsewhere.example/").status_code == 404


def test_a_body_that_is_not_said_to_be_json_is_told_how(client: httpx.Client, place: Place) -> None:
    body = json.dumps({"model_id": place.model_id, "query": QUERY})
    for headers in ({"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "text/plain"}, {}):
        for path in (f"{place.session}/query/sql", f"{place.model}/find", "/v1/sessions"):
            answer = client.post(path, content=body, headers=headers)
            assert answer.status_code == 422, (path, headers)
            assert "Content-Type: application/json" in answer.json()["detail"]
            assert answer.json()["code"] == "INVALID_REQUEST"
    named = {"Content-Type": "application/vnd.query+json; charset=utf-8"}
    assert client.post(f"{place.session}/query/sql", content=body, headers=named).status_code == 200


def test_half_a_surrogate_is_no_text_anywhere(client: httpx.Client, place: Place) -> None:
    bodies: list[tuple[str, object]] = [
        ("/v1/sessions", {"metadata": {"user": HALF}}),
        ("/v1/sessions", {"metadata": {HALF: "user"}}),
        ("/v1/sessions", {HALF: 1}),
        (f"{place.session}/models", {"model_yaml": MODEL, "extends": [HALF]}),
        (f"{place.session}/models", {"model_yaml": MODEL, "inherits": HALF}),
        (f"{place.session}/validate", {"model_json": HALF}),
        (f"{place.session}/query/sql", {"model_id": HALF, "query": QUERY}),
        (f"{place.session}/query/execute", {"model_id": place.model_id, "query": QUERY, "dialect": HALF}),
        ("/v1/oneshot/batch", {"session_id": HALF, "model_id": "x", "queries": [{"query": QUERY}]}),
        (f"{place.model}/find", {"query": HALF}),
    ]
    for path, body in bodies:
        answer = client.post(path, content=json.dumps(body), headers=JSON)
        assert (answer.status_code, "surrogate" in answer.text) == (422, True), (path, answer.text)
    reviews = "/api/dataset-orchestration/sessions"
    refused = client.post(reviews, content=json.dumps({"source_kind": HALF}), headers=JSON)
    assert (refused.status_code, refused.json()["errors"][0]["message"]) == (422, "holds text that is not Unicode")
    whole = client.post("/v1/sessions", content=json.dumps({"metadata": {"user": "😀"}}), headers=JSON)
    assert (whole.status_code, whole.json()["metadata"]) == (201, {"user": "😀"})
    literal = client.post("/v1/sessions", content=json.dumps({"metadata": {"user": r"\ud800"}}), headers=JSON)
    assert literal.json()["metadata"] == {"user": r"\ud800"}


def test_a_body_that_was_cut_off_is_not_served() -> None:
    """What came of it is JSON, and more was announced: nobody knows what it would have said."""
    came = iter([{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}])
    scope = {"type": "http", "method": "POST", "path": "/v1/sessions", "headers": []}
    told: list[object] = []

    async def receive() -> Any:
        return next(came)

    async def send(message: object) -> None:
        told.append(message)

    async def app(*_: object) -> None:
        told.append("served")

    asyncio.run(BodyLimit(app, GatewaySettings())(scope, receive, send))
    assert told == []


def test_a_mistake_in_json_is_named_with_its_place(client: httpx.Client) -> None:
    answer = client.post("/v1/sessions", content='{"metadata": }', headers=JSON)
    assert answer.json()["detail"] == [
        {"loc": ["body", 13], "msg": "JSON decode error: Expecting value", "type": "json_invalid"}
    ]


def test_an_empty_model_id_names_no_model(client: httpx.Client, place: Place) -> None:
    for path in ("query/sql", "query/plan", "query/execute"):
        answer = client.post(f"{place.session}/{path}", json={"model_id": "", "query": QUERY})
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "model_id"])


@pytest.mark.parametrize("body", ["{}", '{"table": 1}', "[", "null", '{"table": "t", "timestamp": "yesterday"}'])
def test_a_heartbeat_is_refused_for_its_caller_before_its_body(
    client: httpx.Client, guarded: Serving, body: str
) -> None:
    beat = {"content": body, "headers": JSON}
    assert client.post("/v1/heartbeat", **beat).status_code == 404
    assert guarded.client.post("/v1/heartbeat", **beat).status_code == 401
    known = {**JSON, "Authorization": "Bearer ping"}
    assert guarded.client.post("/v1/heartbeat", content=body, headers=known).status_code == 422


def test_every_refusal_has_a_code(client: httpx.Client, place: Place) -> None:
    execute = f"{place.session}/query/execute"
    asked = {"model_id": place.model_id, "query": QUERY}
    answers = {
        "NOT_FOUND": client.get("/v1/nowhere"),
        "REQUEST_TOO_LARGE": client.post("/v1/sessions", content=b" " * 2_000_000, headers=JSON),
        "UNKNOWN_LOCALE": client.post(execute, json=asked, params={"locale": "zz"}),
        "UNKNOWN_TIMEZONE": client.post(execute, json=asked, params={"timezone": "Mars"}),
        "BATCH_INVALID": client.post("/v1/oneshot/batch", json={"queries": [{"query": QUERY}]}),
        "UNSUPPORTED_DIALECT": client.post(execute, json={**asked, "dialect": "oracle"}),
        "INVALID_REQUEST": client.post(execute, json={}),
        "UNKNOWN_PROPERTY": client.post(execute, json={**asked, "nonsense": 1}),
        "SESSION_NOT_FOUND": client.get("/v1/sessions/feedface"),
    }
    assert {name: answer.json()["code"] for name, answer in answers.items()} == {name: name for name in answers}
