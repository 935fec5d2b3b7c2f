"""A TypeScript client on types generated from the OpenAPI document of a running server: it compiles, and asks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from clients.sales import serving_sales
from clients.tools import run

HERE = Path(__file__).parent


@pytest.mark.xdist_group("rest_clients")
@pytest.mark.skipif(
    shutil.which("npm") is None, reason="Node.js is not installed: the TypeScript client cannot be built"
)
def test_a_typescript_client_generated_from_the_openapi_document_compiles_strictly_and_asks(tmp_path: Path) -> None:
    for name in ("client.ts", "package.json", "tsconfig.json"):
        shutil.copy(HERE / "rest_ts" / name, tmp_path)
    run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"], tmp_path)
    (tmp_path / "gen").mkdir()
    folder = tmp_path / "server"
    folder.mkdir()
    with serving_sales(folder, curated=False) as server:
        document = httpx.get(f"{server.http}/openapi.json", timeout=60).text
        (tmp_path / "openapi.json").write_text(document, encoding="utf-8")
        run(["npm", "run", "--silent", "generate"], tmp_path)
        run(["npm", "run", "--silent", "build"], tmp_path)
        model = str(folder / "sales.yaml")
        seen: dict[str, Any] = json.loads(
            run(["node", "build/client.js", str(server.http), model, "Region", "Revenue"], tmp_path)
        )
    assert seen == {
        "health": "ok",
        "planner": "Star Schema",
        "columns": [["Region", "string"], ["Total", "decimal(18, 2)"]],
        "rows": [["Nord", "40,50"], ["Süd", "2,25"]],
        "truncated": False,
        "explained": "duckdb",
        "batch": [["all", "ok", 2, None], ["q1", "error", None, "UNKNOWN_MEASURE"]],
        "dialect": "duckdb",
        "status": 422,
        "code": "UNKNOWN_MEASURE",
        "hint": "select.measures[0]",
        "closed": "SESSION_NOT_FOUND",
    }
