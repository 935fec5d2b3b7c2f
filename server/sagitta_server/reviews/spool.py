"""Results of runs: written batch by batch, readable while they are still written.

A result is one Arrow IPC stream, and beside it a note that is written last: with the note the result is complete. A
reader that reaches the end of an unfinished stream waits for more. Where the bytes lie is a matter of the two stores:
`FolderSpool` and, for replicas that share nothing but the state database, `TableSpool`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from sagitta_server.execution import spool as files
from sagitta_server.execution.spool import Finished, SpoolFullError
from sagitta_server.reviews.errors import ReviewError

__all__ = ["Finished", "FolderSpool", "Spool", "SpoolFullError", "SpoolWriter", "check_whole"]


def check_whole(note: Finished | None) -> None:
    """Looks at the note when a reader has come to the end; without a good one, rows are missing.

    Raises:
        ReviewError: `result_expired`.
    """
    if note is None:
        raise ReviewError("result_expired", "The run ended, or was removed, before all of its rows were read.")
    if note.error is not None:
        raise ReviewError("result_expired", f"The run failed before all of its rows were there: {note.error}")


class SpoolWriter(Protocol):
    """Writes one result; leaving it without an error ends the stream."""

    def __enter__(self) -> SpoolWriter:
        """Begins."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends."""
        ...

    def write(self, batch: Any) -> None:
        """Adds a batch and lets readers see it soon.

        Raises:
            SpoolFullError: the result would be larger than a run may keep.
        """
        ...


class Spool(Protocol):
    """All results of a server, or of all its replicas."""

    def write(self, run_context_id: str, schema: Any) -> SpoolWriter:
        """Begins a result; one that an earlier attempt left unfinished is replaced."""
        ...

    def finish(self, run_context_id: str, note: Finished) -> None:
        """Marks a result as complete."""
        ...

    def finished(self, run_context_id: str) -> Finished | None:
        """The note of a complete result; None while it is written, or gone."""
        ...

    def exists(self, run_context_id: str) -> bool:
        """Something of the result is there."""
        ...

    def read(self, run_context_id: str, ended: Callable[[], bool]) -> io.RawIOBase:
        """The bytes of a result, waiting for those that are still to be written.

        The end is reached only with the last row: a reader of a run that failed, or that was removed meanwhile, gets a
        `ReviewError` instead.

        Args:
            run_context_id: the run.
            ended: nobody writes any more, although the result is not marked as complete.
        """
        ...

    def remove(self, run_context_ids: Iterable[str]) -> None:
        """Removes results."""
        ...

    def tidy(self, seconds: float) -> None:
        """Removes results that were not written to for so long, and the oldest ones while all are too large."""
        ...


class FolderSpool:
    """Results as files of a folder, which replicas may share."""

    def __init__(self, folder: Path, max_bytes: int, total_bytes: int) -> None:
        self._folder = folder
        self._files = files.Spool(folder, max_bytes)
        self._total_bytes = total_bytes

    def write(self, run_context_id: str, schema: Any) -> SpoolWriter:
        return self._files.write(run_context_id, schema)

    def finish(self, run_context_id: str, note: Finished) -> None:
        self._files.finish(run_context_id, note)

    def finished(self, run_context_id: str) -> Finished | None:
        return self._files.finished(run_context_id)

    def exists(self, run_context_id: str) -> bool:
        return self._files.exists(run_context_id)

    def read(self, run_context_id: str, ended: Callable[[], bool]) -> io.RawIOBase:
        return self._files.read(run_context_id, ended, lambda: check_whole(self.finished(run_context_id)))

    def remove(self, run_context_ids: Iterable[str]) -> None:
        for run_context_id in run_context_ids:
            self._files.remove(run_context_id)

    def tidy(self, seconds: float) -> None:
        if not self._folder.exists():
            return
        held = sorted((_stat(path) for path in self._folder.iterdir()), reverse=True)
        limit, total = time.time() - seconds, 0
        for written_at, size, path in held:
            total += size
            if written_at < limit or total > self._total_bytes:
                path.unlink(missing_ok=True)


def _stat(path: Path) -> tuple[float, int, Path]:
    try:
        found = path.stat()
    except FileNotFoundError:  # another replica tidies as well
        return time.time(), 0, path
    return found.st_mtime, found.st_size, path
