"""Behind a proxy that serves the gateway under a path of its own, which it takes off or leaves in place."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sagitta_gateway.app import create_app
from sagitta_gateway.config import GatewaySettings
from sagitta_gateway.middleware import OWN_PATHS

REVIEWS = "/api/dataset-orchestration"


def ask(root: str, method: str, path: str, content: bytes = b"") -> httpx.Response:
    """What a gateway without an engine answers."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(GatewaySettings(root_path=root)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            headers = {"Content-Type": "application/json"}
            return await client.request(method, path, content=content, headers=headers)

    return asyncio.run(asked())


BOTH_WAYS = pytest.mark.parametrize(
    ("root", "prefix"),
    [("", ""), ("/bi", ""), ("bi/", "/bi"), ("/api", ""), ("/api", "/api"), ("/v1", ""), ("/v1", "/v1")],
)


@BOTH_WAYS
def test_every_kind_of_path_is_found(root: str, prefix: str) -> None:
    assert ask(root, "GET", f"{prefix}/livez").status_code == 200
    assert ask(root, "PATCH", f"{prefix}/v1/sessions").headers["allow"] == "GET, HEAD, POST"
    slash = ask(root, "GET", f"{prefix}/v1/dialects/")
    assert (slash.status_code, slash.headers["location"]) == (307, "../dialects")
    assert ask(root, "POST", f"{prefix}/v1/query/sql", b"[").status_code == 422
    assert ask(root, "GET", f"{prefix}/nowhere").status_code == 404


@BOTH_WAYS
def test_reviews_are_found_and_have_their_limit_and_their_words(root: str, prefix: str) -> None:
    session = ask(root, "POST", f"{prefix}{REVIEWS}/sessions", b"[")
    assert (session.status_code, session.json()["error_code"]) == (422, "validation_error")
    large = ask(root, "POST", f"{prefix}{REVIEWS}/uploads", b" " * 2_000_000)
    assert large.status_code != 413
    larger = ask(root, "POST", f"{prefix}{REVIEWS}/sessions", b" " * 2_000_000)
    assert (larger.status_code, larger.json()["error_code"]) == (413, "upload_too_large")


@BOTH_WAYS
def test_the_page_asks_where_the_proxy_is(root: str, prefix: str) -> None:
    page = ask(root, "GET", f"{prefix}/docs")
    public = f"/{root.strip('/')}" if root else ""
    assert f"url: '{public}/openapi.json'" in page.text
    assert f'src="{public}/docs/assets/swagger-ui-bundle.js"' in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    document: dict[str, Any] = ask(root, "GET", f"{prefix}/openapi.json").json()
    assert document["servers"] == [{"url": public or "/"}]


def test_every_route_is_one_of_our_own_paths() -> None:
    assert [route.path for route in create_app(GatewaySettings()).routes if not route.path.startswith(OWN_PATHS)] == []  # type: ignore[attr-defined]
