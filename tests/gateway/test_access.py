"""Who may call: API keys, the model files of the administrator, and what a stranger may send."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from uuid import RFC_4122, UUID

import httpx
import pytest
from gateway.serving import MODEL, QUERY, Serving, serving, settings
from harness.server import serving as serve
from sagitta_server.app import Engine, EngineStartError
from sagitta_server.config import Settings

KEY, OTHER = "k3y-of-the-first-tenant-0123456789", "an0ther-key-for-rotation-9876543210"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """An engine with API keys that serves one model file."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "shop.yaml").write_text(MODEL)
    configured = settings(
        folder,
        access={"mode": "api_key", "api_keys": f"{KEY},{OTHER}", "heartbeat_token": "ping"},
        models={"files": str(folder / "shop.yaml"), "watch_interval_seconds": 0.05},
        sessions={"list_disabled": True, "rate_limit": 0},
    )
    with serving(configured) as running:
        yield running


def keyed(guarded: Serving, method: str, path: str, json: object = None) -> httpx.Response:
    return guarded.client.request(method, path, json=json, headers={"X-API-Key": KEY})


def test_calls_without_a_key_are_401_and_with_a_wrong_one_403(guarded: Serving) -> None:
    missing = guarded.client.get("/v1/dialects")
    assert (missing.status_code, missing.json()["detail"]["code"]) == (401, "AUTH_REQUIRED")
    assert missing.headers["www-authenticate"].startswith("ApiKey")
    wrong = guarded.client.get("/v1/dialects", headers={"X-API-Key": "x" * 40})
    assert (wrong.status_code, wrong.json()["detail"]["code"]) == (403, "AUTH_INVALID")


@pytest.mark.parametrize("headers", [{"X-API-Key": KEY}, {"X-API-Key": OTHER}, {"Authorization": f"Bearer {KEY}"}])
def test_any_key_in_either_header_is_accepted(guarded: Serving, headers: dict[str, str]) -> None:
    assert guarded.client.get("/v1/dialects", headers=headers).status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_header_that_the_engine_reads_is_the_one_that_the_gateway_passes_on(tmp_path: Path, workers: str) -> None:
    environment = {
        "SAGITTA_ACCESS__MODE": "api_key",
        "SAGITTA_ACCESS__API_KEYS": KEY,
        "SAGITTA_ACCESS__API_KEY_HEADER": "X-Tenant-Key",
        "SAGITTA_HTTP__WORKERS": workers,
    }
    with serve(tmp_path, [], environment=environment) as server:
        address = f"{server.http}/v1/dialects"
        assert httpx.get(address, headers={"X-Tenant-Key": KEY}, timeout=60).status_code == 200
        missing = httpx.get(address, headers={"X-API-Key": KEY}, timeout=60)
        assert (missing.status_code, missing.headers["www-authenticate"]) == (401, 'ApiKey header="X-Tenant-Key"')


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json", "/robots.txt", "/docs/assets/swagger-ui.css"])
def test_what_needs_no_key(guarded: Serving, path: str) -> None:
    assert guarded.client.get(path).status_code == 200


def test_curated_models_cannot_be_changed(guarded: Serving) -> None:
    session = f"/v1/sessions/{keyed(guarded, 'POST', '/v1/sessions').json()['session_id']}"
    upload = keyed(guarded, "POST", f"{session}/models", {"model_yaml": MODEL})
    assert (upload.status_code, upload.json()["detail"]) == (403, "Single-model mode: model upload is disabled.")
    model_id = keyed(guarded, "GET", f"{session}/models").json()[0]["model_id"]
    removal = keyed(guarded, "DELETE", f"{session}/models/{model_id}")
    assert (removal.status_code, removal.json()["detail"]) == (403, "Single-model mode: model removal is disabled.")
    assert keyed(guarded, "DELETE", "/v1/sessions/shop").status_code == 403
    batch = {"model_yaml": MODEL, "queries": [{"query": QUERY}]}
    assert keyed(guarded, "POST", "/v1/oneshot/batch", batch).status_code == 403
    assert keyed(guarded, "GET", "/v1/sessions/shop").status_code == 200
    assert keyed(guarded, "POST", f"{session}/validate", {"model_yaml": MODEL}).json()["valid"] is True


def test_curated_models_are_reached_by_name_and_by_shortcut(guarded: Serving) -> None:
    assert keyed(guarded, "GET", "/v1/models").json() == {
        "models": [
            {
                "name": "shop",
                "description": None,
                "dimensions": 4,
                "measures": 3,
                "metrics": 1,
                "data_objects": 3,
            }
        ],
        "count": 1,
    }
    model_id = keyed(guarded, "GET", "/v1/sessions/shop/models").json()[0]["model_id"]
    named = keyed(guarded, "POST", "/v1/sessions/shop/query/execute", {"model_id": model_id, "query": QUERY})
    shortcut = keyed(guarded, "POST", "/v1/query/execute", QUERY)
    assert named.json()["rows"] == shortcut.json()["rows"] != []
    body = keyed(guarded, "GET", "/v1/settings").json()
    assert body["single_model_mode"] is True
    assert body["model_yaml"] == MODEL


def test_the_list_of_sessions_can_be_switched_off(guarded: Serving) -> None:
    assert keyed(guarded, "GET", "/v1/sessions").status_code == 403


def test_a_body_over_the_limit_is_413_before_it_is_read(served: Serving) -> None:
    address = served.client.base_url
    connection = http.client.HTTPConnection(address.host, address.port)
    connection.putrequest("POST", "/v1/find")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders(b"{")
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_without_a_length_is_counted(served: Serving) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    assert served.client.post("/v1/find", content=endless()).status_code == 413


def test_every_answer_carries_its_request_id_and_careful_headers(served: Serving) -> None:
    answer = served.client.get("/v1/dialects", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert float(answer.headers["x-request-duration-ms"]) > 0
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    made = UUID(served.client.get("/v1/dialects").headers["x-request-id"])
    assert made.version == 4
    assert made.variant == RFC_4122


def test_an_engine_without_authentication_does_not_listen_in_public(tmp_path: Path) -> None:
    with pytest.raises(EngineStartError, match="no authentication"):
        Engine(Settings(data_dir=tmp_path, grpc={"address": "0.0.0.0:0"}, flight={"enabled": False}))


def test_weak_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="32 characters"):
        Settings(access={"mode": "api_key", "api_keys": "short"})
