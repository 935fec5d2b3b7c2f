"""`sagitta describe`: what can be asked of a model, in a file or at a running server."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagitta_server.cli import options
from sagitta_server.cli.failures import Failure

if TYPE_CHECKING:
    from sagitta_compiler import ResolvedModel

KINDS = {"dimension": "dimensions", "measure": "measures", "metric": "metrics"}


@dataclass(frozen=True, slots=True)
class Artefact:
    """A dimension, measure or metric as it is shown."""

    kind: str
    name: str
    type: str
    made_of: str
    description: str
    details: Mapping[str, str]
    """Whatever else is known, by its name."""


@click.command("describe")
@click.argument("model", metavar="[MODEL]", required=False)
@click.argument("name", metavar="[NAME]", required=False)
@options.SERVER
@options.TOKEN
@options.CA
@click.option("--format", "chosen", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="`json` for programs.")  # fmt: skip
def command(
    *, model: str | None, name: str | None, server: str, token: str | None, ca: Path | None, chosen: str
) -> None:
    """Show the dimensions, measures and metrics of MODEL, a model file or the name of a served model.

    With NAME, show that one with everything it is made of. Without MODEL, show the models of the server.

    \b
      sagitta describe                          the models of the server on this machine
      sagitta describe tpch                     what can be asked of one
      sagitta describe sales.yaml "Revenue"     where the numbers come from
    """
    if model is None:
        from sagitta_server.cli import remote

        for served in remote.models(server, token, ca):
            click.echo(served)
        return
    artefacts = _of_file(Path(model)) if Path(model).is_file() else _of_server(model, server, token, ca)
    if name is not None:
        artefacts = [_named(artefacts, name)]
    if chosen == "json":
        click.echo(json.dumps([asdict(artefact) for artefact in artefacts], indent=2, ensure_ascii=False))
    elif name is not None:
        for line in _in_full(artefacts[0]):
            click.echo(line)
    else:
        _show(artefacts)


def _of_file(path: Path) -> list[Artefact]:
    from sagitta_server.cli import models

    return list(_artefacts(models.usable(path).model))


def _artefacts(model: ResolvedModel) -> Iterator[Artefact]:
    for dimension in model.dimensions.values():
        grain = f" by {dimension.time_grain}" if dimension.time_grain else ""
        place = f"{dimension.object}.{dimension.column}{grain}"
        yield _artefact(model, "dimension", dimension, str(dimension.result_type), place)
    for measure in model.measures.values():
        columns = ", ".join(f"{ref.object}.{ref.column}" for ref in measure.columns)
        inner = measure.expression.text if measure.expression else columns
        kind = str(measure.data_type or measure.result_type)
        yield _artefact(model, "measure", measure, kind, f"{measure.aggregation}({inner})")
    for metric in model.metrics.values():
        expression: Any = getattr(metric, "expression", None)
        made_of = expression.text if expression is not None else str(getattr(metric, "measure", None) or "")
        kind = f"{metric.type}" + (f", {metric.data_type}" if metric.data_type else "")
        yield _artefact(model, "metric", metric, kind, made_of)


def _artefact(model: ResolvedModel, kind: str, declared: Any, shown_type: str, made_of: str) -> Artefact:
    from sagitta_compiler.discovery import lineage

    about, found = declared.about, lineage(model, declared.name)
    details = {
        "format": declared.format or "",
        "owner": about.owner or "",
        "synonyms": ", ".join(about.synonyms),
        "reads": ", ".join(found.physical_columns) if found is not None else "",
    }
    return Artefact(
        kind,
        declared.name,
        shown_type,
        made_of,
        about.description or "",
        {key: value for key, value in details.items() if value},
    )


def _of_server(model: str, server: str, token: str | None, ca: Path | None) -> list[Artefact]:
    from sagitta_server.cli import remote

    known = remote.models(server, token, ca)
    if model not in known:
        near = difflib.get_close_matches(model, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"It serves: {', '.join(known) or 'none'}."
        raise Failure("MODEL_NOT_FOUND", f"there is no file {model}, and {server} serves no such model", hint)
    found = []
    for kind, table in KINDS.items():
        with remote.answer(f'SELECT * FROM "{model}"._{table}_metadata', server, token, ca) as reader:
            found += [_told(kind, row) for row in reader.read_all().to_pylist()]
    return found


def _told(kind: str, row: Mapping[str, Any]) -> Artefact:
    """An artefact as the server's metadata tell it."""
    said = {key: str(value) for key, value in row.items() if value not in (None, "")}
    name, description = said.pop("name"), said.pop("description", "")
    shown_type = said.pop("type", "") or said.pop("metric_type", "")
    if kind == "dimension":
        made_of = f"{said.pop('data_object', '')}.{said.pop('column', '')}"
    elif kind == "measure":
        made_of = f"{said.pop('aggregation', '')}({said.pop('expression', '') or said.get('columns', '')})"
    else:
        made_of = said.pop("expression", "") or said.get("measure", "")
    return Artefact(kind, name, shown_type, made_of, description, said)


def _named(artefacts: Sequence[Artefact], name: str) -> Artefact:
    found = next((artefact for artefact in artefacts if artefact.name.lower() == name.lower()), None)
    if found is None:
        near = difflib.get_close_matches(name, [artefact.name for artefact in artefacts], n=1)
        hint = f"Did you mean {near[0]}?" if near else None
        raise Failure("ARTEFACT_NOT_FOUND", f"the model has no dimension, measure or metric {name!r}", hint)
    return found


def _in_full(artefact: Artefact) -> Iterator[str]:
    yield f"{artefact.name} ({artefact.kind}, {artefact.type})"
    if artefact.description:
        yield f"  {artefact.description}"
    for key, value in {"made of": artefact.made_of, **artefact.details}.items():
        yield f"  {key.replace('_', ' ')}: {value}"


def _show(artefacts: Iterable[Artefact]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = list(artefacts)
    for kind, heading in KINDS.items():
        table = Table(title=heading.capitalize(), title_justify="left", title_style="bold")
        for column in ("name", "type", "made of", "description"):
            table.add_column(column, overflow="fold")
        for artefact in listed:
            if artefact.kind == kind:
                cells = (artefact.name, artefact.type, artefact.made_of, artefact.description)
                table.add_row(*(Text(cell) for cell in cells))
        if table.row_count:
            Console().print(table)
