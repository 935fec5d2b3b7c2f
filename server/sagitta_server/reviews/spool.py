"""Results of runs: written batch by batch, readable while they are still written.

A result is one Arrow IPC stream, and beside it a note that is written last: with the note the result is complete. A
reader that reaches the end of an unfinished stream waits for more. Where the bytes lie is a matter of the two stores:
`FolderSpool` and, for replicas that share nothing but the state database, `TableSpool`.
"""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import pyarrow as pa

from sagitta_server.reviews.errors import ReviewError

_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Finished:
    """The note beside a complete result."""

    rows: int
    truncated: bool
    error: str | None = None


class SpoolFullError(Exception):
    """A result is larger than a run may keep."""


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
        self._max_bytes = max_bytes
        self._total_bytes = total_bytes
        self._grown = threading.Condition()

    def write(self, run_context_id: str, schema: Any) -> SpoolWriter:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _FileWriter(self._data(run_context_id), schema, self._max_bytes, self._notify)

    def finish(self, run_context_id: str, note: Finished) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._note(run_context_id)
        partial = path.with_suffix(".part")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        self._notify()

    def finished(self, run_context_id: str) -> Finished | None:
        try:
            return Finished(**json.loads(self._note(run_context_id).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def exists(self, run_context_id: str) -> bool:
        return self._data(run_context_id).exists()

    def read(self, run_context_id: str, ended: Callable[[], bool]) -> io.RawIOBase:
        return _FollowingFile(self._data(run_context_id), lambda: self.finished(run_context_id), ended, self._wait)

    def remove(self, run_context_ids: Iterable[str]) -> None:
        for run_context_id in run_context_ids:
            self._note(run_context_id).unlink(missing_ok=True)
            self._data(run_context_id).unlink(missing_ok=True)

    def tidy(self, seconds: float) -> None:
        if not self._folder.exists():
            return
        held = sorted((_stat(path) for path in self._folder.iterdir()), reverse=True)
        limit, total = time.time() - seconds, 0
        for written_at, size, path in held:
            total += size
            if written_at < limit or total > self._total_bytes:
                path.unlink(missing_ok=True)

    def _data(self, run_context_id: str) -> Path:
        return self._folder / f"{safe_id(run_context_id)}.arrows"

    def _note(self, run_context_id: str) -> Path:
        return self._folder / f"{safe_id(run_context_id)}.json"

    def _notify(self) -> None:
        with self._grown:
            self._grown.notify_all()

    def _wait(self) -> None:
        with self._grown:
            self._grown.wait(_WAIT_SECONDS)


class _FileWriter:
    """Writes one result to a file."""

    def __init__(self, path: Path, schema: Any, max_bytes: int, notify: Callable[[], None]) -> None:
        self._file = path.open("wb")
        path.chmod(0o600)
        self._max_bytes = max_bytes
        self._notify = notify
        self._writer = pa.ipc.new_stream(self._file, schema)
        self._file.flush()

    def __enter__(self) -> _FileWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._writer.close()
        self._file.close()
        self._notify()

    def write(self, batch: Any) -> None:
        self._writer.write_batch(batch)
        self._file.flush()
        if self._file.tell() > self._max_bytes:
            raise SpoolFullError
        self._notify()


class _FollowingFile(io.RawIOBase):
    """A file that is read while somebody else still writes it."""

    def __init__(
        self, path: Path, note: Callable[[], Finished | None], ended: Callable[[], bool], wait: Callable[[], None]
    ) -> None:
        super().__init__()
        self._path = path
        self._note, self._ended, self._wait = note, ended, wait
        self._file: io.BufferedReader | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills some of the buffer; 0 only at the end of a complete result."""
        while True:
            over = self._note() is not None or self._ended()
            file = self._open()
            count = file.readinto(buffer) if file is not None else 0
            if count:
                return count
            if over:
                check_whole(self._note())
                return 0
            self._wait()

    def close(self) -> None:
        """Closes the file below."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _open(self) -> io.BufferedReader | None:
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return None
        return self._file


def _stat(path: Path) -> tuple[float, int, Path]:
    try:
        found = path.stat()
    except FileNotFoundError:  # another replica tidies as well
        return time.time(), 0, path
    return found.st_mtime, found.st_size, path


def safe_id(run_context_id: str) -> str:
    """The id, which is safe as a file's name.

    Raises:
        ValueError: it is not an id of a run.
    """
    if not run_context_id or not all(c.isalnum() or c == "-" for c in run_context_id):
        raise ValueError("not a run id")
    return run_context_id
