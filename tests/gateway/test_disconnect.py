"""A client that goes away ends its statement in the warehouse: how soon, `test_cancel_reaches_database.py` says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pytest
from gateway.serving import MODEL, Serving, make_database, serving, settings

SLOW = {"select": {"measures": ["Total"]}}
IMPATIENT = httpx.Timeout(60, read=1.0)
"""Waits for an answer for a second, and for everything else as long as it takes."""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, str, str]]:
    """A served model whose measure never ends."""
    folder: Path = tmp_path_factory.mktemp("slow")
    make_database(folder / "shop.duckdb")
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("CREATE VIEW many AS SELECT i AS n, repeat('x', 20) AS t FROM range(3000000) r(i)")
        connection.execute("CREATE VIEW endless AS SELECT i AS n, 'x' AS t FROM range(1000000000000) r(i)")
    with serving(settings(folder)) as running:
        session = running.client.post("/v1/sessions").json()["session_id"]
        text = MODEL.replace("code: numbers", "code: endless")
        model = running.client.post(f"/v1/sessions/{session}/models", json={"model_yaml": text}).json()["model_id"]
        yield running, session, model


def running_statements(served: Serving) -> int:
    source = served.engine.sources["default"]
    running: int = source._admission.running  # type: ignore[attr-defined]
    return running


def test_a_query_whose_client_is_gone_is_cancelled(slow: tuple[Serving, str, str]) -> None:
    served, session, model = slow
    with pytest.raises(httpx.ReadTimeout):
        served.client.post(
            f"/v1/sessions/{session}/query/execute", json={"model_id": model, "query": SLOW}, timeout=IMPATIENT
        )
    until_idle(served)


def test_a_batch_whose_client_is_gone_is_cancelled(slow: tuple[Serving, str, str]) -> None:
    served, session, model = slow
    body = {"session_id": session, "model_id": model, "execute": True, "queries": [{"query": SLOW}] * 2}
    with pytest.raises(httpx.ReadTimeout):
        served.client.post("/v1/oneshot/batch", json=body, timeout=IMPATIENT)
    until_idle(served)


def test_a_stream_that_is_not_read_to_its_end_is_cancelled(slow: tuple[Serving, str, str]) -> None:
    served, session, _ = slow
    text = {"model_yaml": MODEL.replace("code: numbers", "code: many")}
    model = served.client.post(f"/v1/sessions/{session}/models", json=text).json()["model_id"]
    fields = {"select": {"fields": ["Numbers.N", "Numbers.Text"]}, "limit": 3_000_000}
    body = {"model_id": model, "query": fields}
    with served.client.stream("POST", f"/v1/sessions/{session}/query/execute?format=ndjson", json=body) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()) == '{"Numbers.N":0,"Numbers.Text":"xxxxxxxxxxxxxxxxxxxx"}'
        assert running_statements(served) == 1
    until_idle(served)


def until_idle(served: Serving) -> None:
    """Waits until no statement runs any more: by itself none of them would end."""
    deadline = time.monotonic() + 60
    while running_statements(served):
        assert time.monotonic() < deadline, "the statement still runs"
        time.sleep(0.01)
