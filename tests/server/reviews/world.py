"""An engine without surfaces over a small shop: what the service tests work on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from sagitta_server.app import Engine
from sagitta_server.auth import Permission, Principal
from sagitta_server.config import Settings

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
      Day: {code: day, abstractType: date}
      Amount: {code: amount, abstractType: float}
      Status: {code: status, abstractType: string}
dimensions:
  Status: {dataObject: Orders, column: Status, resultType: string}
  Order Day: {dataObject: Orders, column: Day, resultType: date}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, resultType: float}
"""
ALICE = Principal("alice", frozenset(Permission))
BOB = Principal("bob", frozenset(Permission))


def selection(params: dict[str, Any] | None = None, **changes: Any) -> str:
    """A selection with the placeholder `first_day`."""
    query = {
        "select": {"dimensions": ["Status"], "measures": ["Revenue"]},
        "where": [{"field": "Order Day", "op": ">=", "value": "{{ first_day }}"}],
        **changes,
    }
    return json.dumps({"model": "shop", "query": query, "params": params or {}})


def make_shop(folder: Path) -> None:
    """The database and the model, once per folder."""
    if (folder / "shop.yaml").exists():
        return
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT i AS id, DATE '2024-01-01' + i::INT AS day, i * 1.5 AS amount, "
            "CASE WHEN i % 2 = 0 THEN 'paid' ELSE 'open' END AS status FROM range(100) t(i)"
        )
    (folder / "shop.yaml").write_text(MODEL)


def settings(folder: Path, state_url: str = "", **reviews: Any) -> Settings:
    """Settings of an engine over the shop."""
    make_shop(folder)
    return Settings(
        data_dir=folder / "data",
        state_url=state_url,
        sources={"default": {"uri": f"duckdb:///{folder}/shop.duckdb"}},
        models={"files": (str(folder / "shop.yaml"),), "watch_interval_seconds": 0},
        flight={"enabled": False},
        reviews={
            "mutations_per_minute": 0,
            "max_sessions_per_user": 100_000,
            "intake_wait_ms": 20_000,  # the machine may be busy
            "preview_wait_ms": 20_000,
            "launch_wait_ms": 20_000,
            **reviews,
        },
    )


@contextmanager
def world(folder: Path, state_url: str = "", **reviews: Any) -> Iterator[Engine]:
    """A running review service."""
    engine = Engine(settings(folder, state_url, **reviews))
    engine.models.curated.start()
    engine.reviews.start()
    try:
        yield engine
    finally:
        engine.stop()
