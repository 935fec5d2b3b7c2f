"""`sagitta engine`: Flight SQL and gRPC without the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sagitta_server.cli import options
from sagitta_server.cli.lifecycle import run
from sagitta_server.cli.serve import announcing


@click.command("engine")
@options.apply((options.MODEL, options.SOURCE, options.FLIGHT, options.GRPC, options.DATA_DIR, options.READY_FILE))
def command(*, ready_file: Path | None, **flags: Any) -> None:
    """Serve models over Flight SQL and gRPC until Ctrl-C.

    \b
      sagitta engine --model sales.yaml --source postgresql://reader@host/db --grpc 0.0.0.0:50051

    An engine is complete without a gateway. Start as many as needed behind a gRPC load balancer: they share nothing but
    the state database (SAGITTA_STATE_URL). Gateways find them with --engine.
    """
    run(options.settings_of(flags), gateway=False, ready=announcing(ready_file))
