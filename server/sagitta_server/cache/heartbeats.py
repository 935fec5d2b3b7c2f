"""What loaders report: which physical table was refreshed when. Kept where every replica can read it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from sagitta_server.cache.key import folded
from sagitta_server.cache.tables import heartbeats
from sagitta_server.state.database import Database

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def to_micros(moment: dt.datetime) -> int:
    """Returns microseconds since 1970 UTC of an aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> dt.datetime:
    """Returns the aware UTC moment."""
    return _EPOCH + micros * _MICROSECOND


@dataclass(frozen=True, slots=True)
class TableState:
    """The newest refresh of a table, and a number that changes with every one.

    A result remembers the generations that it was computed from; when one of them has changed, the result is old,
    whichever replica took the heartbeat and whatever the clocks say.
    """

    refreshed_at: dt.datetime
    generation: int


@dataclass(frozen=True, slots=True)
class HeartbeatStore:
    """Reads and writes heartbeats; names of tables are folded."""

    database: Database

    def read(self, tables: Iterable[str]) -> Mapping[str, TableState]:
        """Returns the state of those tables that have ever been refreshed, by folded name."""
        wanted = {folded(table) for table in tables}
        statement = select(heartbeats).where(heartbeats.c.table_ref.in_(wanted))
        with self.database.read() as connection:
            return {
                row.table_ref: TableState(from_micros(row.refreshed_at), row.generation)
                for row in connection.execute(statement)
            }

    def record(self, table: str, refreshed_at: dt.datetime) -> bool:
        """Notes a refresh; returns False when a newer one is already known.

        A refresh at the very same moment counts: loaders often report whole seconds.
        """
        insert: Any = postgresql.insert if self.database.dialect == "postgresql" else sqlite.insert
        statement = insert(heartbeats).values(
            table_ref=folded(table), refreshed_at=to_micros(refreshed_at), generation=1
        )
        statement = statement.on_conflict_do_update(
            index_elements=[heartbeats.c.table_ref],
            set_={"refreshed_at": statement.excluded.refreshed_at, "generation": heartbeats.c.generation + 1},
            where=statement.excluded.refreshed_at >= heartbeats.c.refreshed_at,
        ).returning(heartbeats.c.generation)
        with self.database.write() as connection:
            return connection.execute(statement).first() is not None
