"""Shows how far an extraction is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sagitta_server.extraction.job import Progress as Report


@contextmanager
def shown(quiet: bool) -> Iterator[Report]:
    """Shows a bar on standard error while rows arrive, if someone is looking."""
    if quiet or not sys.stderr.isatty():
        yield lambda _rows, _total: None
        return
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    lock = threading.Lock()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rows", total=None)

        def report(rows: int, total: int | None) -> None:
            with lock:
                if total is not None:
                    bar.update(task, total=total)
                bar.advance(task, rows)

        yield report
