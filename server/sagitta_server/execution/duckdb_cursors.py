"""Cursors of the embedded DuckDB that are used again, each with the statements that it has read before.

A relation runs anew whenever it is asked for rows, so one that is kept saves what reading the text costs (the parser
and the binder, a third of a small query), never the answer. A statement is kept only when it is one SELECT that DuckDB
left to be run later: then it cannot have changed the session of its cursor either, and the cursor may serve others.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import duckdb

from sagitta_server.execution.source import SourceError

KEPT_STATEMENTS = 64
"""Statements that a cursor remembers."""


@dataclass(slots=True)
class PooledCursor:
    """A connection of its own to the database; leased to one result at a time."""

    native: Any
    """The `duckdb.DuckDBPyConnection`."""
    reusable: bool = False
    """Whether the statement that it ran last left nothing behind."""
    _relations: OrderedDict[str, Any] = field(default_factory=OrderedDict)

    def relation(self, sql: str) -> Any:
        """Returns the relation of a query.

        Raises:
            duckdb.Error: DuckDB refuses the statement.
            SourceError: the statement is no query.
        """
        if (known := self._relations.get(sql)) is not None:
            self._relations.move_to_end(sql)
            self.reusable = True
            return known
        self.reusable = False
        relation = self.native.sql(sql)
        if relation is None:
            raise SourceError("The statement returns no rows; only queries are allowed.")
        if relation.sql_query() == sql:  # else it has run already, or something ran before it
            self._keep(sql, relation)
        return relation

    def close(self) -> None:
        """Closes the connection; a second call does nothing."""
        self._relations.clear()
        with suppress(duckdb.Error):
            self.native.close()

    def _keep(self, sql: str, relation: Any) -> None:
        self.reusable = True
        self._relations[sql] = relation
        if len(self._relations) > KEPT_STATEMENTS:
            self._relations.popitem(last=False)


class CursorPool:
    """The idle cursors of one database; as many are kept as statements may run at once."""

    def __init__(self, database: Any, size: int) -> None:
        self._database = database
        self._size = size
        self._lock = threading.Lock()
        self._idle: list[PooledCursor] = []
        self._closed = False

    def take(self) -> PooledCursor:
        """Returns the cursor that was used last, or a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return PooledCursor(self._database.cursor())

    def give_back(self, cursor: PooledCursor) -> None:
        """Takes a cursor back whose result is closed; one that is not reusable is closed."""
        if cursor.reusable:
            with self._lock:
                if not self._closed and len(self._idle) < self._size:
                    self._idle.append(cursor)
                    return
        cursor.close()

    def close(self) -> None:
        """Closes the idle cursors, and from now on every one that is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for cursor in idle:
            cursor.close()
