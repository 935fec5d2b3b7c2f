"""Results of runs in the state database, so that every replica can serve the rows of every run.

The stream of a result is cut into parts of about a mebibyte, each committed on its own; they go with their run.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, delete, func, insert, select, update

from sagitta_server.reviews.spool import Finished, SpoolFullError, SpoolWriter, check_whole
from sagitta_server.reviews.store.tables import RESULT_PARTS, RESULTS
from sagitta_server.state import Database

PART_BYTES = 1_048_576
_PART_SECONDS = 0.5
_WAIT_SECONDS = 0.1


class TableSpool:
    """Results as rows of the state database."""

    def __init__(self, database: Database, max_bytes: int, total_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._total_bytes = total_bytes

    def write(self, run_context_id: str, schema: Any) -> SpoolWriter:
        with self._database.write() as connection:
            self._begin(connection, run_context_id)
        return _TableWriter(self._database, run_context_id, schema, self._max_bytes)

    def finish(self, run_context_id: str, note: Finished) -> None:
        known = update(RESULTS).where(RESULTS.c.run_context_id == run_context_id)
        values = {"rows": note.rows, "truncated": note.truncated, "error": note.error, "is_complete": True}
        with self._database.write() as connection:
            if connection.execute(known.values(**values, written_at=_now())).rowcount == 0:
                self._begin(connection, run_context_id, **values)

    def finished(self, run_context_id: str) -> Finished | None:
        query = select(RESULTS.c.rows, RESULTS.c.truncated, RESULTS.c.error).where(
            RESULTS.c.run_context_id == run_context_id, RESULTS.c.is_complete
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Finished(row.rows, row.truncated, row.error)

    def exists(self, run_context_id: str) -> bool:
        query = select(RESULTS.c.run_context_id).where(RESULTS.c.run_context_id == run_context_id)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def read(self, run_context_id: str, ended: Callable[[], bool]) -> io.RawIOBase:
        def part(number: int) -> bytes | None:
            query = select(RESULT_PARTS.c.content).where(
                RESULT_PARTS.c.run_context_id == run_context_id, RESULT_PARTS.c.part == number
            )
            with self._database.read() as connection:
                return connection.execute(query).scalar_one_or_none()

        return _FollowingParts(part, lambda: self.finished(run_context_id), ended)

    def remove(self, run_context_ids: Iterable[str]) -> None:
        with self._database.write() as connection:
            connection.execute(delete(RESULTS).where(RESULTS.c.run_context_id.in_(tuple(run_context_ids))))

    def tidy(self, seconds: float) -> None:
        limit = _now() - timedelta(seconds=seconds)
        newest = select(
            RESULTS.c.run_context_id,
            func.sum(RESULTS.c.bytes)
            .over(order_by=(RESULTS.c.written_at.desc(), RESULTS.c.run_context_id))
            .label("sum"),
        ).subquery()
        too_much = select(newest.c.run_context_id).where(newest.c.sum > self._total_bytes)
        with self._database.write() as connection:
            connection.execute(delete(RESULTS).where(RESULTS.c.written_at < limit))
            connection.execute(delete(RESULTS).where(RESULTS.c.run_context_id.in_(too_much)))

    @staticmethod
    def _begin(connection: Connection, run_context_id: str, **values: Any) -> None:
        connection.execute(delete(RESULTS).where(RESULTS.c.run_context_id == run_context_id))
        fresh = {"rows": 0, "truncated": False, "error": None, "is_complete": False, **values}
        connection.execute(insert(RESULTS).values(run_context_id=run_context_id, bytes=0, written_at=_now(), **fresh))


class _TableWriter:
    """Writes one result in parts."""

    def __init__(self, database: Database, run_context_id: str, schema: Any, max_bytes: int) -> None:
        self._database = database
        self._run_context_id = run_context_id
        self._max_bytes = max_bytes
        self._number = 0
        self._bytes = 0
        self._flushed_at = time.monotonic()
        self._held = io.BytesIO()
        self._writer = pa.ipc.new_stream(self._held, schema)

    def __enter__(self) -> _TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is None:
            self._writer.close()
            self._flush()

    def write(self, batch: Any) -> None:
        self._writer.write_batch(batch)
        if self._bytes + self._held.tell() > self._max_bytes:
            raise SpoolFullError
        if self._held.tell() >= PART_BYTES or time.monotonic() - self._flushed_at > _PART_SECONDS:
            self._flush()

    def _flush(self) -> None:
        content = self._held.getvalue()
        self._held.seek(0)
        self._held.truncate()
        parts = [content[at : at + PART_BYTES] for at in range(0, len(content), PART_BYTES)]
        self._bytes += len(content)
        with self._database.write() as connection:
            for part in parts:
                connection.execute(
                    insert(RESULT_PARTS).values(run_context_id=self._run_context_id, part=self._number, content=part)
                )
                self._number += 1
            known = update(RESULTS).where(RESULTS.c.run_context_id == self._run_context_id)
            connection.execute(known.values(bytes=self._bytes, written_at=_now()))
        self._flushed_at = time.monotonic()


class _FollowingParts(io.RawIOBase):
    """Parts that are read while somebody else still writes them."""

    def __init__(
        self, part: Callable[[int], bytes | None], note: Callable[[], Finished | None], ended: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._part, self._note, self._ended = part, note, ended
        self._number = 0
        self._held = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills some of the buffer; 0 only at the end of a complete result."""
        while not self._held:
            over = self._note() is not None or self._ended()
            content = self._part(self._number)
            if content is not None:
                self._held = memoryview(content)
                self._number += 1
            elif over:
                check_whole(self._note())
                return 0
            else:
                time.sleep(_WAIT_SECONDS)
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


def _now() -> datetime:
    return datetime.now(UTC)
