"""Which day it is, over Flight SQL as over gRPC."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import duckdb
from sagitta_server.auth import KEY_HOLDER
from sagitta_server.flight.sessions import SessionContext
from sagitta_server.flight.statements import Asked, Models, Statements

from tests.server.flight.conftest import Start


def test_today_is_the_day_in_the_models_zone_also_for_plans_that_are_kept(start: Start, tmp_path: Path) -> None:
    model = tmp_path / "shop.yaml"
    dated = model.read_text(encoding="utf-8").replace(
        "      Amount:", "      Day: {code: day, abstractType: date}\n      Amount:"
    )
    model.write_text(f"{dated}settings: {{defaultTimezone: Pacific/Kiritimati}}\n", encoding="utf-8")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("ALTER TABLE orders ADD COLUMN day DATE")
    engine = start()
    statements, models = Statements(engine.queries), Models("sagitta", engine.models.served(), KEY_HOLDER)
    today = {"field": "Orders.Day", "op": "relative", "value": {"unit": "day", "count": 1, "direction": "future"}}
    query = json.dumps({"select": {"measures": ["Revenue"]}, "where": [today]})
    days = []
    for minute in (9 * 60 + 59, 10 * 60):  # the day begins there at ten o'clock UTC
        now = dt.datetime(2025, 2, 9, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)
        plan = statements.plan(Asked(query, (), SessionContext(), now), models)
        assert plan.compiled is not None
        days.append(re.findall(r"'(2025-[\d-]+)'", plan.compiled.sql)[0])
    assert days == ["2025-02-09", "2025-02-10"]
