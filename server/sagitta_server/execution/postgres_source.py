"""PostgreSQL behind its ADBC driver, with snapshots that several connections read together."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import adbc_driver_manager as adbc
import pyarrow as pa

from sagitta_server.execution.adbc_source import AdbcSource, told
from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.snapshots import HeldSnapshot, Snapshot, SnapshotGoneError
from sagitta_server.execution.source import SourceError
from sagitta_server.execution.stream import ResultStream

BEGIN = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
CONTENT = "SELECT txid_current_snapshot()::text"
_NAME = re.compile(r"[0-9A-F]+(?:-[0-9A-F]+)+")
_UNKNOWN = re.compile(r'invalid snapshot identifier|snapshot "[^"]*" does not exist|could not import the requested')


class PostgresSource(AdbcSource):
    """A PostgreSQL database."""

    def hold_snapshot(self, sql: str) -> HeldSnapshot:
        """See `SnapshotSource.hold_snapshot`; the snapshot is held by a connection outside of the pool."""
        connection = None
        try:
            connection = self._open()
            _run(connection, "SET idle_in_transaction_session_timeout = 0")  # whoever holds it knows how long
            _run(connection, BEGIN)
            snapshot = Snapshot(_text(connection, "SELECT pg_export_snapshot()"), _text(connection, CONTENT))
            _run(connection, f"SELECT FROM ({sql}) AS held LIMIT 0")  # planning it locks its tables
        except (adbc.Error, pa.ArrowException) as error:
            if connection is not None:
                _close(connection)
            raise told(error) from error
        held = connection
        return HeldSnapshot(snapshot, lambda: _close(held))

    def at(self, snapshot: Snapshot) -> _At:
        """See `SnapshotSource.at`."""
        return _At(self._execute_prepared, snapshot)

    def _execute_prepared(self, sql: str, token: CancelToken, prepare: Callable[[Any], None]) -> ResultStream:
        return self._execute(sql, token, self._driver.statement, prepare)


@dataclass(frozen=True, slots=True)
class _At:
    """Statements in one snapshot, each in a transaction and on a connection of its own."""

    run: Callable[[str, CancelToken, Callable[[Any], None]], ResultStream]
    snapshot: Snapshot

    def execute(
        self, sql: str, *, timeout_seconds: float | None = None, token: CancelToken | None = None
    ) -> ResultStream:
        return self.run(sql, token or CancelToken(timeout_seconds), self._enter)

    def _enter(self, connection: Any) -> None:
        """Takes the snapshot over, and makes sure that it is the one that was meant."""
        name = self.snapshot.name
        if not _NAME.fullmatch(name):
            raise SnapshotGoneError("This is no snapshot of PostgreSQL.")
        try:
            _run(connection, BEGIN)
            _run(connection, f"SET TRANSACTION SNAPSHOT '{name}'")
            content = _text(connection, CONTENT)
        except adbc.Error as error:
            if _UNKNOWN.search(str(error)):
                raise SnapshotGoneError("The snapshot is gone.") from error
            raise
        if content != self.snapshot.content:
            raise SnapshotGoneError("The snapshot is gone; its name was given to another one.")


def _run(connection: Any, sql: str) -> None:
    with closing(adbc.AdbcStatement(connection)) as statement:
        statement.set_sql_query(sql)
        statement.execute_update()


def _text(connection: Any, sql: str) -> str:
    with closing(adbc.AdbcStatement(connection)) as statement:
        statement.set_sql_query(sql)
        handle, _ = statement.execute_query()
        with pa.RecordBatchReader._import_from_c(handle.address) as reader:  # noqa: SLF001
            value = reader.read_all().column(0)[0].as_py()
    if not isinstance(value, str):
        raise SourceError("The warehouse names no snapshot.")
    return value


def _close(connection: Any) -> None:
    with suppress(adbc.Error, RuntimeError):
        connection.close()
