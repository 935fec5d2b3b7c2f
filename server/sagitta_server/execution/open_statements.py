"""The statements that run against one warehouse, so that closing it can end them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sagitta_server.execution.cancel import CancelReason, CancelToken


class OpenStatements:
    """A set of tokens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: set[CancelToken] = set()

    def add(self, token: CancelToken) -> Callable[[], None]:
        """Remembers a statement; returns what forgets it."""
        with self._lock:
            self._tokens.add(token)

        def forget() -> None:
            with self._lock:
                self._tokens.discard(token)

        return forget

    def cancel_all(self, reason: CancelReason) -> None:
        """Cancels every statement."""
        with self._lock:
            tokens = list(self._tokens)
        for token in tokens:
            token.cancel(reason)
