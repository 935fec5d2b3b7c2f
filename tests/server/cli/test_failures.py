"""What keeps a command from working is one line with a code, never a traceback, a secret or a reproach."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from sagitta_server.cli import cli

FREE = ("--flight", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
MODEL = """
version: 1.0
name: shop
dataObjects:
  Order: {code: orders, columns: {Id: {code: id, abstractType: int}, Note: {code: note, abstractType: int}}}
measures:
  Notes: {aggregation: sum, columns: [{dataObject: Order, column: Note}]}
"""


def engine(tmp_path: Path, *flags: str) -> str:
    return outcome("engine", *FREE, "--data-dir", str(tmp_path / "data"), *flags)


def outcome(*words: str) -> str:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert "bug" not in result.output
    return result.output


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("duckdb:///nothere.duckdb", "The DuckDB file 'nothere.duckdb' does not exist"),
        ("sqlite:///nothere.db", "The SQLite file 'nothere.db' does not exist"),
        ("cobol://tape", "unknown scheme 'cobol'"),
        ("grpc://127.0.0.1:1", "add ?dialect="),
        ("postgresql://reader:hush@127.0.0.1:1/db", "Connection refused"),
    ],
)
def test_a_warehouse_that_cannot_be_reached_is_told(tmp_path: Path, uri: str, told: str) -> None:
    model = tmp_path / "shop.yaml"
    model.write_text(MODEL)
    output = outcome("query", "--model", str(model), "--source", uri, "SELECT Notes FROM shop")
    assert told in output
    assert "hush" not in output


def test_a_source_that_is_no_database_keeps_the_engine_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "shop.duckdb"
    file.write_text("not a database")
    output = engine(tmp_path, "--source", f"duckdb:///{file}")
    assert "not a valid DuckDB database" in output
    assert str(tmp_path) not in output


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://sagitta:hush@127.0.0.1:1/x", "Connection refused"),
        ("postgresql://sagitta:hush@127.0.0.1:1/x", "sagitta:***@127.0.0.1:1/x"),
        ("nonsense", "is no URL"),
        ("mysql://a:hush@b/c", "SQLite or PostgreSQL"),
    ],
)
def test_a_state_database_that_cannot_be_used_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    monkeypatch.setenv("SAGITTA_STATE_URL", url)
    output = engine(tmp_path)
    assert output.startswith("Error: [STATE_UNAVAILABLE]")
    assert told in output
    assert "hush" not in output


def test_a_state_database_that_is_broken_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "state.db").write_bytes(b"nonsense" * 100)
    assert "[STATE_UNAVAILABLE]" in (output := engine(tmp_path))
    assert "file is not a database" in output


def test_a_state_database_of_a_newer_version_is_told(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "state.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('semantic_9999')")
    database.close()
    assert "was written by a newer version" in engine(tmp_path)


@pytest.mark.parametrize("surface", ["--flight", "--grpc"])
def test_an_address_in_use_is_told(tmp_path: Path, surface: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        output = engine(tmp_path, surface, f"127.0.0.1:{taken.getsockname()[1]}")
    assert "[ADDRESS_UNAVAILABLE]" in output
    assert "ddress already in use" in output


def test_a_port_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGITTA_METRICS__ADDRESS", "127.0.0.1:65536")
    output = engine(tmp_path)
    assert "[ADDRESS_UNAVAILABLE] The metrics endpoint cannot listen on 127.0.0.1:65536" in output
    assert "from 0 to 65535" in output


@pytest.mark.parametrize("content", [b"a = [", b"\xff\xfe"])
def test_a_settings_file_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    file = tmp_path / "sagitta.toml"
    file.write_bytes(content)
    monkeypatch.setenv("SAGITTA_CONFIG", str(file))
    assert "[INVALID_SETTING]" in (output := engine(tmp_path))
    assert "is not TOML" in output


def test_a_settings_file_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGITTA_CONFIG", str(tmp_path / "nothere.toml"))
    assert "which is no file" in engine(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SAGITTA_SESIONS__TTL_SECONDS", "3", "there is no group of settings 'sesions'"),
        ("SAGITTA_SESSIONS__TTL", "3", "sessions.ttl: there is no such setting"),
        ("SAGITTA_SESSIONS", "hush", "a group of settings is set by its members"),
        ("SAGITTA_SESSIONS__TTL_SECONDS", "hush", "sessions.ttl_seconds"),
        ("LOG_LEVEL", "hush", "log.level"),
        ("API_KEYS", "hush", "an API key needs at least 32 characters"),
    ],
)
def test_a_wrong_setting_is_told_without_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    output = engine(tmp_path)
    assert output.startswith("Error: [INVALID_SETTING]")
    assert told in output
    assert "hush" not in output


def test_a_data_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "is a file" in engine(tmp_path)


def test_a_file_name_that_says_no_format_is_told(tmp_path: Path) -> None:
    model = tmp_path / "shop.yaml"
    model.write_text(MODEL)
    words = ("query", "--model", str(model), "--source", "duckdb:", "SELECT Notes FROM shop", "-o")
    assert "[UNKNOWN_FORMAT]" in outcome(*words, str(tmp_path / "notes.xyz"))
    assert "[NO_SUCH_FOLDER]" in outcome(*words, str(tmp_path / "nothere" / "notes.csv"))
