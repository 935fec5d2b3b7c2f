"""The flags that servers share; each repeats a setting and wins over the environment."""

from __future__ import annotations

from collections.abc import Callable
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

ENGINE = (
    click.option("--model", "model", multiple=True, metavar="FILE", help="A model file to serve; repeat for several."),
    click.option(
        "--source", metavar="URI", help="The warehouse, such as duckdb:///sales.duckdb or postgresql://host/db."
    ),
    click.option("--flight", metavar="HOST:PORT", help="Where Flight SQL listens; port 0 takes a free one."),
    click.option("--grpc", metavar="HOST:PORT", help="Where gRPC listens."),
    click.option("--data-dir", metavar="DIR", help="Where state, cache and generated keys live."),
)
HTTP = click.option("--http", metavar="HOST:PORT", help="Where REST listens.")
READY_FILE = click.option(
    "--ready-file",
    type=click.Path(dir_okay=False),
    metavar="PATH",
    help="Write the addresses as JSON to this file once every surface answers.",
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
    from sagitta_server.config import Settings

    return Settings(**nested(flags))


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
