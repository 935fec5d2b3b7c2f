"""Extraction from a PostgreSQL that somebody writes to: every file shows the same moment, also after a kill."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
from sagitta_server.extraction.job import ExtractionError, Job

from tests.server.execution.conftest import postgres  # noqa: F401 - the fixture
from tests.server.extraction.test_extract import SAGITTA, finished, quiet
from tests.server.flight.test_snapshots import ROWS, Start, shop, start, until, writer  # noqa: F401 - the fixtures


def job(engine: Any, out: Path, partitions: int = 4) -> Job:
    return Job(ROWS, out, "parquet", partitions=partitions, server=engine.flight_location, token=None, retries=3)


def ids(out: Path) -> list[int]:
    tables = [pa.parquet.read_table(file) for file in out.glob("*.parquet")]
    return sorted(pa.concat_tables(tables).column("Orders.Id").to_pylist())


def assert_one_moment(out: Path) -> None:
    """At every moment there are 5,000 rows with numbers that follow each other."""
    found = ids(out)
    assert found == list(range(found[0], found[0] + 5000))


def test_all_parts_show_one_moment(shop: str, start: Start, tmp_path: Path) -> None:  # noqa: F811
    engine = start()
    with writer(shop) as commits:
        until(lambda: commits[0] > 3)
        assert job(engine, tmp_path / "out").run(1, quiet).rows == 5000
    assert_one_moment(tmp_path / "out")


def killed_in_the_middle(engine: Any, out: Path) -> list[str]:
    command = [SAGITTA, "extract", ROWS, "--out", out, "--partitions", "40", "--jobs", "1"]
    running = subprocess.Popen([*command, "--server", engine.flight_location], stdout=subprocess.DEVNULL)
    until(lambda: bool(finished(out)), 60)
    running.send_signal(signal.SIGKILL)
    running.wait()
    names = finished(out)
    assert 0 < len(names) < 40
    return names


def test_a_killed_job_goes_on_with_the_moment_at_which_it_began(
    shop: str,  # noqa: F811
    start: Start,  # noqa: F811
    tmp_path: Path,
) -> None:
    engine, out = start(), tmp_path / "out"
    with writer(shop):
        before = {name: (out / name).stat().st_mtime_ns for name in killed_in_the_middle(engine, out)}
        time.sleep(0.3)
        assert job(engine, out, 40).run(4, quiet).rows == 5000
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    assert_one_moment(out)


def test_when_the_snapshot_is_gone_it_goes_on_only_if_nobody_wrote(
    shop: str,  # noqa: F811
    start: Start,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sagitta_server.extraction.job.FIRST_WAIT_SECONDS", 0.01)
    engine = start()
    quietly, written = tmp_path / "quietly", tmp_path / "written"
    for out in (quietly, written):
        killed_in_the_middle(engine, out)
    engine.stop()
    engine = start()
    assert job(engine, quietly, 40).run(4, quiet).rows == 5000
    assert_one_moment(quietly)
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("UPDATE orders SET note = 'other' WHERE id = 17")
    with pytest.raises(ExtractionError, match="another moment"):
        job(engine, written, 40).run(4, quiet)
    assert job(engine, written, 40).run(4, quiet, restart=True).rows == 5000
