"""`sagitta convert`: a model in another format."""

from __future__ import annotations

from pathlib import Path

import click

FORMATS = ("osi", "obml", "turtle")


@click.command("convert")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--to", "wanted", type=click.Choice(FORMATS), help="The format; by default OSI for a model, and a model for OSI."
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write; standard output."
)
@click.option("--name", help="The name of the OSI model, or the id in the graph's addresses; the file's by default.")
@click.option("--strict", is_flag=True, help="Fail when the format cannot say something, or something was guessed.")
@click.pass_context
def command(
    ctx: click.Context, *, file: Path, wanted: str | None, output: Path | None, name: str | None, strict: bool
) -> None:
    """Convert a model FILE to OSI, an OSI file to a model, or a model to an RDF graph.

    What the format cannot say and what was guessed is told on standard error.

    \b
      sagitta convert sales.yaml -o sales.osi.yaml
      sagitta convert sales.osi.yaml
      sagitta convert sales.yaml --to turtle
    """
    text, warnings = converted(file, wanted, name or file.stem)
    for warning in warnings:
        click.echo(f"{file}: warning: {warning}", err=True)
    if strict and warnings:
        ctx.exit(1)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def converted(file: Path, wanted: str | None, name: str) -> tuple[str, tuple[str, ...]]:
    """Returns the text in the wanted format, and the warnings."""
    from sagitta_compiler.conversion import (
        ConversionError,
        InvalidYamlError,
        obml_to_osi,
        osi_to_obml,
        standalone,
    )
    from sagitta_compiler.conversion.reading import read_mapping
    from sagitta_compiler.ontology import to_turtle

    from sagitta_server.cli import models
    from sagitta_server.cli.failures import Failure

    try:
        text = file.read_text(encoding="utf-8")
        target = wanted or ("obml" if "semantic_model" in read_mapping(text) else "osi")
        if target == "turtle":
            return to_turtle(models.usable(file).model, name), ()
        if target == "obml":
            conversion = osi_to_obml(text)
        else:
            conversion = obml_to_osi(standalone(models.load(file)), model_name=name)
    except UnicodeDecodeError:
        raise Failure("INVALID_YAML", f"{file} is not UTF-8 text") from None
    except InvalidYamlError as error:
        raise Failure("INVALID_YAML", f"{file}: {error}") from None
    except ConversionError as error:
        raise Failure("CONVERSION_FAILED", f"{file}: {error}") from None
    return conversion.output_yaml, conversion.warnings
