"""`sagitta serve`: the engine, and the gateway as its child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sagitta_server.cli import options
from sagitta_server.cli.lifecycle import Addresses, Ready, run


@click.command("serve")
@options.apply(
    (options.MODEL, options.SOURCE, options.FLIGHT, options.GRPC, options.HTTP, options.DATA_DIR, options.READY_FILE)
)
def command(*, ready_file: Path | None, **flags: Any) -> None:
    """Serve models over Flight SQL, gRPC and REST until Ctrl-C.

    \b
      sagitta serve --model sales.yaml --source duckdb:///sales.duckdb
      sagitta serve --model sales.yaml --model stock.yaml --source postgresql://reader@host/db
      sagitta serve                       clients load models into sessions of their own

    The gateway is a child process, so that making JSON never slows streams down; it ends with its parent. A flag wins
    over its setting (docs/configuration.md, sagitta settings).
    """
    run(options.settings_of(flags), gateway=True, ready=announcing(ready_file))


def announcing(ready_file: Path | None) -> Ready:
    """Returns what to do once every surface answers: say where, and write the ready file."""

    def ready(addresses: Addresses) -> None:
        for name, place in (("Flight SQL", addresses.flight), ("gRPC", addresses.grpc), ("REST", addresses.http)):
            if place:
                click.echo(f"{name:<11}{place}")
        if addresses.http:
            click.echo(f"{'API docs':<11}{addresses.http}/docs")
        if ready_file is not None:
            addresses.write(ready_file)

    return ready
