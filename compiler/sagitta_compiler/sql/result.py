"""What a compilation gives: SQL text and everything a server says about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.model.types import AbstractType, Cardinality, DataType


class Role(StrEnum):
    """What a result column is."""

    DIMENSION = "dimension"
    MEASURE = "measure"
    METRIC = "metric"
    FIELD = "field"
    GROUPING = "grouping"


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of the result, in the order of the result.

    `type` is the column's own type for dimensions and fields; `data_type` the declared or resolved result type of
    measures and metrics (None: whatever the warehouse gives). `source` is the model's name for it, `name` the label in
    the result.
    """

    name: str
    role: Role
    source: str
    type: AbstractType | None = None
    data_type: DataType | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class JoinStep:
    """A join of the plan and why it is there."""

    from_object: str
    to_object: str
    cardinality: str
    columns: tuple[tuple[str, str], ...]
    """Pairs of column labels, from and to."""
    reason: str
    codes: tuple[tuple[str, str], ...] = ()
    """The same pairs as physical names."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A leaf of the plan: measures that share home, grain, filters and time shift."""

    measures: tuple[str, ...]
    home: str
    root: str
    reason: str
    grain: tuple[str, ...]
    joins: tuple[JoinStep, ...] = ()
    filters: tuple[str, ...] = ()
    shift: str | None = None

    @property
    def fans_out(self) -> bool:
        """Whether a row of the home may be met several times."""
        many = Cardinality.MANY_TO_MANY.value
        return self.home != self.root or any(step.cardinality == many for step in self.joins)


@dataclass(frozen=True, slots=True)
class Explain:
    """The plan as data, in the documented words: planner is "Star Schema", "CFL" or "Raw"."""

    planner: str
    planner_reason: str
    base_object: str
    base_object_reason: str
    joins: tuple[JoinStep, ...]
    where_filter_count: int
    having_filter_count: int
    has_totals: bool
    legs: tuple[Leg, ...]
    tree: str
    """The operators as an indented text, for people."""


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """SQL for one dialect, its result columns and its explanation; frozen, so it can be cached and shared."""

    sql: str
    dialect: str
    columns: tuple[OutputColumn, ...]
    explain: Explain
    physical_tables: tuple[str, ...]
    """Sorted unique `database.schema.code`, empty parts dropped."""
    fact_tables: tuple[str, ...]
    """The labels of the objects whose rows are measured."""
    warnings: tuple[Diagnostic, ...] = ()
    sql_valid: bool = True
