"""Waiting for what comes in its own time: a test that sleeps instead fails on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG_SECONDS = 60.0
"""What a busy machine is given; an idle one is done at once."""
_LOOK_SECONDS = 0.01


def until(condition: Callable[[], bool], seconds: float = LONG_SECONDS) -> None:
    """Waits for a condition.

    Raises:
        AssertionError: it did not come in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(_LOOK_SECONDS)
