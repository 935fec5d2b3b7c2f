"""`sagitta gateway`: the REST gateway alone."""

from __future__ import annotations

import os
import sys

import click


@click.command(
    "gateway", context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(*, arguments: tuple[str, ...]) -> None:
    """Serve REST until Ctrl-C, asking an engine over gRPC.

    \b
      sagitta gateway --engine engine.internal:50051 --http 0.0.0.0:8080
    """
    # The gateway is a program of its own, and this package must not know it: the process becomes the gateway.
    os.execv(sys.executable, [sys.executable, "-m", "sagitta_gateway", *arguments])  # noqa: S606
