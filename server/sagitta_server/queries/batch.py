"""Several queries at once: in parallel, each with its deadline, all of them with one."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum

from sagitta_compiler import CompiledQuery, CompileError, Diagnostic

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.execution import CancelReason, CancelToken, SourceBusyError, SourceError, StatementTimeoutError
from sagitta_server.execution.source import StatementCancelledError
from sagitta_server.models import ModelHandle
from sagitta_server.queries.run import Run, RunSummary
from sagitta_server.queries.service import QueryService, Question


class Outcome(StrEnum):
    """What became of a query."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class BatchItem:
    """A query of a batch."""

    id: str
    question: Question
    dialect: str
    execute: bool


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How many at once, and how long."""

    parallelism: int
    query_seconds: float
    batch_seconds: float
    fail_fast: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a query failed."""

    code: str
    message: str
    path: str = ""
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The result of a query: its plan if it compiled, its rows if it ran, else why not."""

    id: str
    outcome: Outcome
    compiled: CompiledQuery | None = None
    run: Run | None = None
    rows: bytes = b""
    """One Arrow IPC stream."""
    summary: RunSummary | None = None
    failure: Failure | None = None


Encode = Callable[[Run], bytes]


class BatchRunner:
    """Runs one batch; `cancel` may be called from any thread."""

    def __init__(self, queries: QueryService, handle: ModelHandle, limits: BatchLimits, encode: Encode) -> None:
        self._queries = queries
        self._handle = handle
        self._limits = limits
        self._encode = encode
        self._lock = threading.Lock()
        self._tokens: dict[str, CancelToken] = {}
        self._stop: Failure | None = None

    def cancel(self) -> None:
        """Ends the batch because its caller went away."""
        self._end(Failure("QUERY_CANCELLED", "The caller went away."))

    def run(self, items: Sequence[BatchItem]) -> tuple[ItemResult, ...]:
        """Returns a result for every query, in the order of the queries."""
        deadline = time.monotonic() + self._limits.batch_seconds
        with ThreadPoolExecutor(self._limits.parallelism, thread_name_prefix="batch") as pool:
            futures = {pool.submit(contextvars.copy_context().run, self._item, item, deadline): item for item in items}
            self._supervise(set(futures), deadline)
            results = {item.id: future.result() for future, item in futures.items()}
        return tuple(results[item.id] for item in items)

    def _supervise(self, pending: set[Future[ItemResult]], deadline: float) -> None:
        while pending:
            done, pending = wait(pending, timeout=max(0.0, deadline - time.monotonic()), return_when=FIRST_COMPLETED)
            if not done:
                seconds = self._limits.batch_seconds
                self._end(Failure("BATCH_TIMEOUT", f"The batch ran longer than {seconds:g} seconds."))
                return
            if self._limits.fail_fast and any(future.result().outcome is Outcome.ERROR for future in done):
                self._end(None)

    def _end(self, failure: Failure | None) -> None:
        """Cancels what runs and what would still run; without a failure they are CANCELLED, else ERROR."""
        with self._lock:
            if self._stop is None:
                self._stop = failure or _FAILED_FAST
            tokens = list(self._tokens.values())
        for token in tokens:
            token.cancel(CancelReason.CLIENT)

    def _item(self, item: BatchItem, deadline: float) -> ItemResult:
        remaining = deadline - time.monotonic()
        token = CancelToken(max(0.001, min(self._limits.query_seconds, remaining)))
        with self._lock:
            stopped = self._stop
            self._tokens[item.id] = token
        try:
            if stopped is not None:
                return _stopped(item, stopped)
            return self._execute(item, token) if item.execute else self._compile(item)
        except (CompileError, ServiceError, SourceError) as error:
            return self._failed(item, error)
        finally:
            token.finish()
            with self._lock:
                self._tokens.pop(item.id, None)

    def _compile(self, item: BatchItem) -> ItemResult:
        compiled = self._queries.compile(self._handle, item.question, item.dialect)
        return ItemResult(item.id, Outcome.OK, compiled)

    def _execute(self, item: BatchItem, token: CancelToken) -> ItemResult:
        run = self._queries.run(self._handle, item.question, item.dialect, token=token)
        try:
            rows = self._encode(run)
            return ItemResult(item.id, Outcome.OK, run.compiled, run, rows, run.summary)
        finally:
            run.close()

    def _failed(self, item: BatchItem, error: CompileError | ServiceError | SourceError) -> ItemResult:
        if isinstance(error, StatementCancelledError) and self._stop is not None:
            return _stopped(item, self._stop)
        return ItemResult(item.id, Outcome.ERROR, failure=_failure(error, self._limits))


_FAILED_FAST = Failure("CANCELLED", "Another query of the batch failed.")


def _stopped(item: BatchItem, failure: Failure) -> ItemResult:
    if failure is _FAILED_FAST:
        return ItemResult(item.id, Outcome.CANCELLED)
    return ItemResult(item.id, Outcome.ERROR, failure=failure)


def _failure(error: CompileError | ServiceError | SourceError, limits: BatchLimits) -> Failure:
    match error:
        case CompileError(diagnostics=diagnostics):
            return _first(diagnostics)
        case ServiceError(reason=Reason.EXECUTION_UNAVAILABLE, metadata=metadata) if "dialect" not in metadata:
            return Failure("QUERY_EXECUTE_DISABLED", error.message)
        case ServiceError():
            return Failure(error.reason, error.message)
        case StatementTimeoutError():
            return Failure("QUERY_TIMEOUT", f"The query ran longer than {limits.query_seconds:g} seconds.")
        case SourceBusyError():
            return Failure("EXECUTION_UNAVAILABLE", str(error))
        case _:
            return Failure("EXECUTION_ERROR", str(error))


def _first(diagnostics: tuple[Diagnostic, ...]) -> Failure:
    first = next((diagnostic for diagnostic in diagnostics if diagnostic.is_error), None)
    if first is None:
        return Failure("QUERY_INVALID", "The query cannot be compiled.")
    return Failure(first.code, first.message, first.path, first.hint)
