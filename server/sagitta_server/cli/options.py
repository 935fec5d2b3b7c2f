"""The flags that commands share: those of servers (each a setting, over the environment) and those of clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sagitta_server.config import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

FLAGS = {
    "model": ("models", "files"),
    "source": ("sources", "default", "uri"),
    "flight": ("flight", "address"),
    "grpc": ("grpc", "address"),
    "http": ("http", "address"),
    "data_dir": ("data_dir",),
}
"""Each flag and the setting that it is."""


class Address(click.ParamType[str]):
    """`HOST:PORT`; an IPv6 host stands in brackets."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        host, colon, port = str(value).rpartition(":")
        if not (host and colon and port.isdigit() and int(port) < 65_536):
            self.fail(f"{value!r} is not HOST:PORT, such as 127.0.0.1:0", param, ctx)
        return str(value)


MODEL = click.option("--model", multiple=True, metavar="FILE", help="A model file to serve; repeat for several.")
SOURCE = click.option(
    "--source", metavar="URI", help="The warehouse, such as duckdb:///sales.duckdb or postgresql://host/db."
)
FLIGHT = click.option(
    "--flight", type=Address(), metavar="HOST:PORT", help="Where Flight SQL listens; port 0 takes a free one."
)
GRPC = click.option("--grpc", type=Address(), metavar="HOST:PORT", help="Where gRPC listens.")
HTTP = click.option("--http", type=Address(), metavar="HOST:PORT", help="Where REST listens.")
DATA_DIR = click.option("--data-dir", metavar="DIR", help="Where state, cache and generated keys live.")
READY_FILE = click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Write the addresses as JSON to this file once every surface answers.",
)
SERVER = click.option(
    "--server",
    envvar="SAGITTA_SERVER",
    show_envvar=True,
    default="grpc://127.0.0.1:32010",
    show_default=True,
    metavar="URI",
    help="The Flight SQL address of a running server.",
)
TOKEN = click.option(
    "--token", envvar="SAGITTA_TOKEN", show_envvar=True, metavar="TOKEN", help="Bearer token or API key."
)
CA = click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="PEM file of the authority that signed the server's certificate (grpc+tls://).",
)


def apply(options: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    """Returns a decorator that adds options in the order in which they are listed."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def settings_of(flags: dict[str, Any]) -> Settings:
    """Returns the settings: flags over environment over file."""
    from sagitta_server.config import read_settings

    return read_settings(**nested(flags))


def nested(flags: dict[str, Any]) -> dict[str, Any]:
    """Returns the flags that were given as the nested settings that they are."""
    values: dict[str, Any] = {}
    for flag, path in FLAGS.items():
        given = flags.get(flag)
        if given is None or given == ():
            continue
        place = values
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = given
    return values
