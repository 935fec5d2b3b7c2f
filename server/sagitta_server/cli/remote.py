"""Asks a running server over Flight SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import adbc_driver_flightsql.dbapi
from adbc_driver_flightsql import DatabaseOptions


@contextmanager
def answer(question: str, server: str, token: str | None) -> Iterator[Any]:
    """Runs a query and opens its result, a `pyarrow.RecordBatchReader`; closing it cancels what still runs."""
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"} if token else {}
    with (
        adbc_driver_flightsql.dbapi.connect(server, db_kwargs=options, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(question)
        with cursor.fetch_record_batch() as reader:
            yield reader
