"""The ceiling of `flight_ceiling`: a Flight server that hands DuckDB's native reader over and does nothing else.

Usage: python bare_flight_server.py DATABASE; prints its port.
"""

from __future__ import annotations

import sys
from typing import Any

import duckdb
from pyarrow import flight


class BareServer(flight.FlightServerBase):  # type: ignore[misc]
    """The ticket is the SQL."""

    def __init__(self, database: str) -> None:
        self._database = duckdb.connect(database, read_only=True)
        super().__init__("grpc://127.0.0.1:0")

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        schema = self._database.cursor().sql(descriptor.command.decode()).limit(0).to_arrow_table().schema
        return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(descriptor.command, [])], -1, -1)

    def do_get(self, context: Any, ticket: Any) -> Any:
        cursor = self._database.cursor()
        return flight.RecordBatchStream(cursor.sql(ticket.ticket.decode()).to_arrow_reader(8192))


if __name__ == "__main__":
    server = BareServer(sys.argv[1])
    print(server.port, flush=True)
    server.serve()
