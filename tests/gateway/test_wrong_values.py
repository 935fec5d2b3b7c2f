"""Every place of every documented body with what does not belong there: refused as documented, and nothing leaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gateway.conftest import Place
from sagitta_gateway.app import create_app
from sagitta_gateway.config import GatewaySettings

DOCUMENT = create_app(GatewaySettings()).openapi()
ASKING = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "requestBody" in operation and path.startswith("/v1/") and not path.startswith("/v1/query")
}
WRONG = [
    *("null", "true", "-1", "1.5", "1e999", "NaN", str(10**30), '""', '"x"', '"\\u0000"', '"\\ud800"'),
    *("[]", "[null]", "{}", '{"a": 1}', '{"": null}', '[{"a": {"b": [1]}}]', json.dumps("ü" * 5000)),
]
LEAKS = ("Traceback", "site-packages", 'File "', ".py", "/tmp/", "<class ")
MARK = "@@wrong@@"


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a body, itself included."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def replaced(node: Any, path: tuple[Any, ...]) -> Any:
    """The body with a mark at a place."""
    if not path:
        return MARK
    if isinstance(node, dict):
        return {key: replaced(value, path[1:]) if key == path[0] else value for key, value in node.items()}
    return [replaced(value, path[1:]) if index == path[0] else value for index, value in enumerate(node)]


@pytest.mark.parametrize("name", ASKING)
def test_a_wrong_value_is_refused_as_documented_wherever_it_is(client: httpx.Client, place: Place, name: str) -> None:
    method, path, operation = ASKING[name]
    session_id = place.session.rpartition("/")[2]
    known = {"session_id": session_id, "model_id": place.model_id}
    example = operation["requestBody"]["content"]["application/json"]["example"]
    body = {key: known.get(key, value) for key, value in example.items()}
    documented = set(operation["responses"]) - {"500"}
    for where in places(body):
        text = json.dumps(replaced(body, where))
        for wrong in WRONG:
            content = text.replace(f'"{MARK}"', wrong)
            answer = client.request(
                method, path.format(**known), content=content, headers={"Content-Type": "application/json"}
            )
            told = f"{where} = {wrong[:40]}: {answer.status_code} {answer.text[:300]}"
            assert str(answer.status_code) in documented, told
            assert [leak for leak in LEAKS if leak in answer.text] == [], told
            if answer.status_code >= 400:
                assert {"detail", "code"} <= answer.json().keys(), told
            elif name == "create_session":
                client.delete(f"/v1/sessions/{answer.json()['session_id']}")
            elif answer.status_code == 201:
                client.delete(f"{place.session}/models/{answer.json()['model_id']}")
