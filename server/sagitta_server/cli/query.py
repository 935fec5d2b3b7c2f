"""`sagitta query`: asks a running server, or a model file and a warehouse, and writes the answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from sagitta_server.cli import options
from sagitta_server.cli.failures import Failure

FORMATS = ("table", "csv", "json", "parquet", "arrow")
BINARY = ("parquet", "arrow")

Count = Callable[[int, int], None]
"""Takes the rows and bytes of one more batch."""


@click.command("query")
@click.argument("text", metavar="[QUERY]", required=False)
@click.option(
    "-f", "--file", type=click.File(encoding="utf-8"), help="Read the query from a file; - is standard input."
)
@options.SERVER
@options.TOKEN
@options.CA
@click.option("--model", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Ask this model file instead of a server (needs --source).")  # fmt: skip
@click.option("--source", metavar="URI", help="The warehouse of --model, such as duckdb:///sales.duckdb.")
@click.option("--format", "chosen", type=click.Choice(FORMATS), help="Default: by the file's name, else table.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@click.option("--rows", default=100, show_default=True, type=click.IntRange(min=1), help="Rows that a table shows.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(
    *,
    text: str | None,
    file: IO[str] | None,
    server: str,
    token: str | None,
    ca: Path | None,
    model: Path | None,
    source: str | None,
    chosen: str | None,
    output: Path | None,
    rows: int,
    quiet: bool,
) -> None:
    """Ask QUERY and write the answer, batch by batch.

    QUERY is SQL on a model's virtual table, or a query object in JSON or YAML:

    \b
      sagitta query 'SELECT "Customer Region", "Revenue" FROM tpch'
      sagitta query -f top_customers.yaml --format json
      sagitta query 'SELECT "Brand", "Revenue" FROM tpch' -o brands.parquet
      sagitta query --model sales.yaml --source duckdb:///sales.duckdb -f query.sql
    """
    from sagitta_server.cli import output as formats

    question = read_question(text, file)
    kind = formats.format_of(output, chosen)
    if kind in BINARY and output is None and sys.stdout.isatty():
        raise Failure("BINARY_OUTPUT", f"{kind} is not for terminals", "Name a file with -o, or redirect the output.")
    looking = not quiet and sys.stderr.isatty() and (output is not None or kind == "table" or not sys.stdout.isatty())
    with sink(output) as out, answer(question, server, token, ca, model, source) as reader, progress(looking) as count:
        write(reader, formats.writer(kind, reader.schema, out, rows), count)


def read_question(text: str | None, file: IO[str] | None) -> str:
    """Returns the query's text, given as an argument or in a file, not both."""
    if (text is None) == (file is None):
        raise click.UsageError("Give a QUERY or --file, one of the two.")
    return text if text is not None else file.read()  # type: ignore[union-attr]


@contextmanager
def answer(
    question: str, server: str, token: str | None, ca: Path | None, model: Path | None, source: str | None
) -> Iterator[Any]:
    """Opens the stream of batches, a `pyarrow.RecordBatchReader`."""
    if (model is None) != (source is None):
        raise click.UsageError("--model and --source go together: the model file, and where its tables are.")
    if model is not None and source is not None:
        from sagitta_server.cli import local

        with local.answer(question, model, source) as reader:
            yield reader
    else:
        from sagitta_server.cli import remote

        with remote.answer(question, server, token, ca) as reader:
            yield reader


def write(reader: Any, writer: Any, count: Count) -> None:
    """Moves every batch from the stream to the writer."""
    for batch in reader:
        writer.write(batch)
        count(batch.num_rows, batch.nbytes)
    writer.close()


@contextmanager
def sink(output: Path | None) -> Iterator[IO[bytes]]:
    """Opens the output; a file appears under its name only when it is complete."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = output.with_name(f".{output.name}.partial")
    if not output.parent.is_dir():
        raise Failure("NO_SUCH_FOLDER", f"there is no folder {output.parent}", "Make it, or write somewhere else.")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def progress(looking: bool) -> Iterator[Count]:
    """Shows rows, bytes and time on standard error while the result arrives, if someone is looking."""
    if not looking:
        yield lambda _rows, _size: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("{task.fields[size]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, rows=0, size="0 MB")
        total_rows = total_size = 0

        def count(rows: int, size: int) -> None:
            nonlocal total_rows, total_size
            total_rows += rows
            total_size += size
            bar.update(task, rows=total_rows, size=f"{total_size / 1e6:,.0f} MB")

        yield count
