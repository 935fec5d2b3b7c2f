"""Any warehouse with an ADBC driver: PostgreSQL, SQLite, Flight SQL, and whatever the driver manager finds.

A connection runs one statement at a time, so it is leased to a result until that is closed; one that saw a failure or
was cancelled is thrown away, because drivers differ in what they leave behind.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import adbc_driver_manager as adbc
import pyarrow as pa

from sagitta_server.execution.admission import Admission, Load
from sagitta_server.execution.cancel import CancelReason, CancelToken
from sagitta_server.execution.conform import plain_schema
from sagitta_server.execution.open_statements import OpenStatements
from sagitta_server.execution.settings import SourceSettings
from sagitta_server.execution.source import Schema, SourceError
from sagitta_server.execution.stream import Once, ResultStream, close_quietly, result_stream

_LOG = logging.getLogger(__name__)
_SECRET = re.compile(r"(?i)((?:password|token|secret)\s*[=:]\s*)\S+|(://[^/\s:@]+:)[^@\s/]+(?=@)")
_PATH = re.compile(r"(?:/[^\s/'\":]+){2,}")
_PREFIX = re.compile(r"^(?:[A-Z_]+: )?\[[\w\- ]+\] ?")

Prepare = Callable[[Any], None]
"""Prepares a connection for one statement."""


@dataclass(frozen=True, slots=True)
class Driver:
    """How to open one kind of warehouse."""

    dialect: str
    database: Mapping[str, str]
    """Options of the ADBC database, `driver` or `uri` or `profile` among them."""
    statement: Mapping[str, str] = field(default_factory=dict)
    """Options of every statement."""
    init_sql: tuple[str, ...] = ()
    """Statements run on every new connection, before the configured ones."""
    can_cancel: bool = True
    """Whether the driver ends a statement that runs; where it cannot, its caller at least does not wait for it."""
    explain: str = "EXPLAIN "
    """What is put before a statement to see its plan."""
    explain_options: Mapping[str, str] = field(default_factory=dict)
    """Options of a statement that begins so."""


class AdbcSource:
    """A warehouse behind an ADBC driver and a pool of its connections."""

    def __init__(self, name: str, driver: Driver, settings: SourceSettings) -> None:
        self.name = name
        self.dialect = settings.dialect or driver.dialect
        self._driver = driver
        self._init_sql = (*driver.init_sql, *settings.init_sql)
        self._statements = OpenStatements(name)
        self._admission = Admission(settings.pool_size, settings.queue_size, settings.queue_timeout_seconds)
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._closed = False
        self._options = {**driver.database, **settings.options}
        self._database: Any = None

    @property
    def running(self) -> int:
        """Statements that hold a connection now."""
        return self._admission.running

    @property
    def load(self) -> Load:
        """How busy it is now."""
        return self._admission.load

    def result_schema(self, sql: str) -> Schema:
        """Returns the schema that `execute` will stream; a driver that cannot describe a statement starts it."""
        resources = Once()
        token = CancelToken()
        try:
            self._admission.acquire(token)
            resources.add(self._admission.release)
            statement = self._statement(sql, token, resources, self._driver.statement)
            try:
                described = statement.execute_schema()
                return plain_schema(pa.Schema._import_from_c(described.address))  # noqa: SLF001
            except adbc.NotSupportedError:
                handle, _ = statement.execute_query()
                reader = pa.RecordBatchReader._import_from_c(handle.address)  # noqa: SLF001
                resources.add(close_quietly(reader.close))
                return plain_schema(reader.schema)
        except (adbc.Error, pa.ArrowException) as error:
            token.cancel()
            raise told(error) from error
        finally:
            resources.close()

    def execute(
        self, sql: str, *, timeout_seconds: float | None = None, token: CancelToken | None = None
    ) -> ResultStream:
        """Starts a statement; see `Source.execute`."""
        return self._execute(sql, token or CancelToken(timeout_seconds), self._driver.statement)

    def _execute(
        self, sql: str, token: CancelToken, options: Mapping[str, str], prepare: Prepare | None = None
    ) -> ResultStream:
        resources = Once()
        resources.add(token.finish)
        try:
            self._admission.acquire(token)
            resources.add(self._admission.release)
            resources.add(self._statements.add(token))
            statement = self._statement(sql, token, resources, options, prepare)
            reader = _run(statement, token) if self._driver.can_cancel else _abandonable(statement, token, resources)
        except _AbandonedError as error:
            raise token.error() from error
        except (adbc.Error, pa.ArrowException) as error:
            shown = token.error() if token.cancelled else told(error)
            token.cancel()
            resources.close()
            raise shown from error
        except BaseException:
            resources.close()
            raise
        resources.add(close_quietly(reader.close))
        return result_stream(reader, token, told, resources)

    def explain(self, sql: str) -> str:
        """Returns the warehouse's own plan."""
        stream = self._execute(self._driver.explain + sql, CancelToken(), self._driver.explain_options)
        try:
            table = stream.reader.read_all()
        except (adbc.Error, pa.ArrowException, OSError) as error:
            raise stream.translate(error) from error
        finally:
            stream.close()
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        return "\n".join("  ".join(str(value) for value in row) for row in rows)

    def close(self) -> None:
        """Cancels what runs and closes every connection."""
        self._admission.close()
        self._statements.cancel_all(CancelReason.SHUTDOWN)
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(adbc.Error):
                connection.close()
        if self._database is not None:
            with suppress(adbc.Error, RuntimeError):
                self._database.close()

    def _statement(
        self,
        sql: str,
        token: CancelToken,
        resources: Once,
        options: Mapping[str, str],
        prepare: Prepare | None = None,
    ) -> Any:
        """A statement that is ready to run; a connection that was prepared for it serves no other one afterwards."""
        connection = self._lease()
        resources.add(lambda: self._give_back(connection, reusable=prepare is None and not token.cancelled))
        if prepare is not None:
            prepare(connection)
        statement = adbc.AdbcStatement(connection)
        resources.add(close_quietly(statement.close))
        if options:
            statement.set_options(**options)
        statement.set_sql_query(sql)
        resources.add(token.add_callback(lambda: _cancel(statement)))
        return statement

    def _lease(self) -> Any:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._open()

    def _open(self) -> Any:
        """Opens a connection; it joins the pool when it is given back."""
        with self._lock:
            if self._database is None:  # some drivers connect here: the warehouse may come up later than the server
                self._database = adbc.AdbcDatabase(**self._options)
        return self._connect()

    def _connect(self) -> Any:
        connection = adbc.AdbcConnection(self._database)
        try:
            for sql in self._init_sql:
                with closing(adbc.AdbcStatement(connection)) as statement:
                    statement.set_sql_query(sql)
                    statement.execute_update()
        except adbc.Error:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: Any, *, reusable: bool) -> None:
        if reusable:
            with self._lock:
                if not self._closed:
                    self._idle.append(connection)
                    return
        with suppress(adbc.Error):
            connection.close()


