"""The table of the state database that all replicas share: when each physical table was refreshed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

from sagitta_server.state.base import Base

heartbeats = Table(
    "table_heartbeats",
    Base.metadata,
    Column("table_ref", String(800), primary_key=True, comment="database.schema.table, case folded"),
    Column("refreshed_at", BigInteger, nullable=False, comment="newest reported refresh, microseconds since 1970 UTC"),
    Column("generation", BigInteger, nullable=False, comment="how many refreshes were reported; never goes back"),
)
