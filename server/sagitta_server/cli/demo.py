"""`sagitta demo`: TPC-H with its model, served, and how to connect."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from sagitta_server.cli import options
from sagitta_server.cli.lifecycle import Addresses, Ready, run

SQL = 'SELECT "Customer Region", "Revenue", "Order Count" FROM tpch'
"""The question that every printed line asks."""

QUERY = {"select": {"dimensions": ["Customer Region"], "measures": ["Revenue", "Order Count"]}}
"""The same as a query object."""


@click.command("demo")
@click.option(
    "--scale-factor", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, metavar="SF",
    help="How much data: 1 is 6 million order lines, 0.1 a tenth of that.",
)  # fmt: skip
@options.apply((options.FLIGHT, options.GRPC, options.HTTP, options.READY_FILE))
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), default=".sagitta", show_default=True,
    metavar="DIR", help="Where the data is made, and state is kept.",
)  # fmt: skip
def command(*, scale_factor: float, data_dir: Path, ready_file: Path | None, **flags: Any) -> None:
    """Serve TPC-H, a wholesale supplier's orders, parts and stock, with a model of all eight tables.

    The first start makes the data (about ten seconds at scale factor 1); later ones reuse it. Then it prints how to
    connect, each line ready to paste.
    """
    from sagitta_server.demo import tpch

    database = tpch.database(data_dir / "tpch", scale_factor, click.echo)
    chosen = {
        **flags,
        "model": (str(tpch.MODEL),),
        "source": f"duckdb:///{database.absolute()}",
        "data_dir": data_dir,
    }
    run(options.settings_of(chosen), gateway=True, ready=welcoming(scale_factor, ready_file))


def welcoming(scale_factor: float, ready_file: Path | None) -> Ready:
    """Returns what to do once every surface answers: say how to connect, and write the ready file."""

    def ready(addresses: Addresses) -> None:
        click.echo(f"\nTPC-H at scale factor {scale_factor:g} is served. Ask it, each line as it stands:")
        for title, line in connection_lines(addresses):
            click.echo(f"\n{click.style(title, bold=True)}\n  {line}")
        click.echo("\nCtrl-C ends everything.")
        if ready_file is not None:
            addresses.write(ready_file)

    return ready


def connection_lines(addresses: Addresses) -> tuple[tuple[str, str], ...]:
    """Returns a title and a line to paste for each kind of client."""
    host = (addresses.flight or "").removeprefix("grpc://")
    here = Path(sys.executable).parent
    python = (
        "import adbc_driver_flightsql.dbapi as flight; "
        f'cursor = flight.connect("{addresses.flight}", autocommit=True).cursor(); '
        f"cursor.execute({json.dumps(SQL)}); print(cursor.fetch_arrow_table())"
    )
    message = shlex.quote(json.dumps({"semantic_sql": SQL}))
    body = shlex.quote(json.dumps(QUERY))
    return (
        ("sagitta, this command", f"{here / 'sagitta'} query --server {addresses.flight} {shlex.quote(SQL)}"),
        ("ADBC, from Python", f"{sys.executable} -c {shlex.quote(python)}"),
        (
            "JDBC, for DBeaver, Tableau and the like (driver: org.apache.arrow:flight-sql-jdbc-driver)",
            f"jdbc:arrow-flight-sql://{host}/?useEncryption=false",
        ),
        (
            "grpcurl, the SQL that this becomes",
            f"grpcurl -plaintext -d {message} {addresses.grpc} sagitta.semantic.v1.QueryService/CompileQuery",
        ),
        (
            "curl, over REST",
            f"curl -s {addresses.http}/v1/query/execute -H 'content-type: application/json' -d {body}",
        ),
        ("A browser, every REST endpoint", f"{addresses.http}/docs"),
    )
