"""Asks a running server over Flight SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
from adbc_driver_flightsql import DatabaseOptions

from sagitta_server.cli.failures import Failure

UNAVAILABLE = 14
"""The gRPC code of a server that cannot be reached."""


@contextmanager
def answer(question: str, server: str, token: str | None, ca: Path | None = None) -> Iterator[Any]:
    """Runs a query and opens its result, a `pyarrow.RecordBatchReader`; closing it cancels what still runs."""
    with reached(server), result(question, server, token, ca) as reader:
        yield reader


def models(server: str, token: str | None, ca: Path | None = None) -> list[str]:
    """The names of the served models."""
    with reached(server), connected(server, token, ca) as connection:
        catalogs = connection.adbc_get_objects(depth="db_schemas").read_all().to_pylist()
    return [schema["db_schema_name"] for catalog in catalogs for schema in catalog["catalog_db_schemas"]]


@contextmanager
def reached(server: str) -> Iterator[None]:
    """Says what to do when nothing answers at the address."""
    try:
        yield
    except adbc_driver_manager.OperationalError as error:
        if error.vendor_code != UNAVAILABLE:
            raise
        hint = "Start one with `sagitta serve` or `sagitta demo`, or say where it is with --server."
        raise Failure("UNAVAILABLE", f"no server answers at {server}", hint) from error


@contextmanager
def result(question: str, server: str, token: str | None, ca: Path | None) -> Iterator[Any]:
    """Opens the result on a connection of its own."""
    with connected(server, token, ca) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        with cursor.fetch_record_batch() as reader:
            yield reader


@contextmanager
def connected(server: str, token: str | None, ca: Path | None) -> Iterator[Any]:
    """Opens a connection."""
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"} if token else {}
    if ca is not None:
        options[DatabaseOptions.TLS_ROOT_CERTS.value] = ca.read_text(encoding="ascii")
    with adbc_driver_flightsql.dbapi.connect(server, db_kwargs=options, autocommit=True) as connection:
        yield connection
