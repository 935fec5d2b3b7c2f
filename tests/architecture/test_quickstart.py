"""The quickstart, pasted as it stands into an empty folder."""

import csv
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from harness.server import clean_environment, serving

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(kind, text) for kind, text in FENCE.findall(PAGE)]
COMMANDS = [text.strip() for kind, text in BLOCKS if not kind]


def run(command: str, folder: Path) -> str:
    environment = clean_environment({"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
    done = subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after the files of the page were written and its data made."""
    folder = tmp_path_factory.mktemp("shop")
    for _kind, text in BLOCKS:
        if name := re.match(r"# (\S+\.(?:py|yaml))\n", text):
            (folder / name[1]).write_text(text, encoding="utf-8")
    run(command_with("make_shop.py"), folder)
    return folder


def command_with(text: str) -> str:
    (command,) = [command for command in COMMANDS if text in command]
    return command


def test_model_is_valid(shop: Path) -> None:
    assert "valid" in run(command_with("sagitta validate"), shop)


def test_answer_is_the_one_printed(shop: Path) -> None:
    (printed,) = [text for kind, text in BLOCKS if kind == "csv"]
    assert list(csv.reader(io.StringIO(run(command_with("sagitta query --model"), shop)))) == list(
        csv.reader(io.StringIO(printed))
    )


def test_plan_is_shown(shop: Path) -> None:
    shown = run(command_with("sagitta compile"), shop)
    assert "SELECT" in shown
    assert "Visit" in shown


def test_served_model_answers(shop: Path, tmp_path: Path) -> None:
    flags = shlex.split(command_with("sagitta serve"))[2:]
    flags = [flag.replace("shop.", f"{shop}/shop.").replace("duckdb:///", "duckdb:///") for flag in flags]
    with serving(tmp_path, flags) as server:
        command = command_with("DATE_TRUNC").replace(
            "sagitta query", f"sagitta query --server {server.flight} --format csv"
        )
        rows = list(csv.reader(io.StringIO(run(command, shop))))
    assert rows[0] == ["month", "Revenue", "Order Count"]
    assert [row[1:] for row in rows[1:]] == [["225.50", "3"], ["220.00", "2"]]
