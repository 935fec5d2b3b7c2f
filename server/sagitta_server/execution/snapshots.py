"""Snapshots that several connections read together: every one sees the same rows, whoever writes meanwhile.

PostgreSQL exports the snapshot of a transaction by name as long as that transaction is open; other transactions, also
those of another process, take it over with SET TRANSACTION SNAPSHOT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.source import SourceError
from sagitta_server.execution.stream import ResultStream


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What identifies a snapshot."""

    name: str
    """The warehouse's name for it, good while it is held; it may be given again after a restart of the warehouse."""
    content: str
    """Which transactions it sees: two snapshots of equal content show the same rows."""


@dataclass(frozen=True, slots=True)
class HeldSnapshot:
    """A snapshot that stays as long as it is held."""

    snapshot: Snapshot
    release: Callable[[], None]
    """Gives it back; may be called twice."""


class SnapshotGoneError(SourceError):
    """Nobody holds the snapshot any more."""


class Reader(Protocol):
    """Runs statements; a whole source, or one of its snapshots."""

    def execute(
        self, sql: str, *, timeout_seconds: float | None = None, token: CancelToken | None = None
    ) -> ResultStream:
        """Starts a statement; see `Source.execute`."""
        ...


@runtime_checkable
class SnapshotSource(Protocol):
    """A source whose connections can read one snapshot together."""

    def hold_snapshot(self, sql: str) -> HeldSnapshot:
        """Holds what the warehouse shows now, and locks the tables of a statement against being rewritten.

        Raises:
            SourceError: the warehouse cannot.
        """
        ...

    def at(self, snapshot: Snapshot) -> Reader:
        """Returns what runs statements in a snapshot; they raise `SnapshotGoneError` when it is gone."""
        ...
