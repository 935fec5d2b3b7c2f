"""A server with tight limits: 410 for expired, 429 with Retry-After, 503 where executing is switched off."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from gateway.serving import MODEL, QUERY, Serving, serving, settings

TTL_SECONDS = 600


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    configured = settings(
        tmp_path_factory.mktemp("tight"),
        sessions={"ttl_seconds": TTL_SECONDS, "max_sessions": 2, "max_models_per_session": 1, "rate_limit": 0},
        query={"execute": False},
    )
    with serving(configured) as running:
        yield running


def test_limits(tight: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tight.client
    session_id = client.post("/v1/sessions").json()["session_id"]
    session = f"/v1/sessions/{session_id}"
    client.post("/v1/sessions")
    full = client.post("/v1/sessions")
    assert (full.status_code, full.headers["retry-after"]) == (429, "60")
    model_id = client.post(f"{session}/models", json={"model_yaml": MODEL}).json()["model_id"]
    crowded = client.post(f"{session}/models", json={"model_yaml": f"{MODEL}# other"})
    assert (crowded.status_code, crowded.headers["retry-after"]) == (429, "60")
    assert client.post(f"{session}/models", json={"model_yaml": MODEL}).json()["model_load"] == "reused"
    body = {"model_id": model_id, "query": QUERY}
    assert client.post(f"{session}/query/sql", json=body).status_code == 200
    refused = client.post(f"{session}/query/execute", json=body)
    assert refused.status_code == 503
    assert "QUERY_EXECUTE" in refused.json()["detail"]
    assert client.get("/v1/settings").json()["query_execute"] is False
    monkeypatch.setattr(tight.engine.sessions, "_now", lambda: time.time() + TTL_SECONDS + 1)
    for _ in range(2):
        assert client.get(session).status_code == 410
        assert client.post(f"{session}/query/sql", json=body).status_code == 410
        batch = {"session_id": session_id, "model_id": model_id, "queries": [{"query": QUERY}]}
        assert client.post("/v1/oneshot/batch", json=batch).status_code == 410
    assert client.get("/v1/sessions").json() == {"sessions": []}
    assert client.get("/v1/measures").status_code == 404
    assert client.post("/v1/sessions").status_code == 201
