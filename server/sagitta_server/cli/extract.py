"""`sagitta extract`: pulls a large result in parallel parts, and goes on where a killed job ended."""

from __future__ import annotations

from pathlib import Path

import click

from sagitta_server.cli import options


@click.command("extract")
@click.argument("text", metavar="QUERY")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="The folder of the parts and of manifest.json.")  # fmt: skip
@click.option("--format", "kind", type=click.Choice(["parquet", "arrow", "csv"]), default="parquet", show_default=True,
              help="What each part is written as.")  # fmt: skip
@click.option("--partitions", type=click.IntRange(min=1, max=1024), default=4, show_default=True, metavar="N",
              help="Parts into which the server cuts the result.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Parts pulled at once.")
@click.option("--retries", type=click.IntRange(min=0), default=5, show_default=True,
              help="How often a part is tried again after a failure.")  # fmt: skip
@options.SERVER
@options.TOKEN
@options.CA
@click.option("--restart", is_flag=True, help="Begin anew, whatever the folder holds.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(
    *,
    text: str,
    out: Path,
    kind: str,
    partitions: int,
    jobs: int,
    retries: int,
    server: str,
    token: str | None,
    ca: Path | None,
    restart: bool,
    quiet: bool,
) -> None:
    """Pull the whole result of QUERY into files, in parallel.

    The server cuts the result into disjoint parts; each is written to a file of its own, tried again alone when it
    fails, and counted. A job that was killed goes on where it ended when the same command runs again.

    \b
      sagitta extract 'SELECT * FROM tpch."Line Item"' --out lines --partitions 8
      sagitta extract 'SELECT "Customer Name", "Revenue" FROM tpch' --out top --format csv
    """
    from sagitta_server.cli.failures import Failure
    from sagitta_server.extraction.job import ExtractionError, Job
    from sagitta_server.extraction.progress import shown

    authority = ca.read_bytes() if ca is not None else None
    job = Job(text, out, kind, partitions=partitions, server=server, token=token, retries=retries, ca=authority)
    try:
        with shown(quiet) as progress:
            manifest = job.run(jobs, progress, restart=restart)
    except ExtractionError as error:
        raise Failure(error.code, str(error), error.hint) from error
    click.echo(f"{manifest.rows:,} rows in {len(manifest.parts)} files, {manifest.size / 1e6:,.1f} MB: {out}")
