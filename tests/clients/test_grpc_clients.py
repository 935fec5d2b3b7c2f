"""Clients in Go and TypeScript, on stubs generated here and now from the contract, ask a running engine."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from clients.sales import serving_sales
from clients.tools import run
from grpc_tools import protoc
from harness.server import Server

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
sys.path.insert(0, str(ROOT / "protos"))
import generate as contract  # noqa: E402 - the generator is a script, not a package

GO_MODULE = "sagitta.example/grpcgo"
GO_PACKAGE = f"{GO_MODULE}/gen/sagitta/semantic/v1;semanticv1"
GOOGLE = ("google/api/annotations.proto", "google/api/http.proto", "google/rpc/error_details.proto")

ROWS = [["Nord", "40.5"], ["Süd", "2.25"]]
"""The answer of the query that both clients ask."""

pytestmark = pytest.mark.xdist_group("grpc_clients")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving_sales(tmp_path_factory.mktemp("grpc-clients"), curated=False) as running:
        yield running


def generate(arguments: Sequence[str], extra: Sequence[str] = ()) -> None:
    """Runs protoc over the semantic services."""
    protos = [name for name in contract.sources() if name.startswith("sagitta/semantic/")]
    roots = [f"--proto_path={root}" for root in contract.includes()]
    assert protoc.main(["protoc", *roots, *arguments, *protos, *extra]) == 0


def ask(command: Sequence[str], server: Server, folder: Path) -> dict[str, Any]:
    """Runs a built client against the server; both clients take the same arguments and print the same document."""
    model = server.log.with_name("sales.yaml")
    seen: dict[str, Any] = json.loads(run([*command, server.grpc, str(model), "Region", "Revenue"], folder))
    return seen


def check(seen: Mapping[str, Any]) -> None:
    assert "SUM(" in seen["sql"]
    assert seen["columns"] == ["Region", "Revenue"]
    assert seen["row_count"] == 2
    assert seen["error_reason"] == "QUERY_INVALID"
    assert seen["diagnostics"] == ["UNKNOWN_MEASURE"]


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed: the Go client cannot be built")
def test_a_go_client_generated_from_the_contract_gets_typed_rows_and_reasons(server: Server, tmp_path: Path) -> None:
    for name in ("main.go", "go.mod", "go.sum"):
        shutil.copy(HERE / "grpc_go" / name, tmp_path)
    run(["go", "install", "tool"], tmp_path, {"GOBIN": str(tmp_path / "bin")})
    protos = [name for name in contract.sources() if name.startswith("sagitta/semantic/")]
    generate(
        [
            argument
            for kind in ("go", "go-grpc")
            for argument in (
                f"--plugin=protoc-gen-{kind}={tmp_path / 'bin' / f'protoc-gen-{kind}'}",
                f"--{kind}_out={tmp_path}",
                f"--{kind}_opt=module={GO_MODULE}",
                *(f"--{kind}_opt=M{name}={GO_PACKAGE}" for name in protos),
            )
        ]
    )
    run(["go", "build", "-o", "client", "."], tmp_path)
    seen = ask([str(tmp_path / "client")], server, tmp_path)
    check(seen)
    assert seen["rows"] == ROWS
    assert seen["types"] == ["utf8", "decimal(18, 2)"]
    assert seen["error_code"] == "InvalidArgument"
    assert seen["closed"] == "NotFound"


@pytest.mark.skipif(
    shutil.which("npm") is None, reason="Node.js is not installed: the TypeScript client cannot be built"
)
def test_a_typescript_client_generated_from_the_contract_compiles_strictly_and_asks(
    server: Server, tmp_path: Path
) -> None:
    for name in ("client.ts", "package.json", "tsconfig.json"):
        shutil.copy(HERE / "grpc_ts" / name, tmp_path)
    run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"], tmp_path)
    (tmp_path / "gen").mkdir()
    plugin = tmp_path / "node_modules" / ".bin" / "protoc-gen-es"
    options = ["--es_opt=target=ts,import_extension=js"]
    generate([f"--plugin=protoc-gen-es={plugin}", f"--es_out={tmp_path / 'gen'}", *options], GOOGLE)
    run(["npm", "run", "--silent", "build"], tmp_path)
    seen = ask(["node", "build/client.js"], server, tmp_path)
    check(seen)
    assert seen["rows"][0][0] == ROWS[0][0]
    assert seen["rows"][1][0] == ROWS[1][0]
    assert seen["error_code"] == "InvalidArgument"
    assert seen["closed"] == "NotFound"
