"""Cancellation and deadlines of one statement, from whichever thread they come.

A `CancelToken` accompanies a statement from its surface to the warehouse. Interrupting a driver that has not started
its statement yet is lost in every driver we know, so a cancelled token repeats its callbacks until it is finished.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from sagitta_server.execution.source import SourceError, StatementCancelledError, StatementTimeoutError

REPEAT_SECONDS = 0.02
_SMALL_HEAP = 256


class CancelReason(StrEnum):
    """Why a statement was cancelled."""

    CLIENT = "client"
    DEADLINE = "deadline"
    SHUTDOWN = "shutdown"


class CancelToken:
    """Cancels one statement; safe to use from any thread."""

    waited_seconds = 0.0
    """How long the statement waited for a connection; set by who let it wait."""

    def __init__(self, timeout_seconds: float | None = None, *, wants_progress: bool = False) -> None:
        self.wants_progress = wants_progress
        self.progress: Callable[[], float | None] | None = None
        """Says how far the statement is, from 0 to 1; set by a source that can tell, where it is wanted."""
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._reason: CancelReason | None = None
        self._finished = False
        self._at_finish: Callable[[], None] | None = None
        self.timeout_seconds = timeout_seconds
        self._deadline = TIMER.call_later(timeout_seconds, self._expire) if timeout_seconds is not None else None

    @property
    def cancelled(self) -> bool:
        return self._reason is not None

    @property
    def reason(self) -> CancelReason | None:
        return self._reason

    def cancel(self, reason: CancelReason = CancelReason.CLIENT) -> None:
        """Cancels the statement; only the first reason counts, and a finished statement stays as it is."""
        with self._lock:
            if self._finished or self._reason is not None:
                return
            self._reason = reason
        self._interrupt()

    def add_callback(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back when the statement is cancelled, at once when it is already; returns what takes it back."""
        with self._lock:
            number = next(self._numbers)
            self._callbacks[number] = callback
            due = self._reason is not None
        if due:
            callback()

        def remove() -> None:
            with self._lock:
                self._callbacks.pop(number, None)

        return remove

    def part(self) -> CancelToken:
        """Returns a token for one of several statements of the same call: it ends when this one does, or before."""
        part = CancelToken()
        part.timeout_seconds = self.timeout_seconds
        remove = self.add_callback(lambda: part.cancel(self._reason or CancelReason.CLIENT))
        part._at_finish = remove
        return part

    def finish(self) -> None:
        """Ends the token: nothing is called any more."""
        with self._lock:
            self._finished = True
            self._callbacks.clear()
        if self._deadline is not None:
            self._deadline.drop()
        if self._at_finish is not None:
            self._at_finish()

    def raise_if_cancelled(self) -> None:
        """Raises the error that tells the client why its statement ended."""
        if self._reason is not None:
            raise self.error()

    def error(self) -> SourceError:
        """Returns the error for the reason of the cancellation."""
        match self._reason:
            case CancelReason.DEADLINE:
                return StatementTimeoutError(f"The statement ran longer than {self.timeout_seconds:g} seconds.")
            case CancelReason.SHUTDOWN:
                return StatementCancelledError("The server is shutting down.")
            case _:
                return StatementCancelledError("The statement was cancelled.")

    def _expire(self) -> None:
        self.cancel(CancelReason.DEADLINE)

    def _interrupt(self) -> None:
        with self._lock:
            callbacks = [] if self._finished else list(self._callbacks.values())
        for callback in callbacks:
            callback()
        if callbacks:
            TIMER.call_later(REPEAT_SECONDS, self._interrupt)


class Timer:
    """Calls functions later, all of them on one daemon thread that starts with the first."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._rebuild_at = _SMALL_HEAP

    def call_later(self, seconds: float, function: Callable[[], None]) -> Alarm:
        """Calls `function` once, `seconds` from now; it must not block."""
        alarm = Alarm(function)
        with self._condition:
            self._forget_dropped()
            entry = (time.monotonic() + seconds, next(self._numbers), alarm)
            heapq.heappush(self._due, entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sagitta-timer", daemon=True)
                self._thread.start()
            if self._due[0] is entry:
                self._condition.notify()
        return alarm

    def _forget_dropped(self) -> None:
        """Rebuilds the heap each time it has doubled: most alarms are deadlines that were not needed."""
        if len(self._due) >= self._rebuild_at:
            self._due = [entry for entry in self._due if not entry[2].dropped]
            heapq.heapify(self._due)
            self._rebuild_at = max(_SMALL_HEAP, 2 * len(self._due))

    def _run(self) -> None:
        while True:
            self._next().ring()

    def _next(self) -> Alarm:
        with self._condition:
            while True:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._condition.wait(wait)


class Alarm:
    """A call that is due later and can be dropped until then."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    @property
    def dropped(self) -> bool:
        return self._function is None

    def drop(self) -> None:
        """Takes the call back."""
        self._function = None

    def ring(self) -> None:
        """Makes the call, unless it was dropped."""
        if (function := self._function) is not None:
            function()


TIMER = Timer()
"""The process's timer."""
