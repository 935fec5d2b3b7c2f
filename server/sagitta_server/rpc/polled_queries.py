"""Queries that go on without their callers: each on a thread, its rows in the spool, found again by its ticket."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sagitta.semantic.v1 import polled_query_service_pb2 as pb
from sagitta.semantic.v1 import query_service_pb2 as query_pb

from sagitta_server.config import PollingSettings
from sagitta_server.errors import Reason, ServiceError, is_defect
from sagitta_server.execution import CancelReason, CancelToken, StatementCancelledError
from sagitta_server.execution.spool import Claim, Finished, Spool, SpoolFullError
from sagitta_server.queries import Run
from sagitta_server.rpc.cancelled_queries import CancelledQueries
from sagitta_server.rpc.ipc import PIECE_BYTES

log = logging.getLogger("sagitta.rpc")

WATCH_SECONDS = 0.25
"""How often a server with running queries looks for cancels that were sent to another replica."""
REMEMBERED_SECONDS = 86_400
"""How much longer than a ticket a cancel is remembered: polls make tickets new."""
LOOK_SECONDS = 0.1
"""How often a query that another process runs is looked at while somebody waits for it."""
CANCELLED = "cancelled"
"""The note of a query that was cancelled: it is not started again."""

Start = Callable[[CancelToken], tuple[Run, query_pb.ResultMetadata]]
"""Starts the statement of a query, as its caller may see it."""
Summarise = Callable[[Run], query_pb.ResultSummary]


@dataclass(slots=True)
class PolledQuery:
    """A query and how far it is; `changed` guards what changes."""

    query_id: str
    token: CancelToken
    touched: float
    """When somebody asked for it last, in seconds since 1970 UTC."""
    started_at: float
    changed: threading.Condition = field(default_factory=threading.Condition)
    state: pb.QueryState.ValueType = pb.QUERY_STATE_RUNNING
    rows: int = 0
    metadata: query_pb.ResultMetadata | None = None
    summary: query_pb.ResultSummary | None = None
    error: Exception | None = None

    @property
    def ended(self) -> bool:
        return self.state != pb.QUERY_STATE_RUNNING

    def wait(self, seconds: float, over: Callable[[], bool]) -> None:
        """Waits until `over`, or for some time."""
        with self.changed:
            self.changed.wait_for(over, seconds)

    def fraction(self) -> float | None:
        """How far the warehouse is, from 0 to 1; None where it does not tell."""
        if self.state == pb.QUERY_STATE_SUCCEEDED:
            return 1.0
        progress = self.token.progress
        return progress() if progress is not None and not self.ended else None


@dataclass(slots=True)
class FollowedQuery(PolledQuery):
    """A query that another process of this server runs; how it ended is seen in the spool."""

    look: Callable[[], PolledQuery | None] = lambda: None
    """The query once it has ended; None while it runs."""

    def wait(self, seconds: float, over: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while not over() and not self.ended and time.monotonic() < deadline:
            time.sleep(min(LOOK_SECONDS, max(deadline - time.monotonic(), 0)))
            if (found := self.look()) is not None:
                self.state, self.rows, self.error = found.state, found.rows, found.error
                self.metadata, self.summary = found.metadata, found.summary


class PolledQueries:
    """The polled queries of one process; several may share the folder of rows."""

    def __init__(
        self,
        settings: PollingSettings,
        spool: Spool,
        cancelled: CancelledQueries,
        summarise: Summarise,
        now: Callable[[], float],
    ) -> None:
        self._settings, self._spool, self._summarise = settings, spool, summarise
        self._cancelled = cancelled
        self._now = now
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None
        self._lock = threading.Lock()
        self._known: dict[str, PolledQuery] = {}
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def get(self, query_id: str, start: Start) -> PolledQuery:
        """Returns a query: running here, ended and kept, or started now because this server does not know it.

        Raises:
            ServiceError: too many run already.
        """
        with self._lock:
            known = self._known.get(query_id) or self._kept(query_id)
        if known is None and self._cancelled.among([query_id]):
            known = self._ended(query_id, pb.QUERY_STATE_CANCELLED)
        with self._lock:
            known = self._known.get(query_id) or known or self._begin(query_id, start)
            known.touched = self._now()
            if not isinstance(known, FollowedQuery):
                self._known[query_id] = known
        self._spool.touch(query_id)
        return known

    def cancel(self, query_id: str) -> PolledQuery | None:
        """Ends a query and forgets its rows, wherever it runs; None for one that is not known here.

        Another replica sees the note within a moment; one that does not know the query will not start it.
        """
        try:
            self._cancelled.note(query_id, self._now())
        finally:  # what runs here ends, also where nobody else can be told
            known = self._cancel_here(query_id)
        return known

    def _cancel_here(self, query_id: str) -> PolledQuery | None:
        with self._lock:
            known = self._known.get(query_id) or self._kept(query_id)
        if known is None:
            if (claim := self._spool.claim(query_id)) is not None:  # else the process that runs it forgets it
                self._forget(query_id)
                claim.release()
            return None
        known.token.cancel()
        known.wait(1.0, lambda: known.ended)
        with known.changed:
            known.state = pb.QUERY_STATE_CANCELLED
            known.changed.notify_all()
        self._forget(query_id)
        return known

    def pieces(self, query: PolledQuery, gone: Callable[[], bool]) -> Iterator[bytes]:
        """Yields the rows as pieces of one Arrow IPC stream, also while they are still computed.

        Raises:
            Exception: what the query failed with.
        """
        with self._spool.read(query.query_id, lambda: query.ended or gone()) as rows:
            while piece := rows.read(PIECE_BYTES):
                yield piece
        raise_failure(query)

    def sweep(self) -> None:
        """Ends what nobody asked for in time, and removes old rows."""
        limit = self._now() - self._settings.ticket_seconds
        with self._lock:
            old = [query for query in self._known.values() if query.touched < limit]
            for query in old:
                del self._known[query.query_id]
        for query in old:
            query.token.cancel()
        self._spool.remove_older(self._settings.ticket_seconds)
        self._cancelled.forget_before(limit - REMEMBERED_SECONDS)

    def close(self, seconds: float = 5.0) -> None:
        """Ends everything within a time; rows that are complete stay for the next start."""
        self._closing.set()
        with self._lock:
            self._closed = True
            queries, threads = list(self._known.values()), list(self._threads)
        for query in queries:
            query.token.cancel(CancelReason.SHUTDOWN)
        if self._watcher is not None:
            threads.append(self._watcher)
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _watch(self) -> None:
        """Ends what was cancelled at another replica."""
        while not self._closing.wait(WATCH_SECONDS):
            with self._lock:
                running = [query_id for query_id, query in self._known.items() if not query.ended]
            if not running:
                continue
            try:
                for query_id in self._cancelled.among(running):
                    self._cancel_here(query_id)
            except Exception:
                log.exception("cancels of other replicas cannot be followed")

    def _begin(self, query_id: str, start: Start) -> PolledQuery:
        if self._closed or len(self._threads) >= self._settings.max_running:
            raise ServiceError(
                Reason.WAREHOUSE_BUSY,
                f"{len(self._threads)} polled queries run already; try again later.",
                retry_after_seconds=1,
            )
        claim = self._spool.claim(query_id)
        if claim is None:
            return self._follow(query_id)
        if (kept := self._kept(query_id)) is not None:  # it ended elsewhere meanwhile: its rows may be read now
            claim.release()
            return kept
        token = CancelToken(self._settings.timeout_seconds, wants_progress=True)
        query = PolledQuery(query_id, token, self._now(), self._now())
        call = contextvars.copy_context()
        thread = threading.Thread(
            target=call.run, args=(self._work, query, start, claim), name=f"polled-{query_id}", daemon=True
        )
        self._threads.add(thread)
        thread.start()
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="polled-cancels", daemon=True)
            self._watcher.start()
        return query

    def _follow(self, query_id: str) -> FollowedQuery:
        def look() -> PolledQuery | None:
            claim = self._spool.claim(query_id)
            if claim is None:
                return None
            claim.release()
            if (kept := self._kept(query_id)) is not None:
                return kept
            lost = self._ended(query_id, pb.QUERY_STATE_FAILED)
            lost.error = ServiceError(
                Reason.EXECUTION_FAILED, "The query failed in another process of the server; poll again to learn why."
            )
            return lost

        token = CancelToken()
        token.finish()
        return FollowedQuery(query_id, token, self._now(), self._now(), look=look)

    def _work(self, query: PolledQuery, start: Start, claim: Claim) -> None:
        error: Exception | None = None
        try:
            self._execute(query, start)
        except Exception as failure:  # noqa: BLE001 - the boundary of the thread: whoever polls is told
            error = self._told(failure)
        finally:
            query.token.finish()
            claim.release()
            with self._lock:
                self._threads.discard(threading.current_thread())
        with query.changed:
            query.error = error
            cancelled = query.state == pb.QUERY_STATE_CANCELLED
            if not cancelled:
                query.state = _state(error)
            query.changed.notify_all()
        if cancelled:
            self._forget(query.query_id)  # it was still writing when it was told to end

    def _execute(self, query: PolledQuery, start: Start) -> None:
        run, metadata = start(query.token)
        try:
            with self._spool.write(query.query_id, run.schema) as writer:
                with query.changed:
                    query.metadata = metadata
                    query.changed.notify_all()
                for batch in run.batches():
                    writer.write(batch)
                    query.rows += batch.num_rows
            query.token.raise_if_cancelled()
            query.summary = self._summarise(run)
        finally:
            run.close()
        kept = pb.FetchQueryResponse(metadata=metadata, summary=query.summary)
        self._spool.attach(query.query_id, kept.SerializeToString())
        self._spool.finish(query.query_id, Finished(query.rows, query.summary.truncated))

    def _told(self, failure: Exception) -> Exception:
        if isinstance(failure, SpoolFullError):
            return ServiceError(
                Reason.EXECUTION_FAILED,
                f"The result is larger than the {self._settings.max_result_mib} MiB that are kept; "
                "narrow it, or read it over Flight SQL.",
                metadata={"max_result_mib": str(self._settings.max_result_mib)},
            )
        if is_defect(failure):
            log.error("a polled query failed", exc_info=failure)
        return failure

    def _kept(self, query_id: str) -> PolledQuery | None:
        """A query that ended before this server started, or was swept from memory."""
        note = self._spool.finished(query_id)
        if note is None:
            return None
        if note.error == CANCELLED:
            return self._ended(query_id, pb.QUERY_STATE_CANCELLED)
        found = self._spool.attached(query_id)
        if found is None:
            return None
        kept = pb.FetchQueryResponse.FromString(found)
        query = self._ended(query_id, pb.QUERY_STATE_SUCCEEDED)
        query.rows, query.metadata, query.summary = note.rows, kept.metadata, kept.summary
        return query

    def _ended(self, query_id: str, state: pb.QueryState.ValueType) -> PolledQuery:
        query = PolledQuery(query_id, CancelToken(), self._now(), self._now(), state=state)
        query.token.finish()
        return query

    def _forget(self, query_id: str) -> None:
        self._spool.remove(query_id)
        self._spool.finish(query_id, Finished(0, truncated=False, error=CANCELLED))


def raise_failure(query: PolledQuery) -> None:
    """Raises what a query failed with."""
    if query.state == pb.QUERY_STATE_CANCELLED:
        raise StatementCancelledError("The query was cancelled.")
    if query.error is not None:
        raise query.error


def _state(error: Exception | None) -> pb.QueryState.ValueType:
    match error:
        case None:
            return pb.QUERY_STATE_SUCCEEDED
        case StatementCancelledError():
            return pb.QUERY_STATE_CANCELLED
        case _:
            return pb.QUERY_STATE_FAILED
