"""`sagitta validate`: every mistake of a model, with its place."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("validate")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--strict", is_flag=True, help="Let warnings fail as well.")
@click.pass_context
def command(ctx: click.Context, *, files: tuple[Path, ...], strict: bool) -> None:
    """Check model FILEs and point at every mistake, as file:line:column.

    No warehouse is asked. The exit code is 1 when a model has errors.

    \b
      sagitta validate sales.yaml stock.yaml
      sagitta validate --strict models/*.yaml
    """
    from sagitta_server.cli import models

    failed = False
    for path in files:
        loaded = models.load(path)
        for line in models.lines(path, loaded.diagnostics, loaded):
            click.echo(line, err=True)
        failed |= loaded.model is None or (strict and bool(loaded.diagnostics))
        if loaded.model is not None:
            click.echo(f"{path}: valid, {contents(loaded.model)}")
    if failed:
        ctx.exit(1)


def contents(model: object) -> str:
    """Returns what a model holds, in numbers."""
    kinds = (
        ("objects", "data objects"),
        ("dimensions", "dimensions"),
        ("measures", "measures"),
        ("metrics", "metrics"),
    )
    return ", ".join(f"{len(getattr(model, name))} {words}" for name, words in kinds)
