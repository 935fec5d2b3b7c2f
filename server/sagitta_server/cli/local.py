"""Asks a warehouse directly, with a model file and no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sagitta_server.cli import models
from sagitta_server.execution import open_source
from sagitta_server.execution.settings import SourceSettings


@contextmanager
def answer(question: str, model: Path, uri: str) -> Iterator[Any]:
    """Runs a query and opens its result, a `pyarrow.RecordBatchReader`."""
    source = open_source("source", SourceSettings(uri=uri))
    try:
        compiled = models.compiled(models.usable(model), question, source.dialect)
        stream = source.execute(compiled.sql)
        try:
            yield stream.reader
        finally:
            stream.close()
    finally:
        source.close()
