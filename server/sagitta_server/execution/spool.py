"""Results on disk: written batch by batch, readable while they are still written.

A result is one Arrow IPC stream in a file, and beside it a note that is written last: with the note the result is
complete. A reader that reaches the end of an unfinished file waits for more.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

LOCK = ".lock"
_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Finished:
    """The note beside a complete result."""

    rows: int
    truncated: bool
    error: str | None = None


class SpoolFullError(Exception):
    """A result is larger than it may be."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write a result, among all processes that share the folder."""

    path: Path
    file: int

    def release(self) -> None:
        """Gives the right back."""
        self.path.unlink(missing_ok=True)
        os.close(self.file)


class Spool:
    """The folder of all results."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._grown = threading.Condition()

    def claim(self, name: str) -> Claim | None:
        """The right to write a result, until it is released or the process ends; None while another one has it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{_safe(name)}{LOCK}"
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file).st_ino == path.stat().st_ino:
                    return Claim(path, file)
            except BlockingIOError:
                os.close(file)
                return None
            except FileNotFoundError:  # released between opening and locking
                pass
            os.close(file)

    def write(self, name: str, schema: Any) -> SpoolWriter:
        """Begins a result; one that an earlier attempt left unfinished is replaced."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return SpoolWriter(self._data(name), schema, self._max_bytes, self._notify)

    def finish(self, name: str, note: Finished) -> None:
        """Marks a result as complete."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._note(name)
        partial = path.with_suffix(".part")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        self._notify()

    def finished(self, name: str) -> Finished | None:
        """The note of a complete result; None while it is written, or gone."""
        try:
            return Finished(**json.loads(self._note(name).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def exists(self, name: str) -> bool:
        """Something of the result is there."""
        return self._data(name).exists()

    def attach(self, name: str, data: bytes) -> None:
        """Keeps a few bytes beside a result."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._attachment(name).write_bytes(data)

    def attached(self, name: str) -> bytes | None:
        """What was kept beside a result; None when nothing was."""
        try:
            return self._attachment(name).read_bytes()
        except FileNotFoundError:
            return None

    def touch(self, name: str) -> None:
        """Makes a result as good as new: `remove_older` counts from now."""
        for path in (self._data(name), self._note(name), self._attachment(name)):
            with suppress(FileNotFoundError):
                os.utime(path)

    def remove(self, name: str) -> None:
        """Removes a result and all that is kept beside it."""
        for path in (self._note(name), self._data(name), self._attachment(name)):
            path.unlink(missing_ok=True)

    def read(self, name: str, ended: Callable[[], bool], at_end: Callable[[], None] = lambda: None) -> io.RawIOBase:
        """The bytes of a result, waiting for those that are still to be written.

        Args:
            name: of the result.
            ended: nobody writes any more, although the result is not marked as complete.
            at_end: called when a reader has come to the end; may raise where the end is not the last row.
        """
        return _Following(self._data(name), lambda: self.finished(name) is not None, ended, self._wait, at_end)

    def remove_older(self, seconds: float) -> None:
        """Removes results that were not written to for a while."""
        if not self._folder.exists():
            return
        limit = time.time() - seconds
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # it was removed meanwhile
                if path.stat().st_mtime >= limit:
                    continue
                if path.suffix != LOCK:
                    path.unlink()
                elif (claim := self.claim(path.stem)) is not None:  # its process ended without releasing it
                    claim.release()

    def _data(self, name: str) -> Path:
        return self._folder / f"{_safe(name)}.arrows"

    def _attachment(self, name: str) -> Path:
        return self._folder / f"{_safe(name)}.bin"

    def _note(self, name: str) -> Path:
        return self._folder / f"{_safe(name)}.json"

    def _notify(self) -> None:
        with self._grown:
            self._grown.notify_all()

    def _wait(self) -> None:
        with self._grown:
            self._grown.wait(_WAIT_SECONDS)


class SpoolWriter:
    """Writes one result."""

    def __init__(self, path: Path, schema: Any, max_bytes: int, notify: Callable[[], None]) -> None:
        self._file = path.open("wb")
        path.chmod(0o600)
        self._max_bytes = max_bytes
        self._notify = notify
        self._writer = pa.ipc.new_stream(self._file, schema)
        self._file.flush()

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._writer.close()
        self._file.close()
        self._notify()

    def write(self, batch: Any) -> None:
        """Adds a batch and lets readers see it.

        Raises:
            SpoolFullError: the result would be larger than it may be.
        """
        self._writer.write_batch(batch)
        self._file.flush()
        if self._file.tell() > self._max_bytes:
            raise SpoolFullError
        self._notify()


class _Following(io.RawIOBase):
    """A file that is read while somebody else still writes it."""

    def __init__(
        self,
        path: Path,
        complete: Callable[[], bool],
        ended: Callable[[], bool],
        wait: Callable[[], None],
        at_end: Callable[[], None],
    ) -> None:
        super().__init__()
        self._path = path
        self._complete, self._ended, self._wait, self._at_end = complete, ended, wait, at_end
        self._file: io.BufferedReader | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills some of the buffer; 0 only at the end of a complete result."""
        while True:
            over = self._complete() or self._ended()
            file = self._open()
            count = file.readinto(buffer) if file is not None else 0
            if count:
                return count
            if over:
                self._at_end()
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


def _safe(name: str) -> str:
    if not name or not all(c.isalnum() or c == "-" for c in name):
        raise ValueError("not a name")
    return name
