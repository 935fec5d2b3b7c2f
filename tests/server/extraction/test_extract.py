"""Extraction as its users run it: the command, a real server, real files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from pyarrow import flight
from sagitta_server.extraction.job import ExtractionError, Job

from tests.server.flight.conftest import Start, start  # noqa: F401 - the fixture

PAIRS = 'SELECT a."Id" AS x, b."Id" AS y FROM shop."Orders" a JOIN shop."Orders" b ON 1 = 1'
SAGITTA = str(Path(sys.executable).with_name("sagitta"))


@pytest.fixture
def server(start: Start) -> str:  # noqa: F811
    location = start().flight_location
    assert location is not None
    return location


def job(server: str, folder: Path, query: str = PAIRS, kind: str = "parquet", partitions: int = 4) -> Job:
    return Job(query, folder, kind, partitions=partitions, server=server, token=None, retries=3)


def quiet(_rows: int, _total: int | None) -> None:
    """Shows nothing."""


def read(folder: Path, kind: str) -> pa.Table:
    files = sorted(folder.glob(f"*.{kind}"))
    match kind:
        case "parquet":
            return pa.concat_tables(pa.parquet.read_table(file) for file in files)
        case "arrow":
            return pa.concat_tables(pa.ipc.open_stream(file.read_bytes()).read_all() for file in files)
        case _:
            return pa.concat_tables(pa.csv.read_csv(file) for file in files)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv"])
def test_the_parts_together_are_the_whole(server: str, tmp_path: Path, kind: str) -> None:
    manifest = job(server, tmp_path / "out", kind=kind).run(4, quiet)
    table = read(tmp_path / "out", kind)
    assert manifest.rows == table.num_rows == 1_000_000
    assert all(part.rows for part in manifest.parts)
    assert table.group_by(["x", "y"]).aggregate([]).num_rows == 1_000_000


def test_a_killed_job_goes_on_where_it_ended(server: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [SAGITTA, "extract", PAIRS, "--out", str(out), "--partitions", "12", "--jobs", "1", "--server", server]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not finished(out) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = {name: (out / name).stat().st_mtime_ns for name in finished(out)}
    assert 0 < len(before) < 12
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "1,000,000 rows in 12 files" in done.stdout
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    assert read(out, "parquet").num_rows == 1_000_000


def finished(out: Path) -> list[str]:
    try:
        parts = json.loads((out / "manifest.json").read_text())["parts"]
    except OSError:
        return []
    return [part["file"] for part in parts if part["rows"] is not None]


def test_a_failing_part_is_tried_again_alone(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulled: list[int] = []
    original = Job._pull_once

    def flaky(self: Job, part: Any, count: Any) -> Any:
        pulled.append(part.index)
        if part.index == 2 and pulled.count(2) == 1:
            raise flight.FlightUnavailableError("the connection was lost")
        return original(self, part, count)

    monkeypatch.setattr(Job, "_pull_once", flaky)
    assert job(server, tmp_path / "out").run(2, quiet).rows == 1_000_000
    assert sorted(pulled) == [0, 1, 2, 2, 3]


def test_a_part_that_never_succeeds_keeps_the_others(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Job._pull_once

    def broken(self: Job, part: Any, count: Any) -> Any:
        if part.index == 3:
            raise flight.FlightUnavailableError("the connection was lost")
        return original(self, part, count)

    monkeypatch.setattr(Job, "_pull_once", broken)
    monkeypatch.setattr("sagitta_server.extraction.job.FIRST_WAIT_SECONDS", 0.01)
    with pytest.raises(ExtractionError, match="part-4-of-4"):
        job(server, tmp_path / "out").run(1, quiet)
    assert len(finished(tmp_path / "out")) == 3
    monkeypatch.setattr(Job, "_pull_once", original)
    assert job(server, tmp_path / "out").run(1, quiet).rows == 1_000_000


def test_files_that_lost_rows_are_noticed(server: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job(server, out).run(4, quiet)
    victim = out / "part-2-of-4.parquet"
    pa.parquet.write_table(pa.parquet.read_table(victim).slice(1), victim)
    with pytest.raises(ExtractionError, match="part-2-of-4"):
        job(server, out).run(4, quiet)


def test_another_job_in_the_same_folder_is_refused(server: str, tmp_path: Path) -> None:
    job(server, tmp_path / "out").run(4, quiet)
    with pytest.raises(ExtractionError, match="another extraction"):
        job(server, tmp_path / "out", partitions=2).run(4, quiet)


def test_a_mistake_in_the_query_is_told_with_its_code(server: str, tmp_path: Path) -> None:
    with pytest.raises(ExtractionError, match="UNKNOWN_SELECT_ITEM"):
        job(server, tmp_path / "out", 'SELECT "Nope" FROM shop').run(4, quiet)
