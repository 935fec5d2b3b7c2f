"""The command line. `sagitta --help` lists the commands; each has a module of its own.

Nothing heavy is imported before a command runs, so that help is instant.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib import metadata

import click

from sagitta_server.cli.failures import failure

COMMANDS = {
    "demo": "Serve generated TPC-H data with its model; the quickest way to see everything work.",
    "serve": "Start everything: Flight SQL, gRPC and, as a child process, the REST gateway.",
    "engine": "Start Flight SQL and gRPC without the gateway.",
    "gateway": "Start the REST gateway alone; it asks an engine over gRPC.",
    "validate": "Check model files and point at every mistake.",
    "convert": "Convert a model to OSI and back, or to an RDF graph.",
    "compile": "Show the SQL of a query, and why it is that SQL.",
    "describe": "Show what can be asked of a model, and what it is made of.",
    "query": "Ask a running server, or a model file and a warehouse, and write the answer.",
    "extract": "Pull a large result into files, in parallel parts, and resume a killed job.",
    "token": "Print a bearer token for development.",
    "health": "Ask a running server whether it can serve.",
    "settings": "Show every setting, its value here and what it is for.",
}
"""The commands in the order of the help, and what they are for."""

EPILOG = """
\b
Examples:
  sagitta demo                                            TPC-H, ready to ask
  sagitta validate sales.yaml                             what is wrong with a model
  sagitta compile sales.yaml 'SELECT "Region", "Revenue" FROM sales'
  sagitta serve --model sales.yaml --source duckdb:///sales.duckdb
  sagitta query 'SELECT "Region", "Revenue" FROM sales'   ask the server on this machine

Every flag of a server is also a setting: see docs/configuration.md.
"""


class Commands(click.Group):
    """Imports a command's module when it is asked for, and turns every failure into one clear line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sagitta_server.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            raise failure(error) from error


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(metadata.version("sagitta"), prog_name="sagitta")
def cli() -> None:
    """Sagitta, a semantic layer served over Arrow Flight SQL, gRPC and REST.

    A model, written in OBML YAML, names the dimensions, measures and metrics of a warehouse. Clients ask for measures
    by dimensions; Sagitta compiles that to SQL, runs it where the data is, and streams Arrow back.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits."""
    try:
        cli.main(args=arguments, prog_name="sagitta")
    except SystemExit as ended:
        if "sagitta_server.flight.server" in sys.modules:
            from sagitta_server.cli.lifecycle import leave_stuck_calls

            leave_stuck_calls(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
        raise
