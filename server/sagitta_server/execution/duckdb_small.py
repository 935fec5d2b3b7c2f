"""Small statements on a DuckDB file that nobody can change: kept prepared, and run by the thread that asks.

Of the processor time that a small query costs DuckDB, a third goes into reading and planning its text, and another
third into waking threads that have nothing to share: work is divided by row groups, and a small table has one. So a
statement that comes again is looked at once. If it reads nothing but small tables of the file itself, it is prepared
in a second instance of the same file that has one thread, and from then on only run.

A prepared plan stands for the content that it was made on (ranges of values, numbers of rows). That is why only a file
that was opened read-only counts, and in it only tables: what a view reads from other files may change at any time.
Functions of the clock and random numbers are computed anew by every run.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import _duckdb
import adbc_driver_manager as adbc
import duckdb
import pyarrow as pa

from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.stream import Shape, shape_of

_LOG = logging.getLogger(__name__)

ROW_GROUP = 122_880
"""Rows of which DuckDB makes one piece of work: tables up to this size are not divided."""
MOST_ROWS = 1_000_000
"""Rows that an operator of a small statement may be expected to give; beyond, more threads are worth waking."""
MOST_RESULT_ROWS = 8192
"""Rows that its result may be expected to have: it is read to the end before anybody sees it."""
REMEMBERED = 1024
"""Statements whose size is remembered."""
KEPT_STATEMENTS = 64
"""Statements that a connection keeps prepared."""
_SCAN = "SEQ_SCAN"
_LEAVES = frozenset({_SCAN, "CTE_SCAN", "REC_CTE_SCAN", "DELIM_SCAN", "DUMMY_SCAN"})
"""Operators that read a table or what another operator gave. Not among them: rows that were made while planning, which
may come from anywhere."""


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a statement."""

    table: Any
    """A `pyarrow.Table`."""
    shape: Shape


