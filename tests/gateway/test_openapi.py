"""The OpenAPI document: complete, and its examples are true to its schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sagitta_gateway.app import create_app
from sagitta_gateway.config import GatewaySettings

DOCUMENT = create_app(GatewaySettings()).openapi()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "review" not in path and not path.startswith("/api")
]


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, response in operation["responses"].items():
        for media, content in response.get("content", {}).items():
            yield f"{status} {media}", content


@pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_every_operation_is_described(name: str, operation: dict[str, Any]) -> None:
    assert operation["operationId"]
    assert operation["summary"]
    assert operation["tags"]
    assert "500" in operation["responses"] or name.startswith("GET /health")
    for _, content in contents(operation):
        assert content["schema"]


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere() -> None:
    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                yield reference
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    schemas = DOCUMENT["components"]["schemas"]
    assert {name for name in walk(DOCUMENT["paths"]) if name.rsplit("/", 1)[1] not in schemas} == set()


def test_examples_follow_their_schemas() -> None:
    checked = 0
    for name, operation in OPERATIONS:
        for place, content in contents(operation):
            if "example" in content:
                schema = {**content["schema"], "components": DOCUMENT["components"]}
                errors = [error.message for error in Draft202012Validator(schema).iter_errors(content["example"])]
                assert errors == [], f"{name} {place}"
                checked += 1
    assert checked > 100
