"""`sagitta compile`: the SQL of a query, and why it is that SQL."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import click


@click.command("compile")
@click.argument("model", metavar="MODEL", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("text", metavar="[QUERY]", required=False)
@click.option(
    "-f", "--file", type=click.File(encoding="utf-8"), help="Read the query from a file; - is standard input."
)
@click.option("--dialect", metavar="NAME", help="Default: the model's own, else duckdb.")
@click.option("--explain", is_flag=True, help="Show the plan: each leg, each join and its reason.")
def command(*, model: Path, text: str | None, file: IO[str] | None, dialect: str | None, explain: bool) -> None:
    """Show the SQL that QUERY becomes with the model file MODEL. Nothing is executed.

    QUERY is SQL on the model's virtual table, or a query object in JSON or YAML:

    \b
      sagitta compile sales.yaml 'SELECT "Region", "Revenue" FROM sales'
      sagitta compile sales.yaml --dialect snowflake -f query.yaml
      sagitta compile sales.yaml --explain '{"select": {"measures": ["Revenue"]}}'
    """
    from sagitta_server.cli import models
    from sagitta_server.cli.query import read_question

    question = read_question(text, file)
    compiled = models.compiled(models.usable(model), question, dialect)
    for line in models.lines(Path("query"), compiled.warnings):
        click.echo(line, err=True)
    if explain:
        click.echo(compiled.explain.tree)
        click.echo()
    click.echo(compiled.sql)
