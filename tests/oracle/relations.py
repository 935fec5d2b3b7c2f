"""Rows and the joins between them: what can be reached from where, and which rows belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from oracle import expressions
from oracle import values as v
from sagitta_compiler.context import CompileContext
from sagitta_compiler.model.resolved import (
    ColumnRef,
    Join,
    NestedSource,
    QuerySource,
    ResolvedModel,
    TableSource,
    UnionSource,
)
from sagitta_compiler.model.types import Cardinality
from sagitta_compiler.query.query import PathChoice, Query
from sqlglot import exp

ROW, PARENT = "#row", "#parent"
"""The place of a row in its object, and that of the row that holds an element of an array."""

Tables = Mapping[str, Sequence[Mapping[str, Any]]]
"""Physical tables: the rows of each by its `code`, each row by physical column names."""


@dataclass(frozen=True)
class Row:
    """A row of a data object; two rows are the same when object and position are."""

    object: str
    index: int
    cells: Mapping[str, v.Value] = field(compare=False, repr=False)
    """Physical values by column label."""


@dataclass(frozen=True)
class Step:
    """A join walked in one direction."""

    join: Join
    forward: bool

    @property
    def origin(self) -> str:
        return self.join.source if self.forward else self.join.target

    @property
    def destination(self) -> str:
        return self.join.target if self.forward else self.join.source

    @property
    def multiplies(self) -> bool:
        unnests = self.join.columns_to == (ROW,) and not self.forward
        return unnests or self.join.cardinality is Cardinality.MANY_TO_MANY

    @property
    def column_pairs(self) -> tuple[tuple[str, str], ...]:
        pairs = tuple(zip(self.join.columns_from, self.join.columns_to, strict=True))
        return pairs if self.forward else tuple((there, here) for here, there in pairs)


Path = tuple[Step, ...]
Context = Mapping[Path, Row | None]
"""Rows that belong together: for each path from the row read, the row at its end (None: there is none)."""


def steps_of(joins: Iterable[Join], choices: Iterable[PathChoice] = ()) -> tuple[Step, ...]:
    """Returns the steps that may be walked: many-to-one forward only, others both ways; secondary ones if chosen."""
    chosen = {(choice.source, choice.target): choice.path_name for choice in choices}
    active = [
        join for join in joins if (join.path_name if join.secondary else None) == chosen.get((join.source, join.target))
    ]
    forward = [Step(join, forward=True) for join in active]
    both_ways = [
        join for join in active if join.cardinality is not Cardinality.MANY_TO_ONE or join.columns_to == (ROW,)
    ]
    return (*forward, *(Step(join, forward=False) for join in both_ways))


def joins_of(model: ResolvedModel) -> tuple[Join, ...]:
    """Returns the joins of a model, with those of unnested arrays to the rows that hold them."""
    return (
        *model.joins,
        *(
            Join(name, data_object.source.parent, Cardinality.MANY_TO_ONE, (PARENT,), (ROW,))
            for name, data_object in model.objects.items()
            if isinstance(data_object.source, NestedSource)
        ),
    )


@dataclass(frozen=True, eq=False)
class Graph:
    """Which object reaches which, and how."""

    steps: tuple[Step, ...]

    def shortest(self, origin: str, destination: str) -> tuple[Path, ...]:
        """Returns all shortest paths; none when there is no way."""
        paths: list[Path] = [()]
        seen = {origin}
        while paths:
            arrived = [path for path in paths if (path[-1].destination if path else origin) == destination]
            if arrived:
                return tuple(arrived)
            longer = [
                (*path, step)
                for path in paths
                for step in self.steps
                if step.origin == (path[-1].destination if path else origin) and step.destination not in seen
            ]
            seen.update(path[-1].destination for path in longer)
            paths = longer
        return ()

    def path(self, origin: str, destination: str) -> Path | None:
        """Returns the shortest path; None when there is none, refused when there are several."""
        paths = self.shortest(origin, destination)
        if len(paths) > 1:
            raise v.RefusedError(f"several paths from {origin} to {destination}", "AMBIGUOUS_JOIN_PATH")
        return paths[0] if paths else None

    def path_via(self, origin: str, via: str | None, destination: str) -> Path | None:
        """Returns the path through a waypoint."""
        if via is None:
            return self.path(origin, destination)
        first, second = self.path(origin, via), self.path(via, destination)
        return None if first is None or second is None else first + second

    def reaches(self, origin: str, destination: str, via: str | None = None) -> bool:
        if via is not None:
            return self.reaches(origin, via) and self.reaches(via, destination)
        return bool(self.shortest(origin, destination))

    def descendants(self, origin: str) -> frozenset[str]:
        found, todo = {origin}, [origin]
        while todo:
            here = todo.pop()
            for step in self.steps:
                if step.origin == here and step.destination not in found:
                    found.add(step.destination)
                    todo.append(step.destination)
        return frozenset(found)

    def undirected(self) -> Graph:
        """Returns the graph in which every join may be walked both ways (for EXISTS)."""
        every = {(step.join, step.forward): step for step in self.steps}
        for step in self.steps:
            every.setdefault((step.join, not step.forward), Step(step.join, not step.forward))
        return Graph(tuple(every.values()))

    @cached_property
    def single_valued(self) -> Graph:
        """The same joins without those that multiply rows."""
        return Graph(tuple(step for step in self.steps if not step.multiplies))

    @cached_property
    def forward(self) -> Graph:
        """The joins that do not multiply, each in the direction in which it is declared."""
        return Graph(tuple(step for step in self.steps if step.forward and not step.multiplies))

    @cached_property
    def declared(self) -> Graph:
        """The same joins in the directions in which they are declared; only one-to-one also against them."""
        one_to_one = Cardinality.ONE_TO_ONE
        return Graph(tuple(s for s in self.steps if s.forward or s.join.cardinality is one_to_one))

    def common_root(self, objects: Iterable[str], candidates: Collection[str]) -> str | None:
        """Returns the candidate with the fewest descendants that reaches all objects; ties by name.

        A root that sees all by single-valued joins comes before one that needs joins that multiply.
        """
        wanted = set(objects)
        for graph in (self.single_valued, self.declared, self):
            fitting = [(graph.descendants(name), name) for name in candidates]
            ranked = [(len(below), name not in wanted, name) for below, name in fitting if wanted <= below]
            if ranked:
                return min(ranked)[2]
        return None


class World:
    """A model over tables: the rows of every object, whatever its source."""

    def __init__(self, model: ResolvedModel, tables: Tables, context: CompileContext) -> None:
        self.model = model
        self.tables = tables
        self.context = context
        self.calendar = v.Calendar(model.settings.week_start, model.settings.fiscal_year_start)
        self._rows: dict[str, tuple[Row, ...]] = {}
        self._indexes: dict[tuple[str, tuple[str, ...]], dict[tuple[v.Value, ...], list[Row]]] = {}

    @cached_property
    def primary_graph(self) -> Graph:
        return Graph(steps_of(joins_of(self.model)))

    def rows(self, name: str) -> tuple[Row, ...]:
        """Returns all rows of a data object."""
        if name not in self._rows:
            cells = self._cells(name)
            self._rows[name] = tuple(Row(name, index, row) for index, row in enumerate(cells))
        return self._rows[name]

    def _cells(self, name: str) -> Iterable[Mapping[str, v.Value]]:
        data_object = self.model.objects[name]
        physical = [column for column in data_object.columns.values() if column.expression is None]
        match data_object.source:
            case TableSource(code=code):
                return [{c.name: v.exact(row[c.code]) for c in physical} for row in self.tables[code]]
            case QuerySource(query=query):
                return [{c.name: row[c.code] for c in physical} for row in self._derived(query)]
            case UnionSource() as union:
                return self._united(union)
            case NestedSource(parent=parent, column=array):
                return [
                    {**{c.name: v.exact(element[c.code]) for c in physical}, PARENT: row.index}
                    for row in self.rows(parent)
                    for element in self.value(row, parent, array) or ()
                ]

    def _derived(self, query: Query) -> list[dict[str, v.Value]]:
        from oracle.evaluate import evaluate

        result = evaluate(self.model, query, self.tables, self.context)
        return [dict(zip(result.columns, (v.definite(cell) for cell in row), strict=True)) for row in result.rows]

    def _united(self, union: UnionSource) -> list[dict[str, v.Value]]:
        united = []
        for member in union.members:
            for row in self._visible(member.object):
                cells = {label: self.value(row, member.object, source) for label, source in member.columns.items()}
                if union.discriminator is not None:
                    cells[union.discriminator] = member.value
                united.append(cells)
        return united

    def _visible(self, name: str) -> list[Row]:
        """The rows of an object that the row policies let the caller see."""
        if not self.context.row_policies:
            return list(self.rows(name))
        from oracle.evaluate import visible_rows

        return visible_rows(self, name)

    def value(self, row: Row | None, object_name: str, column: str) -> v.Value:
        """Returns the value of a column, physical or computed; a missing row has NULLs."""
        if column in (ROW, PARENT):
            return None if row is None else row.index if column == ROW else row.cells[PARENT]
        declared = self.model.objects[object_name].columns[column]
        if declared.expression is None:
            return None if row is None else row.cells.get(column)
        return expressions.evaluate(declared.expression.tree, lambda node: self._referenced(row, object_name, node))

    def _referenced(self, row: Row | None, object_name: str, node: exp.Column) -> v.Value:
        if not node.table:
            return self._measure_of_row(row, node.name)
        if node.table == object_name:
            return self.value(row, object_name, node.name)
        path = self.primary_graph.path(object_name, node.table)
        if path is None:
            raise v.RefusedError(f"{object_name} does not reach {node.table}", "UNREACHABLE_REQUIRED_OBJECT")
        return self.value(self.follow(row, path), node.table, node.name)

    def _measure_of_row(self, row: Row | None, measure: str) -> v.Value:
        """A measure at the fixed grain of a row: that of its object's key, without the query's filters."""
        from oracle.evaluate import measure_of_row

        return measure_of_row(self, row, measure)

    def follow(self, row: Row | None, path: Path) -> Row | None:
        """Walks single-valued steps from one row."""
        for step in path:
            if row is None:
                return None
            if step.multiplies or step.join.required:
                raise v.UndecidedError("a computed column over a join that multiplies or drops rows")
            found = self.matches(row, step)
            row = found[0] if found else None
        return row

    def matches(self, row: Row, step: Step) -> list[Row]:
        """Returns the rows at the other end of a join; NULL matches nothing."""
        here = [pair[0] for pair in step.column_pairs]
        there = tuple(pair[1] for pair in step.column_pairs)
        key = tuple(self.value(row, step.origin, column) for column in here)
        return [] if None in key else self._index(step.destination, there).get(key, [])

    def _index(self, name: str, columns: tuple[str, ...]) -> dict[tuple[v.Value, ...], list[Row]]:
        if (name, columns) not in self._indexes:
            index: dict[tuple[v.Value, ...], list[Row]] = defaultdict(list)
            for row in self.rows(name):
                index[tuple(self.value(row, name, column) for column in columns)].append(row)
            self._indexes[name, columns] = index
        return self._indexes[name, columns]

    def contexts(self, root: str, paths: Iterable[Path]) -> list[Context]:
        """Returns every combination of a root row with the rows at the ends of the paths (outer joins, or inner)."""
        return self.extended([{(): row} for row in self.rows(root)], paths)

    def extended(self, contexts: list[Context], paths: Iterable[Path]) -> list[Context]:
        """Returns the contexts with the rows at the ends of further paths."""
        prefixes = {path[:length] for path in paths for length in range(1, len(path) + 1)}
        for prefix in sorted(prefixes, key=len):
            if contexts and prefix not in contexts[0]:
                contexts = [extended for context in contexts for extended in self._extend(context, prefix)]
        return contexts

    def _extend(self, context: Context, prefix: Path) -> list[Context]:
        parent, step = context[prefix[:-1]], prefix[-1]
        matches = [] if parent is None else self.matches(parent, step)
        if not matches:
            return [] if step.join.required else [{**context, prefix: None}]
        return [{**context, prefix: match} for match in matches]


@dataclass(frozen=True)
class FieldRef:
    """A column named by a filter or a dimension, with the waypoint that tells its role."""

    column: ColumnRef
    via: str | None = None