def _run(statement: Any, token: CancelToken) -> Any:
    token.raise_if_cancelled()
    handle, _ = statement.execute_query()
    return pa.RecordBatchReader._import_from_c(handle.address)  # noqa: SLF001


class _AbandonedError(Exception):
    """The statement still runs; what it holds is given back when it has ended."""


def _abandonable(statement: Any, token: CancelToken, resources: Once) -> Any:
    """Starts a statement that nothing can end on a thread of its own, and leaves it alone when it is cancelled."""
    token.raise_if_cancelled()
    outcome: Future[Any] = Future()

    def abandon() -> None:
        outcome.cancel()

    remove = token.add_callback(abandon)

    def run() -> None:
        error: BaseException | None = None
        reader = None
        try:
            reader = _run(statement, CancelToken())
        except BaseException as failure:  # noqa: BLE001 - whoever waits is told
            error = failure
        if not outcome.set_running_or_notify_cancel():
            if reader is not None:
                reader.close()
            resources.close()
        elif error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(reader)

    threading.Thread(target=run, name="abandonable-statement", daemon=True).start()
    try:
        return outcome.result()
    except CancelledError as error:
        raise _AbandonedError from error
    finally:
        remove()


def _cancel(statement: Any) -> None:
    with suppress(adbc.Error):
        statement.cancel()


def told(error: Exception) -> SourceError:
    """Returns the error that a client may see: the driver's own text without secrets and file paths."""
    if isinstance(error, SourceError):
        return error
    text = _PREFIX.sub("", str(error)).strip()
    text = _SECRET.sub(lambda match: f"{match[1] or match[2]}***", text)
    text = _PATH.sub("<path>", text)
    _LOG.debug("the warehouse refused a statement: %s", text)
    return SourceError(text)
