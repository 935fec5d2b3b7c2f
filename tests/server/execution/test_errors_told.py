"""What a warehouse says is told without paths and without advice for who types SQL, and with what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from sagitta_server.execution import SourceError, SourceSettings, batches_of, open_source

HOLDER = "import duckdb, sys; kept = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT i AS id, md5(i::VARCHAR) AS note FROM range(1000000) t(i)")
    return path


def run(uri: str, sql: str) -> None:
    source = open_source("shop", SourceSettings(uri=uri))
    try:
        stream = source.execute(sql)
        try:
            list(batches_of(stream))
        finally:
            stream.close()
    finally:
        source.close()


def told(uri: str, sql: str) -> str:
    with pytest.raises(SourceError) as refused:
        run(uri, sql)
    text = str(refused.value)
    assert "https:" not in text
    assert "/tmp" not in text
    return text


def test_a_table_that_is_gone(database: Path) -> None:
    assert "Compare the tables" in told(f"duckdb:///{database}", "SELECT * FROM visits")


def test_a_type_that_does_not_fit(database: Path) -> None:
    text = told(f"duckdb:///{database}", "SELECT SUM(note) FROM orders")
    assert "Compare the columns and types" in text
    assert "Candidate" not in text


def test_memory_that_is_full(database: Path) -> None:
    uri = f"duckdb:///{database}?memory_limit=20MB&max_temp_directory_size=1MB"
    text = told(uri, "SELECT note, COUNT(*) FROM orders GROUP BY note ORDER BY 2")
    assert "Out of Memory" in text
    assert "memory_limit" in text
    assert "Possible solutions" not in text


def test_a_file_that_another_process_writes(database: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        assert "Another process has the database open" in told(f"duckdb:///{database}", "SELECT 1")
