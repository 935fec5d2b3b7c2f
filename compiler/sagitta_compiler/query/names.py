"""The names of a query looked up in a model."""

from __future__ import annotations

from sagitta_compiler.model.resolved import ColumnRef, Dimension, ResolvedModel
from sagitta_compiler.model.types import TimeGrain
from sagitta_compiler.query.bound import Member


def split_grain(model: ResolvedModel, text: str) -> tuple[str, str | None]:
    """Splits `Name:grain` at the last colon, unless the whole text is a dimension."""
    if text in model.dimensions or ":" not in text:
        return text, None
    name, _, grain = text.rpartition(":")
    return name.strip(), grain.strip()


def parse_grain(text: str) -> TimeGrain | None:
    """The grain of that name, None if there is none."""
    try:
        return TimeGrain(text.lower())
    except ValueError:
        return None


def find_column(model: ResolvedModel, text: str) -> ColumnRef | None:
    """Reads `Object.Column`; a dot in a name is tried at every place, the first one first."""
    at = text.find(".")
    while at >= 0:
        name, column = text[:at].strip(), text[at + 1 :].strip()
        if name in model.objects and column in model.objects[name].columns:
            return ColumnRef(name, column)
        at = text.find(".", at + 1)
    return None


def dimension_member(model: ResolvedModel, dimension: Dimension, grain: TimeGrain | None = None) -> Member:
    """The column of a dimension in its role; not truncated unless `grain` says so."""
    column = model.objects[dimension.object].columns[dimension.column]
    return Member(dimension.ref, column.type, dimension.via, grain, dimension.name)


def find_member(model: ResolvedModel, text: str, grain: TimeGrain | None = None) -> Member | None:
    """A filter's field on rows: a dimension, its `Name:grain`, or `Object.Column`."""
    if (dimension := model.dimensions.get(text)) is not None:
        return dimension_member(model, dimension, grain)
    if (ref := find_column(model, text)) is not None:
        return Member(ref, model.column(ref).type, None, grain, str(ref))
    name, suffix = split_grain(model, text)
    if suffix is not None and (parsed := parse_grain(suffix)) is not None:
        return find_member(model, name, parsed)
    return None
