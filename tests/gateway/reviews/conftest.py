"""A running engine and gateway, and clients whose every answer is checked against the contract as given."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
import yaml
from gateway.reviews.contract import BASE, CONTRACT, Contract
from gateway.serving import Serving, serving, settings
from openapi_core import OpenAPI
from sagitta_server.auth import TokenIssuer
from sagitta_server.auth.tokens import expand_permissions

MODEL = """\
version: 1.0
name: shop
description: Orders of a small shop
dataObjects:
  Orders:
    code: orders
    schema: main
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Cust: {code: customer_id, abstractType: int}
      Day: {code: ordered_on, abstractType: date}
      Amount: {code: amount, abstractType: float}
      Status: {code: status, abstractType: string}
dimensions:
  Status: {dataObject: Orders, column: Status, resultType: string, description: How far the order is}
  Order Day: {dataObject: Orders, column: Day, resultType: date}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, resultType: float}
  Order Count: {columns: [{dataObject: Orders, column: Id}], aggregation: count, resultType: int}
examples:
  - name: paid
    description: Paid orders
    query: {select: {dimensions: [Status], measures: [Revenue]}, where: [{field: Status, op: equals, value: paid}]}
"""
OTHER = MODEL.replace("name: shop", "name: other").replace(
    "resultType: float}", "resultType: float, description: All money}"
)


@pytest.fixture(scope="session")
def contract() -> OpenAPI:
    return OpenAPI.from_dict(yaml.safe_load(CONTRACT.read_text()))


@pytest.fixture(scope="session")
def reviewing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One engine with two models, and one gateway, for all tests of a worker."""
    folder = tmp_path_factory.mktemp("reviewing")
    for name, text in (("shop", MODEL), ("other", OTHER)):
        (folder / f"{name}.yaml").write_text(text)
    configured = settings(
        folder,
        flight={"address": "127.0.0.1:0"},
        models={"files": (str(folder / "shop.yaml"), str(folder / "other.yaml"))},
        reviews={"mutations_per_minute": 0, "max_sessions_per_user": 100_000},
    )
    with serving(configured) as running:
        yield running


@pytest.fixture(scope="session")
def login(reviewing: Serving, contract: OpenAPI):
    """Makes a client for a user with permissions."""
    issuer = TokenIssuer.for_data_dir(reviewing.engine.settings.data_dir)

    def client(user: str = "alice", permissions: str = "all") -> httpx.Client:
        token = issuer.issue(user, expand_permissions(permissions))
        return httpx.Client(
            base_url=f"{str(reviewing.client.base_url).rstrip('/')}{BASE}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
            transport=Contract(httpx.HTTPTransport(), contract),
        )

    return client


@pytest.fixture(scope="session")
def alice(login) -> Iterator[httpx.Client]:
    with login("alice") as client:
        yield client


@pytest.fixture(scope="session")
def bob(login) -> Iterator[httpx.Client]:
    with login("bob") as client:
        yield client


def query(params: dict | None = None, **changes) -> str:
    """A selection with one placeholder."""
    asked = {
        "select": {"dimensions": ["Status"], "measures": ["Revenue"]},
        "where": [{"field": "Order Day", "op": ">=", "value": "{{ first_day }}"}],
        **changes,
    }
    return json.dumps({"model": "shop", "query": asked, "params": params or {}})


def start(client: httpx.Client, source: str = "model:shop", **headers: str) -> httpx.Response:
    body = {"source_kind": "dataset_selection", "source_input": source, "environment_id": "local"}
    return client.post("/sessions", json=body, headers=headers)


def started(client: httpx.Client, source: str = "model:shop") -> str:
    answer = start(client, source)
    assert answer.status_code == 201, answer.text
    return f"/sessions/{answer.json()['session_id']}"


def detail(client: httpx.Client, session: str) -> dict:
    answer = client.get(session)
    assert answer.status_code == 200, answer.text
    return answer.json()
