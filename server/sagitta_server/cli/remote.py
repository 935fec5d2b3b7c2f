"""Asks a running server over Flight SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
from adbc_driver_flightsql import DatabaseOptions

from sagitta_server.cli.failures import Failure

UNAVAILABLE = 14
"""The gRPC code of a server that cannot be reached."""


@contextmanager
def answer(question: str, server: str, token: str | None) -> Iterator[Any]:
    """Runs a query and opens its result, a `pyarrow.RecordBatchReader`; closing it cancels what still runs."""
    try:
        with result(question, server, token) as reader:
            yield reader
    except adbc_driver_manager.OperationalError as error:
        if error.vendor_code != UNAVAILABLE:
            raise
        hint = "Start one with `sagitta serve` or `sagitta demo`, or say where it is with --server."
        raise Failure("UNAVAILABLE", f"no server answers at {server}", hint) from error


@contextmanager
def result(question: str, server: str, token: str | None) -> Iterator[Any]:
    """Opens the result on a connection of its own."""
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"} if token else {}
    with (
        adbc_driver_flightsql.dbapi.connect(server, db_kwargs=options, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(question)
        with cursor.fetch_record_batch() as reader:
            yield reader
