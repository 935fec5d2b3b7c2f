"""Which polled queries were cancelled, where every replica sees it: the one that is told may not be the one running."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Float, String, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from sagitta_server.state import Base, Database

CANCELLED_QUERIES = Table(
    "semantic_cancelled_queries",
    Base.metadata,
    Column("query_id", String(64), primary_key=True),
    Column("cancelled_at", Float(53), nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class CancelledQueries:
    """Notes of cancels in the state database; moments are seconds since 1970 UTC."""

    database: Database

    def note(self, query_id: str, now: float) -> None:
        """Keeps that a query was cancelled; once more changes nothing."""
        insert: Any = postgresql.insert if self.database.dialect == "postgresql" else sqlite.insert
        statement = insert(CANCELLED_QUERIES).values(query_id=query_id, cancelled_at=now).on_conflict_do_nothing()
        with self.database.write() as connection:
            connection.execute(statement)

    def among(self, query_ids: Collection[str]) -> frozenset[str]:
        """Those of these queries that were cancelled."""
        query = select(CANCELLED_QUERIES.c.query_id).where(CANCELLED_QUERIES.c.query_id.in_(query_ids))
        with self.database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def forget_before(self, moment: float) -> None:
        """Removes notes whose tickets have ended."""
        with self.database.write() as connection:
            connection.execute(delete(CANCELLED_QUERIES).where(CANCELLED_QUERIES.c.cancelled_at < moment))
