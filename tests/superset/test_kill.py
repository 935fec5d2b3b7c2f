"""Killed at a write transaction or in the middle of a call of Superset, a review loses nothing and runs once.

`KILLS=all` tries every point; by default every point from sending the run to the end, and every ninth before.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sagitta_server.reviews.store import tables
from sagitta_server.state import open_database
from server.reviews.world import make_shop
from sqlalchemy import func, select

from superset.victim import KILLED, TRACE

pytestmark = pytest.mark.xdist_group("superset")

EXECUTE = "POST /api/v1/sqllab/execute/"
EVERY = 9


@pytest.fixture
def victim(superset):
    """Reviews in a process of its own; returns how that ended."""
    paths = ["compiler", "server", "gateway", "protos/gen", "tests"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(root / p) for p in paths)}
    command = [sys.executable, "-m", "superset.victim"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as mother:

        def run(folder: Path, point: int) -> int:
            mother.stdin.write(f"{folder} {superset.base_url} {superset.links['dashboard_permalink']} {point}\n")
            mother.stdin.flush()
            return int(mother.stdout.readline())

        yield run
        mother.stdin.close()


def check(folder, api):
    """One session, one run, one of everything that there should be one of, also in Superset."""
    database = open_database(f"sqlite:///{folder}/state.db", migrate=False)
    try:
        with database.read() as connection:

            def rows(table, *columns):
                return connection.execute(select(*(table.c[c] for c in columns))).all()

            assert rows(tables.SESSIONS, "status", "readiness_state") == [("completed", "completed")]
            ((run_id, status, count),) = rows(tables.RUNS, "run_context_id", "launch_status", "row_count")
            assert (status, count) == ("success", 43)
            assert [kind for (kind,) in rows(tables.AUDIT, "kind")] == ["launch.requested", "launch.finished"]
            assert connection.execute(select(func.count()).select_from(tables.TASKS)).scalar_one() == 0
            assert len(rows(tables.PREVIEWS, "preview_id")) == 1
            fields = rows(tables.FIELDS, "field_name", "field_kind")
            assert len(fields) == len(set(fields)) == 14
    finally:
        database.close()
    query = f"(filters:!((col:sql,opr:ct,value:'{run_id}')),columns:!(id,status,rows))"
    sent = api.call("GET", "/api/v1/query/", params={"q": query})["result"]
    assert [(q["status"], q["rows"]) for q in sent] == [("success", 43)]


@pytest.mark.timeout(1800)
def test_a_kill_at_any_point_loses_nothing_and_runs_once(tmp_path, victim, api):
    shop = tmp_path / "shop"
    shop.mkdir()
    make_shop(shop)
    whole = tmp_path / "whole"
    shutil.copytree(shop, whole)
    assert victim(whole, 0) == 0
    check(whole, api)
    trace = (whole / TRACE).read_text().splitlines()
    launched = trace.index(f"call {EXECUTE}") + 1
    every = 1 if os.environ.get("KILLS") == "all" else EVERY
    points = [p for p in range(1, len(trace) + 1) if p % every == 0 or launched <= p <= launched + 2]
    killed = 0
    for point in points:
        folder = tmp_path / f"at-{point}"
        shutil.copytree(shop, folder)
        ended = victim(folder, point)
        assert ended in {KILLED, 0}, f"at point {point}: {trace[point - 1]}"  # polls vary from run to run
        killed += ended == KILLED
        assert victim(folder, 0) == 0, f"after point {point}: {trace[point - 1]}"
        check(folder, api)
    assert killed >= len(points) - 3
