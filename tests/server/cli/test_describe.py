"""`sagitta describe`: the same artefacts of a file and of the server that serves it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from sagitta_server.app import Engine
from sagitta_server.cli import cli
from sagitta_server.config import Settings

MODEL = """
version: 1.0
name: shop
dataObjects:
  Order:
    code: orders
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Country: {code: country, abstractType: string}
      Amount: {code: amount, abstractType: float}
dimensions:
  Country: {dataObject: Order, column: Country, resultType: string, description: Where it went}
measures:
  Revenue: {aggregation: sum, columns: [{dataObject: Order, column: Amount}], format: "#,##0.00"}
metrics:
  Revenue per Order: {expression: "{[Revenue]} / {[Order Count]}"}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(MODEL)
    return tmp_path / "shop.yaml"


@pytest.fixture
def server(tmp_path: Path, model: Path) -> Iterator[str]:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders (id INT, country TEXT, amount DOUBLE)")
    engine = Engine(
        Settings(
            data_dir=tmp_path / "data",
            models={"files": (str(model),)},
            sources={"default": {"uri": f"duckdb:///{tmp_path}/shop.duckdb"}},
            flight={"address": "127.0.0.1:0"},
            grpc={"address": "127.0.0.1:0"},
        )
    )
    yield str(engine.start().flight)
    engine.stop()


def describe(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["describe", *map(str, arguments)])


def shown(*arguments: object) -> dict[str, tuple[str, str]]:
    answer = describe(*arguments, "--format", "json")
    assert answer.exit_code == 0, answer.output
    return {item["name"]: (item["kind"], item["made_of"]) for item in json.loads(answer.stdout)}


def test_a_file_and_the_server_that_serves_it_tell_the_same(model: Path, server: str) -> None:
    of_file = shown(model)
    assert of_file == shown("shop", "--server", server)
    assert of_file["Revenue"] == ("measure", "sum(Order.Amount)")
    assert of_file["Revenue per Order"] == ("metric", "{[Revenue]} / {[Order Count]}")
    assert describe("--server", server).stdout == "shop\n"


def test_one_artefact_is_shown_down_to_its_columns(model: Path) -> None:
    answer = describe(model, "revenue")
    assert answer.stdout.splitlines() == [
        "Revenue (measure, float)",
        "  made of: sum(Order.Amount)",
        "  format: #,##0.00",
        "  reads: orders.amount",
    ]


def test_a_table_for_people_has_every_kind(model: Path) -> None:
    told = describe(model).stdout
    assert all(word in told for word in ("Dimensions", "Measures", "Metrics", "Where it went", "Order Count"))


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [(("shop.yml",), "MODEL_NOT_FOUND", "shop"), (("shop", "Revenu"), "ARTEFACT_NOT_FOUND", "Did you mean Revenue?")],
)
def test_a_wrong_name_is_told_with_the_next_one(server: str, arguments: tuple[str, ...], code: str, hint: str) -> None:
    answer = describe(*arguments, "--server", server)
    assert answer.exit_code == 1
    assert f"[{code}]" in answer.output
    assert hint in answer.output
