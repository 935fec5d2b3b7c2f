"""What a column name in a statement refers to."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from sqlglot import exp

from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.query.semantic_sql.catalog import ColumnKind, Table, TableKind, measure_type
from sagitta_compiler.query.semantic_sql.reading import refused


@dataclass(frozen=True, slots=True)
class Item:
    """A dimension, measure, metric or raw field of a model; `object` and `column` place a field."""

    kind: ColumnKind
    name: str
    type: AbstractType
    grain: TimeGrain | None = None
    object: str = ""
    column: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether it has a value per group rather than per row."""
        return self.kind in (ColumnKind.MEASURE, ColumnKind.METRIC)


@dataclass(frozen=True)
class Names:
    """The names in scope of one SELECT on one table."""

    model: ResolvedModel
    table: Table
    alias: str

    def item(self, column: exp.Column) -> Item:
        """Returns what a column refers to.

        Raises:
            CompileError: nothing has that name, or several things do.
        """
        found = self.find(column)
        if found is None:
            raise self._unknown(column)
        return found

    def find(self, column: exp.Column) -> Item | None:
        """Returns what a column refers to, or None."""
        qualifier, name = column.table, column.name
        if qualifier and not self._is_table(qualifier):
            return self._field(qualifier, name)
        if self.table.kind is TableKind.OBJECT:
            return self._field(self.table.name, name)
        return self._label(name)

    def _is_table(self, qualifier: str) -> bool:
        names = (self.alias, self.table.name, self.table.schema)
        return qualifier.casefold() in {name.casefold() for name in names} and qualifier not in self.model.objects

    def _label(self, name: str) -> Item | None:
        if found := self._one(name):
            return found
        base, colon, grain = name.rpartition(":")
        if colon and grain.strip().lower() in tuple(TimeGrain) and (found := self._one(base.strip())):
            if found.kind is not ColumnKind.DIMENSION or not found.type.is_temporal:
                return None
            return Item(found.kind, found.name, found.type, TimeGrain(grain.strip().lower()))
        return None

    def _one(self, name: str) -> Item | None:
        """An exact label, else the only one that is equal without case, else the only one with `_` for spaces."""
        labels = [column.name for column in self.table.columns]
        if name in labels:
            return self._of(name)
        for same in (_folded, _snake):
            matches = [label for label in labels if same(label) == same(name)]
            if len(matches) == 1:
                return self._of(matches[0])
        return None

    def _of(self, label: str) -> Item:
        if dimension := self.model.dimensions.get(label):
            return Item(ColumnKind.DIMENSION, label, self.model.column(dimension.ref).type)
        if measure := self.model.measures.get(label):
            return Item(ColumnKind.MEASURE, label, measure_type(self.model, measure))
        return Item(ColumnKind.METRIC, label, AbstractType.FLOAT)

    def _field(self, data_object: str, column: str) -> Item | None:
        objects = [o for o in self.model.objects.values() if o.name == data_object]
        objects = objects or [o for o in self.model.objects.values() if _folded(o.name) == _folded(data_object)]
        if len(objects) != 1:
            return None
        columns = objects[0].columns
        names = [column] if column in columns else [c for c in columns if _folded(c) == _folded(column)]
        names = names or [c for c in columns if _snake(c) == _snake(column)]
        if len(names) != 1:
            return None
        found = columns[names[0]]
        return Item(ColumnKind.FIELD, f"{objects[0].name}.{found.name}", found.type, None, objects[0].name, found.name)

    def _unknown(self, column: exp.Column) -> Exception:
        labels = [c.name for c in self.table.columns]
        folded = {_folded(label): label for label in labels}
        near = tuple(folded[n] for n in difflib.get_close_matches(_folded(column.name), folded, n=3, cutoff=0.6))
        return refused(
            _unknown_code(column),
            f"There is no column {column.sql()} in {self.table.schema}.{self.table.name}.",
            f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else "Quote labels that hold spaces.",
            column=column.name,
            suggestions=near,
        )


def _unknown_code(column: exp.Column) -> str:
    """The documented code of an unknown name, by the clause in which it stands."""
    match column.find_ancestor(exp.Where, exp.Having, exp.Order):
        case exp.Where() | exp.Having():
            return "UNKNOWN_FILTER_FIELD"
        case exp.Order():
            return "UNKNOWN_ORDER_BY_FIELD"
        case _:
            return "UNKNOWN_SELECT_ITEM"


def _folded(name: str) -> str:
    return name.casefold()


def _snake(name: str) -> str:
    return name.casefold().replace(" ", "_")
