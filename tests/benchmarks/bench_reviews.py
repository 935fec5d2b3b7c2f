"""1,000 reviews of 200 fields, listed and read; and 50 owners who edit their reviews on PostgreSQL for a minute.

No lost update, no deadlock, no failure is allowed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sagitta_server.rpc.reviews import convert as review_convert
from server.execution.postgres import start_postgres
from server.reviews.crowd import edit_together, fill, timed
from server.reviews.world import ALICE, world

from benchmarks.harness import Bench

SESSIONS, FIELDS, OWNERS = 1000, 200, 50
MINUTE = float(os.environ.get("SAGITTA_BENCH_CROWD_SECONDS", "60"))
LIMIT_MS = 50.0


def run(bench: Bench) -> None:
    """Measures both."""
    for database in ("sqlite", "postgresql"):
        _reading(bench, database)
    _crowd(bench)


def _reading(bench: Bench, database: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = start_postgres(Path(folder) / "pg") if database == "postgresql" else None
        if database == "postgresql" and server is None:
            bench.console.print("  PostgreSQL is not installed: its part is left out")
            return
        try:
            with world(Path(folder), server.uri if server else "") as engine:
                service = engine.reviews.service
                ids = fill(engine, "alice", SESSIONS, FIELDS)
                listing = timed(lambda: service.list_sessions(ALICE, None, None, 1, 100), 40)
                chosen = iter(ids)
                reading = timed(lambda: review_convert.detail(service.get_session(ALICE, next(chosen))), 40)
        finally:
            if server is not None:
                server.stop()
    bench.report(f"{database}: list 100 of {SESSIONS} sessions, median", listing[20], "ms", limit=LIMIT_MS)
    bench.report(f"{database}: get one with {FIELDS} fields as a message, median", reading[20], "ms", limit=LIMIT_MS)
    bench.report(f"{database}: get one, 95th percentile", reading[37], "ms")


def _crowd(bench: Bench) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = start_postgres(Path(folder) / "pg")
        if server is None:
            return
        try:
            with world(Path(folder), server.uri) as engine:
                crowd = edit_together(engine.reviews.service, OWNERS, MINUTE)
        finally:
            server.stop()
    bench.report(f"{OWNERS} owners on PostgreSQL: edits per second", crowd.edits / MINUTE, "1/s")
    bench.report(f"{OWNERS} owners on PostgreSQL: lost updates", crowd.lost, "", limit=0)
    bench.report(f"{OWNERS} owners on PostgreSQL: failures", len(crowd.errors), "", limit=0)
    for error in crowd.errors[:5]:
        bench.console.print(f"    {error[:200]}")
