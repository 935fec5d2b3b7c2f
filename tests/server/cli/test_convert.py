from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from rdflib import Graph
from sagitta_server.cli import cli

MODEL = """\
version: 1.0
dataObjects:
  Orders:
    code: orders
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Amount: {code: amount, abstractType: float}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum}
  Total: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, total: true}
"""


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["convert", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_there_and_back(tmp_path: Path) -> None:
    model, osi, back = tmp_path / "shop.yaml", tmp_path / "shop.osi.yaml", tmp_path / "back.yaml"
    model.write_text(MODEL)
    code, _, warnings = run(model, "-o", osi)
    assert code == 0
    assert "Measure 'Total': OSI cannot express total" in warnings
    assert "name: shop\n" in osi.read_text()
    assert run(osi, "-o", back)[0] == 0
    assert run(back)[1] == run(model)[1].replace("name: shop\n", "name: back\n")


def test_a_graph(tmp_path: Path) -> None:
    model = tmp_path / "shop.yaml"
    model.write_text(MODEL)
    code, text, _ = run(model, "--to", "turtle", "--name", "x")
    assert code == 0
    assert "<https://ralforion.com/ns/model/x>" in text
    assert len(Graph().parse(data=text, format="turtle")) > 100


def test_failures_are_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(MODEL)
    assert run(file, "--strict")[0] == 1
    for text, code in (
        ("a: [", "INVALID_YAML"),
        ("a: 1", "CONVERSION_FAILED"),
        ("semantic_model: []", "CONVERSION_FAILED"),
    ):
        file.write_text(text)
        status, _, message = run(file)
        assert status == 1
        assert code in message
        assert "Traceback" not in message
    file.write_bytes(b"\xff\xfe\x00")
    assert "INVALID_YAML" in run(file)[2]
