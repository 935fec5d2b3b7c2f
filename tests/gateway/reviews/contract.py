"""The contract of reviews, and a transport that checks every answer against it as given."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
from openapi_core import OpenAPI
from openapi_core.templating.paths.exceptions import PathError as PathsNotFound
from openapi_core.templating.paths.finders import APICallPathFinder
from openapi_core.testing import MockRequest, MockResponse

BASE = "/api/dataset-orchestration"
CONTRACT = Path(__file__).parents[3] / "docs" / "schema" / "dataset-orchestration.openapi.yaml"
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\{\w+\}")
UNLISTED = frozenset({401, 403, 404, 409, 413, 415, 422, 429, 502, 503, 504})
"""Statuses that any operation may answer beside those it lists; their bodies are the contract's error bodies."""


class Contract(httpx.BaseTransport):
    """Checks every answer of the operations that the contract knows."""

    def __init__(self, inner: httpx.BaseTransport, contract: OpenAPI) -> None:
        self._inner, self._contract = inner, contract
        self.checked: set[tuple[str, str, str]] = set()
        """Method, path with `{}` for ids, and status of every answer that was checked."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if "event-stream" not in response.headers.get("content-type", ""):
            response.read()
            self._check(request, response)
        return response

    def close(self) -> None:
        self._inner.close()

    def _check(self, request: httpx.Request, response: httpx.Response) -> None:
        kind = (request.method.lower(), ID.sub("{}", request.url.path), str(response.status_code))
        if response.status_code in {204, 304}:
            assert response.content == b""
            self.checked.add(kind)
            return
        if "json" not in response.headers.get("content-type", ""):
            return
        asked = MockRequest("http://host", request.method.lower(), request.url.path, args=dict(request.url.params))
        listed = self._listed(asked)
        if listed is None:
            return
        if str(response.status_code) not in listed:
            assert response.status_code in UNLISTED, f"{request.method} {request.url.path}: {response.status_code}"
            self._error(response)
            return
        answer = MockResponse(response.content, response.status_code, content_type="application/json")
        self._contract.validate_response(asked, answer)
        self.checked.add(kind)

    def _listed(self, asked: MockRequest) -> set[str] | None:
        try:
            found = APICallPathFinder(self._contract.spec, base_url="").find(asked.method, asked.path)
        except PathsNotFound:
            return None
        return set((found.operation / "responses").keys())

    def _error(self, response: httpx.Response) -> None:
        body = json.loads(response.content)
        assert isinstance(body["error_code"], str)
        assert isinstance(body["message"], str)
        if body["error_code"] == "validation_error":
            assert all(set(item) == {"field", "message"} for item in body["errors"])
