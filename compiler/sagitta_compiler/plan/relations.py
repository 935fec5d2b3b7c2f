"""The relations of a plan: tables, selects, unions, calendars. Frozen; one used twice is one value used twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sagitta_compiler.model.resolved import TableSource
from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.plan.scalars import Field, Scalar, SortKey


class JoinKind(StrEnum):
    """How rows without a partner are treated."""

    LEFT = "LEFT"
    INNER = "INNER"
    CROSS = "CROSS"


class GroupingKind(StrEnum):
    """The levels of a GROUP BY."""

    PLAIN = "plain"
    ROLLUP = "rollup"
    CUBE = "cube"


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view of the warehouse; `object` is its label in the model."""

    object: str
    source: TableSource


@dataclass(frozen=True, slots=True)
class Unnest:
    """The elements of an array column of a source to its left; a row without elements is kept once, all NULL."""

    array: Scalar


@dataclass(frozen=True, slots=True, eq=False)
class Spine:
    """Every period from the first to the last value of a column of `over`; one column, named `column`."""

    over: Select
    column: str
    grain: TimeGrain
    type: AbstractType
    name: str = "spine"
    fiscal_start: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """A relation under an alias."""

    relation: Relation
    alias: str


@dataclass(frozen=True, slots=True)
class JoinTo:
    """A further source of a select; `on` None joins every row."""

    source: Source
    on: Scalar | None
    kind: JoinKind = JoinKind.LEFT


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a select."""

    label: str
    scalar: Scalar


@dataclass(frozen=True, slots=True, eq=False)
class Select:
    """One SELECT. `group` None is no grouping, `()` one group of all rows."""

    columns: tuple[Output, ...]
    source: Source | None
    joins: tuple[JoinTo, ...] = ()
    where: Scalar | None = None
    group: tuple[Scalar, ...] | None = None
    grouping: GroupingKind = GroupingKind.PLAIN
    having: Scalar | None = None
    order: tuple[SortKey, ...] = ()
    limit: int | None = None
    offset: int | None = None
    distinct: bool = False
    name: str = "frame"
    note: str = ""
    """What the select is for, in the words of `explain`."""


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """The rows of several selects with the same labels, one after the other."""

    selects: tuple[Select, ...]
    name: str = "united"
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Except:
    """The distinct rows of `left` that are not in `right`."""

    left: Select
    right: Select
    name: str = "missing"


Relation = Table | Unnest | Spine | Select | Union | Except


def labels_of(relation: Select | Union | Except | Spine) -> tuple[str, ...]:
    """The labels of the columns, in order."""
    match relation:
        case Select():
            return tuple(column.label for column in relation.columns)
        case Union():
            return labels_of(relation.selects[0])
        case Except():
            return labels_of(relation.left)
        case Spine():
            return (relation.column,)


def fields_of(source: Source) -> dict[str, Field]:
    """The columns of a frame in scope, by label."""
    assert not isinstance(source.relation, Table | Unnest)
    return {label: Field(source.alias, label) for label in labels_of(source.relation)}
