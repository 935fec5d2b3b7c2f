"""Help is instant and complete, failures are one clear line."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sagitta_server.cli import COMMANDS, cli

HEAVY = ("pyarrow", "duckdb", "grpc", "sqlglot", "pydantic", "sqlalchemy", "rich", "fastapi")


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from sagitta_server.cli import cli; cli.main(['--help'], standalone_mode=False); "
    code += f"sys.exit(','.join(m for m in {HEAVY} if m in sys.modules) or 0)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "gateway"])
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert [p.name for p in command.params if isinstance(p, click.Option) and not p.help] == []


def test_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(cli, ["frobnicate"])
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_broken_model_is_pointed_at(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("version: 1.0\ndataObjects: [\n")
    result = CliRunner().invoke(cli, ["validate", str(path)])
    assert result.exit_code == 1
    assert f"{path}:" in result.output
    assert "[YAML_PARSE_ERROR]" in result.output


def test_every_mistake_of_a_model_is_reported_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "version: 1.0\ndataObjects:\n  A:\n    code: a\n    columns:\n      X: {abstractType: int}\n"
        "dimensions:\n  D: {dataObject: B, column: X}\n"
        "measures:\n  M: {aggregation: sum, columns: [{dataObject: A, column: Y}]}\n"
    )
    result = CliRunner().invoke(cli, ["validate", str(path)])
    assert result.exit_code == 1
    assert "wrong.yaml:8:" in result.output
    assert "wrong.yaml:10:" in result.output
    assert "8 |   D: {dataObject: B, column: X}" in result.output
    assert "^" in result.output
    assert "Traceback" not in result.output


def test_missing_file_is_named() -> None:
    result = CliRunner().invoke(cli, ["validate", "nowhere.yaml"])
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.output


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", ":80", "127.0.0.1:99999", "127.0.0.1:x"])
def test_address_that_is_none_is_refused(address: str) -> None:
    result = CliRunner().invoke(cli, ["engine", "--grpc", address])
    assert result.exit_code == 2
    assert "HOST:PORT" in result.output


def test_no_server_is_one_line_with_a_code() -> None:
    result = CliRunner().invoke(cli, ["query", "--server", "grpc://127.0.0.1:1", "SELECT 1"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: [UNAVAILABLE] no server answers at grpc://127.0.0.1:1")
    assert "Traceback" not in result.output


def test_unknown_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGITTA_GRPC__FOO", "hush")
    result = CliRunner().invoke(cli, ["engine"])
    assert result.exit_code == 1
    assert "[INVALID_SETTING] grpc.foo" in result.output
    assert "hush" not in result.output


def test_settings_mask_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTBEAT_AUTH_TOKEN", "hush-hush")
    result = CliRunner().invoke(cli, ["settings"])
    assert result.exit_code == 0, result.output
    assert "SAGITTA_ACCESS__HEARTBEAT_TOKEN=****" in result.output
    assert "hush" not in result.output
