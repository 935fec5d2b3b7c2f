"""The embedded DuckDB, through its native Arrow reader.

Measured against its ADBC driver (batches of 2,048 rows, no option to change that), the native reader streams about
twice as fast; a relation is streamed, where `execute` would materialise the result first. A cursor is a connection of
its own and belongs to one result until that is closed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from sagitta_server.execution.admission import Admission, Load
from sagitta_server.execution.batches import BATCH_ROWS
from sagitta_server.execution.cancel import CancelReason, CancelToken
from sagitta_server.execution.conform import plain_schema
from sagitta_server.execution.duckdb_cursors import CursorPool, PooledCursor
from sagitta_server.execution.duckdb_small import SmallStatements
from sagitta_server.execution.open_statements import OpenStatements
from sagitta_server.execution.settings import SourceSettings
from sagitta_server.execution.source import Schema, SourceError
from sagitta_server.execution.stream import Once, ResultStream, close_quietly, result_stream

_LOG = logging.getLogger(__name__)
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:/[^\s/'\"]+){2,}")
_ADVICE = re.compile(r"\s*(?:Candidate functions:|Possible solutions:|See also https?:).*", re.DOTALL)
"""What DuckDB adds for who types SQL: lists of overloads, settings and addresses."""
_HINTS: Mapping[type[Exception], str] = {
    duckdb.OutOfMemoryException: "Ask for fewer rows or groups, or give the source more memory (option memory_limit).",
    duckdb.CatalogException: "Compare the tables of the model with those of the warehouse.",
    duckdb.BinderException: "Compare the columns and types of the model with those of the warehouse.",
}
"""What to do about an error, by its class."""
_LOCKED = "Another process has the database open for writing: end it, or let it open a copy."
_MEMORY = ":memory:"


class DuckDBSource:
    """A DuckDB database, opened read-only unless told otherwise."""

    def __init__(self, name: str, database: str, settings: SourceSettings) -> None:
        self.name = name
        self.dialect = settings.dialect or "duckdb"
        self._statements = OpenStatements(name)
        self._admission = Admission(settings.pool_size, settings.queue_size, settings.queue_timeout_seconds)
        self._database = _connect(database, settings.read_only, settings.options)
        for statement in settings.init_sql:
            self._database.execute(statement)
        self._cursors = CursorPool(self._database, settings.pool_size)
        self._small = _small_statements(self._database, database, settings)

    @property
    def running(self) -> int:
        """Statements that hold a connection now."""
        return self._admission.running

    @property
    def load(self) -> Load:
        """How busy it is now."""
        return self._admission.load

    def result_schema(self, sql: str) -> Schema:
        """Returns the schema that `execute` will stream; the statement is bound, not run."""
        cursor = self._cursors.take()
        try:
            return plain_schema(cursor.relation(sql).limit(0).to_arrow_table().schema)
        except (duckdb.Error, pa.ArrowException) as error:
            cursor.reusable = False
            raise _told(error) from error
        finally:
            self._cursors.give_back(cursor)

    def execute(
        self, sql: str, *, timeout_seconds: float | None = None, token: CancelToken | None = None
    ) -> ResultStream:
        """Starts a statement; see `Source.execute`."""
        token = token or CancelToken(timeout_seconds)
        resources = Once()
        resources.add(token.finish)
        try:
            self._admission.acquire(token)
            resources.add(self._admission.release)
            resources.add(self._statements.add(token))
            return self._start(sql, token, resources)
        except BaseException:
            resources.close()
            raise

    def _start(self, sql: str, token: CancelToken, resources: Once) -> ResultStream:
        if self._small is not None and (rows := self._small.rows(sql, token)) is not None:
            return result_stream(rows.table.to_reader(), token, _told, resources, rows.shape)
        cursor = self._cursors.take()
        resources.add(lambda: self._give_back(cursor, token))
        token.add_callback(lambda: _interrupt(cursor.native))

        def failed(error: Exception) -> SourceError:
            cursor.reusable = False
            return _told(error)

        try:
            token.raise_if_cancelled()
            if token.wants_progress:
                token.progress = _progress(cursor.native)
            reader = cursor.relation(sql).to_arrow_reader(BATCH_ROWS)
            cursor.reusable &= not token.wants_progress  # its session keeps count from now on
        except (duckdb.Error, pa.ArrowException, RuntimeError) as error:
            told = failed(error)
            raise (token.error() if token.cancelled else told) from error
        resources.add(close_quietly(reader.close))
        return result_stream(reader, token, failed, resources)

    def _give_back(self, cursor: PooledCursor, token: CancelToken) -> None:
        """After `finish` nothing interrupts the cursor any more, so whoever has it next is safe from this token."""
        token.finish()
        if token.cancelled:
            cursor.close()
        else:
            self._cursors.give_back(cursor)

    def explain(self, sql: str) -> str:
        """Returns DuckDB's physical plan."""
        cursor = self._cursors.take()
        try:
            return str(cursor.relation(sql).explain())
        except duckdb.Error as error:
            cursor.reusable = False
            raise _told(error) from error
        finally:
            self._cursors.give_back(cursor)

    def close(self) -> None:
        """Cancels what runs and closes the database."""
        self._admission.close()
        self._statements.cancel_all(CancelReason.SHUTDOWN)
        self._cursors.close()
        if self._small is not None:
            self._small.close()
        with suppress(duckdb.Error):
            self._database.close()


def _small_statements(native: Any, database: str, settings: SourceSettings) -> SmallStatements | None:
    """What runs small statements faster, where nothing can change what they read."""
    if database in ("", _MEMORY) or not settings.read_only or settings.init_sql:
        return None
    return SmallStatements(native, database, settings.options, settings.pool_size)


def _progress(cursor: Any) -> Callable[[], float | None]:
    """Lets DuckDB keep count; returns what reads the count from any thread."""
    cursor.execute("SET enable_progress_bar = true")
    cursor.execute("SET enable_progress_bar_print = false")

    def fraction() -> float | None:
        try:
            percent = cursor.query_progress()
        except duckdb.Error:
            return None  # the cursor is closed
        return None if percent < 0 else min(percent / 100, 1.0)

    return fraction


def _interrupt(cursor: Any) -> None:
    """Ends what runs on a cursor; a closed one (its database was closed meanwhile) runs nothing."""
    with suppress(duckdb.ConnectionException):
        cursor.interrupt()


def _connect(database: str, read_only: bool, options: Mapping[str, str]) -> Any:
    in_memory = database in ("", _MEMORY)
    if not in_memory and read_only and not Path(database).is_file():
        raise SourceError(f"The DuckDB file {Path(database).name!r} does not exist.")
    try:
        return duckdb.connect(database or _MEMORY, read_only=read_only and not in_memory, config=dict(options))
    except duckdb.Error as error:
        raise _told(error) from error


def _told(error: Exception) -> SourceError:
    """Returns the error that a client may see: DuckDB's own text without file paths."""
    if isinstance(error, SourceError):
        return error
    text = _PATH.sub("<path>", _ADVICE.sub("", str(error))).strip()
    hint = _LOCKED if "Conflicting lock" in text else _HINTS.get(type(error))
    text = f"{text}\n{hint}" if hint else text
    _LOG.debug("DuckDB refused a statement: %s", text)
    return SourceError(text)
