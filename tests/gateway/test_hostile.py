"""Bodies that try to break the server: each is refused with a status of its own, never a 500."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gateway.conftest import Place
from gateway.serving import MODEL, QUERY, serving, settings

DEEP = 100_000


def nested(depth: int) -> str:
    return '{"filters":[' * depth + "]}" * depth


HOSTILE: dict[str, str] = {
    "not JSON": "{",
    "a list": "[1, 2]",
    "a text": '"x"',
    "nothing": "",
    "not UTF-8": "\udcff",
    "nested a hundred thousand times": '{"select": ' + "[" * DEEP + "]" * DEEP + "}",
    "filters within filters": f'{{"select": {{"measures": ["Revenue"]}}, "where": [{nested(300)}]}}',
    "NaN": '{"select": {"measures": ["Revenue"]}, "having": [{"field": "Revenue", "op": "gt", "value": NaN}]}',
    "a limit of thirty digits": json.dumps({"select": {"measures": ["Revenue"]}, "limit": 10**30}),
    "a negative limit": json.dumps({"select": {"measures": ["Revenue"]}, "limit": -1}),
    "a fraction as limit": json.dumps({"select": {"measures": ["Revenue"]}, "limit": 1.5}),
    "numbers as names": json.dumps({"select": {"measures": [1, None, {}]}}),
    "SQL as a name": json.dumps({"select": {"measures": ['Revenue"; DROP TABLE orders; --']}}),
    "an unknown grain": json.dumps({"select": {"dimensions": ["Order Month:fortnight"], "measures": ["Revenue"]}}),
    "an object as value": json.dumps(
        {
            "select": {"measures": ["Revenue"]},
            "where": [{"field": "Status", "op": "equals", "value": {"a": [1]}}],
        }
    ),
    "half a surrogate": '{"select": {"measures": ["\\ud800"]}}',
    "a null character": '{"select": {"measures": ["Rev\\u0000enue"]}}',
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server of its own: the paths without a session need the only model there is."""
    with serving(settings(tmp_path_factory.mktemp("hostile"))) as running:
        yield running.client


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_query_is_refused(client: httpx.Client, place: Place, body: str) -> None:
    content = body.encode("utf-8", "surrogateescape")
    for path in ("/v1/query/sql", "/v1/query/execute"):
        answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, answer.text
        assert "Traceback" not in answer.text
        assert "site-packages" not in answer.text


def test_a_value_is_data_and_never_sql(client: httpx.Client, place: Place) -> None:
    query = {**QUERY, "where": [{"field": "Status", "op": "equals", "value": "' OR 1=1; DROP TABLE orders; --"}]}
    answer = client.post(f"{place.session}/query/execute", json={"model_id": place.model_id, "query": query})
    assert (answer.status_code, answer.json()["rows"]) == (200, [])
    again = client.post(f"{place.session}/query/execute", json={"model_id": place.model_id, "query": QUERY})
    assert len(again.json()["rows"]) == 3


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a, *a, *a, *a, *a, *a]\n" for n in range(50)),
        "[" * 5000,
        "a:\n" + "".join(f"{' ' * n}b{n}:\n" for n in range(1, 900)),
        "!!python/object/apply:os.system ['id']",
        "\x00",
        "- 1",
    ],
)
def test_a_hostile_model_is_refused(client: httpx.Client, place: Place, text: str) -> None:
    answer = client.post(f"{place.session}/models", json={"model_yaml": text})
    assert answer.status_code == 422, answer.text[:300]
    valid = client.post(f"{place.session}/validate", json={"model_yaml": text})
    assert (valid.status_code, valid.json()["valid"]) == (200, False)


def test_a_shortcut_takes_the_wrapped_form_too(client: httpx.Client, place: Place) -> None:
    wrapped = {"model_id": place.model_id, "query": QUERY, "dialect": "duckdb"}
    for session in client.get("/v1/sessions").json()["sessions"]:
        if not place.session.endswith(session["session_id"]):
            client.delete(f"/v1/sessions/{session['session_id']}")
    assert len(client.post("/v1/query/execute", json=wrapped).json()["rows"]) == 3
    assert client.post("/v1/query/sql", json={**wrapped, "dialect": "oracle"}).status_code == 400


def test_many_at_once_load_and_ask(client: httpx.Client, place: Place) -> None:
    """Eight threads load the same text into one session and ask; one model comes out of it."""
    failures: list[Any] = []

    def work() -> None:
        for _ in range(5):
            loaded = client.post(f"{place.session}/models", json={"model_yaml": f"{MODEL}# same"})
            body = {"model_id": loaded.json().get("model_id", ""), "query": QUERY}
            answer = client.post(f"{place.session}/query/execute", json=body)
            if loaded.status_code != 201 or answer.status_code != 200:
                failures.append((loaded.text, answer.text))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(client.get(f"{place.session}/models").json()) == 2
