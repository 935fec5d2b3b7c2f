"""A running query: what is known before its rows, the rows, and what is known after them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sagitta_compiler import CompiledQuery, Diagnostic, Severity

from sagitta_server.cache import Freshness, freshness_warnings
from sagitta_server.execution import ResultStream, batches_of


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What is known after the last row."""

    row_count: int
    execution_time_ms: float
    truncated: bool
    warnings: tuple[Diagnostic, ...]


@dataclass(slots=True)
class Run:
    """A query on its way; read `batches` to the end, then ask for the `summary`; always `close` it."""

    compiled: CompiledQuery
    stream: ResultStream
    timezone: str
    locale: str
    cut_at: int | None
    """Rows after which the default limit cuts; the statement asks for one more, to know whether it did."""
    started: float
    cached_at: dt.datetime | None
    freshness: Freshness | None
    _rows: int = field(default=0, init=False)
    _truncated: bool = field(default=False, init=False)
    _elapsed: float | None = field(default=None, init=False)

    @property
    def schema(self) -> Any:
        """The `pyarrow.Schema` of the batches."""
        return self.stream.schema

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the compilation and the cache warned of."""
        return (*self.compiled.warnings, *(freshness_warnings(self.freshness) if self.freshness else ()))

    def batches(self) -> Iterator[Any]:
        """Yields `pyarrow.RecordBatch`es, never more rows than `cut_at`."""
        for batch in batches_of(self.stream):
            if self.cut_at is not None and self._rows + batch.num_rows > self.cut_at:
                self._truncated = True
                rest = self.cut_at - self._rows
                self._rows += rest
                if rest:
                    yield batch.slice(0, rest)
                continue  # reads the stream to its end, so that the cache may keep it
            self._rows += batch.num_rows
            yield batch
        self._elapsed = time.perf_counter() - self.started

    @property
    def summary(self) -> RunSummary:
        """What is known now that the batches have been read."""
        elapsed = self._elapsed if self._elapsed is not None else time.perf_counter() - self.started
        return RunSummary(
            row_count=self._rows,
            execution_time_ms=round(elapsed * 1000, 2),
            truncated=self._truncated,
            warnings=(_large_result(self.cut_at),) if self._truncated and self.cut_at is not None else (),
        )

    def close(self) -> None:
        """Gives the connection back."""
        self.stream.close()


def _large_result(limit: int) -> Diagnostic:
    return Diagnostic(
        "LARGE_RESULT_SET",
        f"The result has more than {limit} rows and was cut there, because the query states no limit.",
        "limit",
        Severity.WARNING,
        hint="State a limit, or page with limit and offset; bulk reads are for Flight SQL.",
        context={"limit": limit},
    )
