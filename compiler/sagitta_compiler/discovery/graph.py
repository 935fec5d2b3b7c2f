"""The join graph as data, and as a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sagitta_compiler.model.resolved import DataObject, Join, NestedSource, ResolvedModel, UnionSource
from sagitta_compiler.model.types import Cardinality

_LINKS = {
    Cardinality.MANY_TO_ONE: ("}o", "||"),
    Cardinality.ONE_TO_ONE: ("||", "||"),
    Cardinality.MANY_TO_MANY: ("}o", "o{"),
}


@dataclass(frozen=True, slots=True)
class JoinGraph:
    """The data objects and the joins between them."""

    nodes: tuple[str, ...]
    edges: tuple[Join, ...]


def join_graph(model: ResolvedModel) -> JoinGraph:
    """Returns the join graph of a model."""
    return JoinGraph(tuple(model.objects), model.joins)


def er_diagram(model: ResolvedModel, *, show_columns: bool = True, theme: str = "default") -> str:
    """Returns the model as a Mermaid entity-relationship diagram.

    Secondary joins are dotted; a label is the join's path name or its first column.
    """
    theme = theme if re.fullmatch(r"[a-z]+", theme) else "default"
    lines = [f"%%{{init: {{'theme': '{theme}'}}}}%%", "erDiagram", "    direction LR"]
    for data_object in model.objects.values():
        lines += _entity(data_object, show_columns=show_columns)
    lines += [_relation(join) for join in model.joins]
    lines += _made_of(model)
    return "\n".join(lines) + "\n"


def _entity(data_object: DataObject, *, show_columns: bool) -> Iterator[str]:
    if not show_columns or not data_object.columns:
        yield f"    {_quoted(data_object.name)}"
        return
    foreign = {label for join in data_object.joins for label in join.columns_from}
    yield f"    {_quoted(data_object.name)} {{"
    for column in data_object.columns.values():
        keys = [key for key, holds in (("PK", column.primary_key), ("FK", column.name in foreign)) if holds]
        comment = ' "computed"' if column.expression is not None else ""
        yield f"        {column.type} {_identifier(column.name)}{' ' + ', '.join(keys) if keys else ''}{comment}"
    yield "    }"


def _relation(join: Join) -> str:
    left, right = _LINKS[join.cardinality]
    line = ".." if join.secondary else "--"
    label = join.path_name or join.columns_from[0]
    return f"    {_quoted(join.source)} {left}{line}{right} {_quoted(join.target)} : {_quoted(label)}"


def _made_of(model: ResolvedModel) -> Iterator[str]:
    for data_object in model.objects.values():
        match data_object.source:
            case NestedSource() as nested:
                yield f'    {_quoted(data_object.name)} }}o..|| {_quoted(nested.parent)} : "nested in"'
            case UnionSource() as union:
                for member in union.members:
                    yield f'    {_quoted(data_object.name)} ||..|| {_quoted(member.object)} : "union of"'


def _quoted(name: str) -> str:
    """Quotes a name; Mermaid knows no escape for a quote or a line end."""
    return '"' + re.sub(r"[\r\n]+", " ", name.replace('"', "'")) + '"'


def _identifier(name: str) -> str:
    """Returns a column's name as Mermaid's grammar allows it."""
    word = re.sub(r"[^\w-]+", "_", name).strip("_") or "column"
    return word if re.match(r"[^\W\d]", word) else f"_{word}"
