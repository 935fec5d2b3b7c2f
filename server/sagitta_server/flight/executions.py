"""Several executions of one statement as one result: one after another, in the order of their parameters."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from sagitta_server.execution import CancelToken, ResultStream, SourceError, batches_of, conform
from sagitta_server.flight.statements import Plan

Run = Callable[[Plan, CancelToken], ResultStream]
"""Starts one execution."""


def one_after_another(plans: Sequence[Plan], schema: Any, run: Run, token: CancelToken) -> ResultStream:
    """Returns the concatenated rows of several plans; each starts when the one before it has ended."""
    executions = _Executions(plans, schema, run, token)

    def close() -> None:
        executions.close()
        token.finish()

    return ResultStream(
        schema=schema,
        raw=pa.RecordBatchReader.from_batches(schema, executions.batches()),
        cancel=token.cancel,
        close=close,
        token=token,
        translate=executions.told,
    )


class _Executions:
    """The execution that runs now, and those that follow."""

    def __init__(self, plans: Sequence[Plan], schema: Any, run: Run, token: CancelToken) -> None:
        self._plans, self._schema, self._run, self._token = plans, schema, run, token
        self._current: ResultStream | None = None
        self._call = contextvars.copy_context()
        """That of the call; the library asks for batches on a thread of its own."""

    def batches(self) -> Iterator[Any]:
        for plan in self._plans:
            self._token.raise_if_cancelled()
            part = self._token.part()
            try:
                self._current = conform(self._call.run(self._run, plan, part), self._schema)
                yield from batches_of(self._current)
            finally:
                self.close()
                part.finish()

    def close(self) -> None:
        if self._current is not None:
            self._current.close()

    def told(self, error: Exception) -> SourceError:
        if self._token.cancelled:
            return self._token.error()
        return SourceError(str(error)) if self._current is None else self._current.translate(error)
