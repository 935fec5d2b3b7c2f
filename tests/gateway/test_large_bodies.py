"""Large bodies and answers: read by their members, refused as a whole where they flood, and cheap for the gateway."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any
from unittest import mock

import httpx
import psutil
import pytest
from fastapi import HTTPException
from gateway.conftest import Place
from gateway.serving import QUERY, Serving
from hypothesis import given
from hypothesis import strategies as st
from sagitta.semantic.v1.discovery_service_pb2 import ListDimensionsResponse
from sagitta.semantic.v1.model_pb2 import Dimension
from sagitta_gateway import bodies
from sagitta_gateway.bodies import LARGE_MESSAGE, JsonText, answer_of, escapes_half_a_surrogate, json_text
from sagitta_gateway.routes.large import LARGE, MAX_KEYS, read_large

JSON = {"Content-Type": "application/json"}
PADDING = "#" * LARGE
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def tables(objects: int, columns: int) -> dict[str, Any]:
    plain = {f"C{n}": {"code": f"c{n}", "abstractType": "int"} for n in range(columns)}
    return {"version": 1.0, "dataObjects": {f"O{n}": {"code": f"o{n}", "columns": plain} for n in range(objects)}}


@given(st.dictionaries(st.sampled_from(["model_json", "queries", "query", "extends", "a"]), values))
def test_a_body_read_by_its_members_is_the_same_body(body: dict[str, Any]) -> None:
    """Whatever its members are; a text that was left unread stands for the object that it is."""
    assert _read(read_large(json.dumps(body).encode())) == body


def _read(value: Any) -> Any:
    if isinstance(value, JsonText):
        return json.loads(value)
    if isinstance(value, dict):
        return {key: _read(item) for key, item in value.items()}
    return [_read(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("text", [b"[1]", b"{", b'{"a": 01}', b'{"a": NaN', b"\xff", b'{"a":' * 5000])
def test_what_is_no_object_is_told_as_ever(text: bytes) -> None:
    def outcome(read: Any) -> Any:
        try:
            return read(text)
        except (ValueError, RecursionError) as error:
            return type(error)

    assert outcome(read_large) == outcome(json.loads)


@pytest.mark.parametrize(
    "body", [{f"k{n}": 1 for n in range(MAX_KEYS + 1)}, {"queries": [{"a": 1}, dict.fromkeys(map(str, range(60)))]}]
)
def test_an_object_with_too_many_keys_is_refused_as_a_whole(body: dict[str, Any]) -> None:
    with pytest.raises(HTTPException, match="422: An object of the request has more than 50 keys"):
        read_large(json.dumps(body).encode())


def test_a_large_model_as_json_is_the_model_that_it_is_as_text(client: httpx.Client, place: Place) -> None:
    model = tables(200, 10)
    as_object = client.post(f"{place.session}/models", json={"model_json": model})
    as_text = client.post(f"{place.session}/models", json={"model_json": json.dumps(model)})
    assert (as_object.status_code, as_object.json()["data_objects"]) == (201, 200)
    assert as_text.json()["data_objects"] == 200
    schemas = [
        client.get(f"{place.session}/models/{one.json()['model_id']}/schema").json() for one in (as_object, as_text)
    ]
    assert [schema.pop("model_id") for schema in schemas]
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize("large", [False, True])
def test_the_body_of_a_large_answer_is_made_in_a_thread(large: bool) -> None:
    threads: list[threading.Thread] = []
    message = ListDimensionsResponse(dimensions=[Dimension(name="n" * 100)] * (LARGE_MESSAGE // 100 if large else 1))

    def body(found: ListDimensionsResponse) -> list[str]:
        threads.append(threading.current_thread())
        return [one.name for one in found.dimensions]

    answer = asyncio.run(answer_of(message, body, 201))
    assert (answer.status_code, json.loads(answer.body)) == (201, body(message))
    assert (threads[0] is not threading.current_thread()) is large


def test_a_large_batch_is_answered(client: httpx.Client, place: Place) -> None:
    wide = {**QUERY, "where": [{"field": "Status", "op": "in", "value": ["paid", *map(str, range(3000))]}]}
    body = {
        "session_id": place.session.rpartition("/")[2],
        "model_id": place.model_id,
        "execute": True,
        "queries": [{"id": "wide", "query": wide}, {"query": QUERY}],
    }
    results = client.post("/v1/oneshot/batch", json=body).json()["results"]
    assert [(one["id"], one["status"], len(one["rows"])) for one in results] == [("wide", "ok", 3), ("q1", "ok", 3)]
    body["queries"] = [{"query": "a text", "id": PADDING}]
    assert client.post("/v1/oneshot/batch", json=body).status_code == 422


def test_a_large_invalid_query_is_answered(client: httpx.Client, place: Place) -> None:
    """The quick way reads the body first, then the general way answers: it must not wait for a second body."""
    for extra in ({"nonsense": PADDING}, {"dialect": 1, "nonsense": PADDING}, {"nonsense": 1}):
        body = {"model_id": place.model_id, "query": QUERY, **extra}
        assert client.post(f"{place.session}/query/sql", json=body).status_code == 422


pieces = st.sampled_from(["\\", "\n", "ud800", "\ud83d", "\ude00", "😀", "한", "é", '"', "a" * 20]) | st.characters()


@given(st.lists(pieces, max_size=30).map("".join), st.integers(12, 40))
def test_half_a_surrogate_is_found_wherever_windows_end(text: str, window: int) -> None:
    """Two halves that meet make a whole one."""
    body = json.dumps({text: text}).encode()
    with mock.patch.object(bodies, "_WINDOW", window):
        found = asyncio.run(escapes_half_a_surrogate(body))
    assert found is not is_unicode(next(iter(json.loads(body))))


def is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


FLOODS: dict[str, tuple[str, Any]] = {
    "unknown keys": ("/v1/validate", {f"k{n}": n for n in range(200_000)}),
    "unknown keys of a query": (
        "/v1/oneshot/batch",
        {"model_yaml": "a: 1", "queries": [dict.fromkeys(map(str, range(200_000)))]},
    ),
    "fragments that are no texts": ("/v1/validate", {"model_yaml": "a: 1", "extends": [0] * 500_000}),
    "queries that are none": ("/v1/oneshot/batch", {"model_yaml": "a: 1", "queries": [0] * 500_000}),
    "metadata": ("/v1/sessions", {"metadata": {f"k{n}": n for n in range(50_000)}}),
    "kinds that are none": ("/v1/find", {"query": "a", "types": ["x"] * 100_000}),
}


@pytest.mark.parametrize(("path", "body"), FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_of_mistakes_is_answered_with_few_words(client: httpx.Client, path: str, body: Any) -> None:
    answer = client.post(path, content=json.dumps(body), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert len(answer.content) < 500


def test_a_large_model_is_passed_on_without_being_read() -> None:
    model = tables(400, 20)
    read = read_large(json.dumps({"model_json": model, "dedup": False}).encode())
    text = read["model_json"]
    assert isinstance(text, JsonText)
    assert json_text(text) is text
    assert (json.loads(text), read["dedup"]) == (model, False)


def test_a_large_model_costs_the_gateway_less_than_reading_it(served: Serving, place: Place) -> None:
    """While it reads a body, nobody is answered. Processor time is compared, which a busy machine leaves alone."""
    text = json.dumps({"model_json": tables(4000, 20)}).encode()
    ready_file = str(served.engine.settings.data_dir / "gateway.json")
    (gateway,) = [child for child in psutil.Process().children() if ready_file in child.cmdline()]
    before = gateway.cpu_times()
    for _ in range(3):
        refused = served.client.post(f"{place.session}/models", content=text, headers=JSON)
        assert refused.status_code == 422, "it has more values than a model may have"
    after = gateway.cpu_times()
    started = time.thread_time()
    for _ in range(3):
        json.dumps(json.loads(text))
    reading = time.thread_time() - started
    assert (after.user + after.system) - (before.user + before.system) < reading
