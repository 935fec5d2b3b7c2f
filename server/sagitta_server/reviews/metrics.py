"""What reviews do, in the words of Prometheus: how long imports and previews take, how launches end, who was asked."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from sagitta_server.observability.metrics import BUCKETS, PROCESS
from sagitta_server.reviews.store.tables import SESSIONS
from sagitta_server.state import Database

IMPORTS = Histogram(
    "sagitta_review_import_seconds", "Imports by environment, from their start to their end.", ("environment",),
    buckets=BUCKETS, registry=PROCESS,
)  # fmt: skip
PREVIEWS = Histogram(
    "sagitta_review_preview_seconds", "Compilations by strategy (`none` where one failed) and outcome.",
    ("strategy", "outcome"), buckets=BUCKETS, registry=PROCESS,
)  # fmt: skip
LAUNCHES = Counter(
    "sagitta_review_launches", "Runs that have ended, by environment and outcome.", ("environment", "outcome"),
    registry=PROCESS,
)  # fmt: skip
AI_CALLS = Counter(
    "sagitta_review_ai_calls", "Calls of an AI provider by outcome (`ok`, `failed`).", ("outcome",), registry=PROCESS
)


class ReviewCollector(Collector):
    """Counts the sessions when somebody looks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Yields the sessions of all owners by readiness."""
        query = select(SESSIONS.c.readiness_state, func.count()).group_by(SESSIONS.c.readiness_state)
        with self._database.read() as connection:
            counted = connection.execute(query).all()
        family = GaugeMetricFamily("sagitta_review_sessions", "Reviews by readiness.", labels=("readiness",))
        for readiness, number in counted:
            family.add_metric((readiness,), number)
        yield family
