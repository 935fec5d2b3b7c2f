"""Killed at every beginning and ending of a write transaction, the process loses nothing and does nothing twice."""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from harness.share import SHARE
from sagitta_server.reviews.store import tables
from sagitta_server.state import open_database
from server.reviews.victim import KILLED
from server.reviews.world import make_shop
from sqlalchemy import func, select

PARTS = 4
MOST_POINTS = 160


@pytest.fixture
def victim():
    """Runs the review in a process of its own; returns how that ended."""
    paths = ["compiler", "server", "gateway", "protos/gen", "tests"]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(root / p) for p in paths)}
    command = [sys.executable, "-m", "server.reviews.victim"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as mother:

        def run(folder: Path, url: str, point: int) -> int:
            mother.stdin.write(f"{folder} {url} {point}\n")
            mother.stdin.flush()
            return int(mother.stdout.readline())

        yield run
        mother.stdin.close()


def check(url: str) -> None:
    """One session, one run, one of everything that there should be one of."""
    database = open_database(url, migrate=False)
    try:
        with database.read() as connection:

            def rows(table, *columns):
                return connection.execute(select(*(table.c[c] for c in columns))).all()

            def count(table):
                return connection.execute(select(func.count()).select_from(table)).scalar_one()

            assert rows(tables.SESSIONS, "status", "readiness_state") == [("completed", "completed")]
            assert rows(tables.RUNS, "launch_status", "row_count") == [("success", 2)]
            assert [kind for (kind,) in rows(tables.AUDIT, "kind")] == ["launch.requested", "launch.finished"]
            assert count(tables.TASKS) == 0
            assert count(tables.PREVIEWS) == 1
            assert rows(tables.ARTIFACTS, "artifact_type") == [("run_summary",)]
            fields = rows(tables.FIELDS, "field_name", "field_kind")
            assert len(fields) == len(set(fields)) == 4
            sequences = [s for (s,) in rows(tables.EVENTS, "sequence")]
            assert sorted(sequences) == list(range(1, len(sequences) + 1))
    finally:
        database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_state(request):
    """Gives a state database of its own for a folder; those of PostgreSQL are copies of one that is migrated."""
    if request.param == "sqlite":
        yield lambda folder: f"sqlite:///{folder}/state.db"
        return
    server = request.getfixturevalue("postgres")
    base, template = server.uri.removesuffix("postgres"), f"kill_{uuid.uuid4().hex}"
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {template}")
        open_database(base + template).close()

        def copy(folder):
            name = f"{template}_{folder.name.replace('-', '_')}"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            return base + name

        yield copy


@pytest.mark.parametrize("part", [part for part in range(PARTS) if SHARE.holds(part)])
@pytest.mark.timeout(900)
def test_a_kill_at_any_commit_point_loses_and_doubles_nothing(tmp_path, victim, fresh_state, part):
    shop = tmp_path / "shop"
    shop.mkdir()
    make_shop(shop)
    killed = 0
    for point in range(1 + part, MOST_POINTS, PARTS):
        folder = tmp_path / f"at-{point}"
        shutil.copytree(shop, folder)
        url = fresh_state(folder)
        ended = victim(folder, url, point)
        if ended == 0:  # the review was done before this point
            break
        assert ended == KILLED, f"at point {point}"
        killed += 1
        assert victim(folder, url, 0) == 0, f"after point {point}"
        check(url)
    assert killed >= 3
