"""The statements that run against one warehouse, so that closing it can end them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sagitta_server.execution.cancel import CancelReason, CancelToken
from sagitta_server.observability.metrics import STATEMENTS


class OpenStatements:
    """A set of tokens; what they were open for is measured under the name of the source."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._tokens: set[CancelToken] = set()

    def add(self, token: CancelToken) -> Callable[[], None]:
        """Remembers a statement; returns what forgets it."""
        started = time.perf_counter()
        with self._lock:
            self._tokens.add(token)

        def forget() -> None:
            with self._lock:
                self._tokens.discard(token)
            outcome = token.reason.value if token.reason is not None else "ended"
            STATEMENTS.labels(self._source, outcome).observe(time.perf_counter() - started)

        return forget

    def cancel_all(self, reason: CancelReason) -> None:
        """Cancels every statement."""
        with self._lock:
            tokens = list(self._tokens)
        for token in tokens:
            token.cancel(reason)
