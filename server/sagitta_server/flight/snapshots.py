"""The snapshots that are held for partitioned results, until every part was read or its tickets expire."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sagitta.flight.v1 import ticket_pb2 as pb

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.execution import HeldSnapshot, SnapshotSource
from sagitta_server.execution.cancel import TIMER

SWEEP_SECONDS = 1.0


@dataclass(slots=True)
class _Held:
    held: HeldSnapshot
    expires_at: float
    """In seconds of the monotonic clock."""
    unread: set[int] = field(default_factory=set)


class Snapshots:
    """The snapshots of one server; a replica reads them too, as long as this server holds them."""

    def __init__(self, seconds: float, max_held: int, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._max_held, self._now = seconds, max_held, now
        self._lock = threading.Lock()
        self._known: dict[str, _Held] = {}
        self._sweeping = False

    def hold(self, source: SnapshotSource, sql: str, parts: int) -> pb.Snapshot:
        """Holds a snapshot for the parts of a statement.

        Raises:
            ServiceError: too many are held already.
            SourceError: the warehouse cannot hold one.
        """
        self.sweep()
        with self._lock:
            if len(self._known) >= self._max_held:
                raise ServiceError(
                    Reason.WAREHOUSE_BUSY,
                    f"{self._max_held} partitioned results are being read already; try again later, "
                    "or ask for one partition.",
                    retry_after_seconds=10,
                )
        held = source.hold_snapshot(sql)
        with self._lock:
            self._known[held.snapshot.name] = _Held(held, self._now() + self._seconds, set(range(parts)))
            start, self._sweeping = not self._sweeping, True
        if start:
            TIMER.call_later(SWEEP_SECONDS, self._tick)
        return pb.Snapshot(name=held.snapshot.name, content=held.snapshot.content)

    def read(self, name: str, index: int) -> None:
        """Notes that a part was read to its end; after the last one the snapshot is given back."""
        with self._lock:
            known = self._known.get(name)
            if known is None:
                return
            known.unread.discard(index)
            if known.unread:
                return
            del self._known[name]
        known.held.release()

    def renew(self, name: str) -> None:
        """Holds a snapshot for as long again."""
        with self._lock:
            if (known := self._known.get(name)) is not None:
                known.expires_at = self._now() + self._seconds

    def sweep(self) -> None:
        """Gives back what has expired."""
        with self._lock:
            old = [name for name, known in self._known.items() if known.expires_at < self._now()]
            released = [self._known.pop(name) for name in old]
        for known in released:
            known.held.release()

    def close(self) -> None:
        """Gives everything back."""
        with self._lock:
            released, self._known = list(self._known.values()), {}
        for known in released:
            known.held.release()

    def __len__(self) -> int:
        with self._lock:
            return len(self._known)

    def _tick(self) -> None:
        """Sweeps on a thread of its own, because giving back may wait for the warehouse."""
        with self._lock:
            self._sweeping = bool(self._known)
            again = self._sweeping
        if again:
            threading.Thread(target=self.sweep, name="flight-snapshots", daemon=True).start()
            TIMER.call_later(SWEEP_SECONDS, self._tick)