class SmallStatements:
    """Runs the small ones among statements that come again; every method may be called from any thread."""

    def __init__(self, database: Any, path: str, options: Mapping[str, str], connections: int) -> None:
        """Opens the second instance.

        Args:
            database: the `duckdb.DuckDBPyConnection` that tells what a statement reads.
            path: its file.
            options: its settings; the number of threads is one whatever they say.
            connections: idle ones that are kept.
        """
        self._database = database
        self._instance = adbc.AdbcDatabase(
            driver=_duckdb.__file__,
            entrypoint="duckdb_adbc_init",
            path=path,
            **{**options, "access_mode": "read_only", "threads": "1"},
        )
        self._connections = connections
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._leased = 0
        self._small: OrderedDict[str, bool | None] = OrderedDict()
        """By text: None for one that was seen once."""
        self._closed = False

    def rows(self, sql: str, token: CancelToken) -> Rows | None:
        """Returns the rows of a small statement.

        None for any other statement, for one that is seen for the first time, and for one that fails: run in the usual
        way it gives its rows, or fails in the usual words.
        """
        if not self._is_small(sql):
            return None
        try:
            with self._lease() as connection, _interruptible(connection.native, token):
                token.raise_if_cancelled()
                return connection.rows(sql)
        except (adbc.Error, pa.ArrowException, OSError) as error:
            _LOG.debug("a small statement failed: %s", error)
            if not token.cancelled:
                self._forget(sql)
            return None

    def close(self) -> None:
        """Closes what is idle now, the rest when it is given back, and the instance with the last."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._close_unused()

    def _is_small(self, sql: str) -> bool:
        with self._lock:
            if sql in self._small:
                self._small.move_to_end(sql)
                if (known := self._small[sql]) is not None:
                    return known
            else:
                self._remember(sql, None)
                return False
        small = _reads_little(self._database, sql)
        with self._lock:
            self._remember(sql, small)
        return small

    def _remember(self, sql: str, small: bool | None) -> None:
        self._small[sql] = small
        if len(self._small) > REMEMBERED:
            self._small.popitem(last=False)

    def _forget(self, sql: str) -> None:
        with self._lock:
            self._remember(sql, False)

    @contextmanager
    def _lease(self) -> Iterator[_Connection]:
        with self._lock:
            self._leased += 1
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is None:
                connection = _Connection(adbc.AdbcConnection(self._instance))
            yield connection
            with self._lock:
                if not self._closed and len(self._idle) < self._connections:
                    self._idle.append(connection)
                    connection = None
        finally:
            if connection is not None:
                connection.close()
            with self._lock:
                self._leased -= 1
            self._close_unused()

    def _close_unused(self) -> None:
        with self._lock:
            if self._closed and not self._leased:
                self._instance.close()  # a second call does nothing


@contextmanager
def _interruptible(native: Any, token: CancelToken) -> Iterator[None]:
    """Interrupts what runs on a connection when its token is cancelled, and nothing that runs there later."""
    lock, over = threading.Lock(), False

    def interrupt() -> None:
        with lock:
            if not over:
                with suppress(adbc.Error):
                    native.cancel()

    remove = token.add_callback(interrupt)
    try:
        yield
    finally:
        remove()
        with lock:  # a callback that has begun is waited for
            over = True


@dataclass(slots=True, eq=False)
class _Connection:
    """A connection with its prepared statements; leased to one statement at a time."""

    native: Any
    """The `AdbcConnection`."""
    _prepared: OrderedDict[str, _Prepared] = field(default_factory=OrderedDict)

    def rows(self, sql: str) -> Rows:
        """Runs a statement to its end."""
        prepared = self._statement(sql)
        handle, _ = prepared.native.execute_query()
        with pa.RecordBatchReader._import_from_c(handle.address) as reader:  # noqa: SLF001
            table = reader.read_all()
        if prepared.shape is None:
            prepared.shape = shape_of(table.schema)
        return Rows(table, prepared.shape)

    def close(self) -> None:
        for prepared in self._prepared.values():
            with suppress(adbc.Error):
                prepared.native.close()
        with suppress(adbc.Error):
            self.native.close()

    def _statement(self, sql: str) -> _Prepared:
        if (known := self._prepared.get(sql)) is not None:
            self._prepared.move_to_end(sql)
            return known
        statement = adbc.AdbcStatement(self.native)
        try:
            statement.set_sql_query(sql)
            statement.prepare()
        except adbc.Error:
            statement.close()  # a connection with an open statement cannot be closed
            raise
        prepared = self._prepared[sql] = _Prepared(statement)
        if len(self._prepared) > KEPT_STATEMENTS:
            self._prepared.popitem(last=False)[1].native.close()
        return prepared


@dataclass(slots=True, eq=False)
class _Prepared:
    """A statement that is read and planned, and what its rows look like since they were seen."""

    native: Any
    """The `AdbcStatement`."""
    shape: Shape | None = None


def _reads_little(database: Any, sql: str) -> bool:
    """Whether a statement reads small tables of the file only, and makes little of them."""
    try:
        with database.cursor() as cursor:
            asked = cursor.execute(
                "SELECT database_name || '.' || schema_name || '.' || table_name, estimated_size "
                "FROM duckdb_tables() WHERE database_name = current_database() AND NOT temporary"
            ).fetchall()
            statements = cursor.extract_statements(sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                return False
            plan = json.loads(cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}").fetchall()[-1][1])
    except (duckdb.Error, ValueError) as error:
        _LOG.debug("the size of a statement is unknown: %s", error)
        return False
    return _is_little(plan, {_plain(table): rows for table, rows in asked})


def _is_little(plan: list[dict[str, Any]], tables: Mapping[str, int]) -> bool:
    operators = list(_operators(plan))
    leaves = [operator for operator in operators if not operator["children"]]
    scans = [leaf for leaf in leaves if leaf["name"] == _SCAN]
    if not scans or any(leaf["name"] not in _LEAVES for leaf in leaves):
        return False
    return (
        max(tables.get(_plain(scan["extra_info"].get("Table", "")), ROW_GROUP + 1) for scan in scans) <= ROW_GROUP
        and max(map(_expected_rows, operators)) <= MOST_ROWS
        and _expected_rows(plan[0]) <= MOST_RESULT_ROWS
    )


def _plain(table: str) -> str:
    """A table's full name as plans and the catalog both write it: plans quote what is no lower-case word."""
    return table.replace('"', "")


def _operators(plan: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for operator in plan:
        yield operator
        yield from _operators(operator["children"])


def _expected_rows(operator: dict[str, Any]) -> int:
    """DuckDB's estimate; where it gives none (a limit, a cross product) as many as the inputs allow."""
    info = operator["extra_info"]
    rows = int(info.get("Estimated Cardinality", 0)) or math.prod(map(_expected_rows, operator["children"]))
    limit = str(info.get("Limit", ""))
    return min(rows, int(limit)) if limit.isdigit() else rows
