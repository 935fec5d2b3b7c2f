"""The naive evaluator: what a query of a model means over plain Python rows.

Written from the semantics alone. It shares nothing with the planner, knows no SQL, and prefers the obvious to the fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracle import filters
from oracle import types as result_types
from oracle import values as v
from oracle.frames import Asked, Frame, RowKey, key_part
from oracle.leaves import KeyPart, Leaves
from oracle.relations import FieldRef, Graph, Row, Tables, World, joins_of, steps_of
from oracle.rows import RowReader
from oracle.scopes import Scoper, flat_clauses
from sagitta_compiler.context import CompileContext
from sagitta_compiler.model.resolved import ColumnRef, ResolvedModel
from sagitta_compiler.model.types import DataType, Direction
from sagitta_compiler.query.query import (
    CoalesceItem,
    DimensionItem,
    Filter,
    FilterNode,
    MeasureItem,
    NullsOrder,
    OrderItem,
    Query,
)


@dataclass(frozen=True)
class Result:
    """The answer: labelled rows in a valid order.

    `types` are the declared result types by column; `order` the sort keys by position; `all_rows` those before
    OFFSET and LIMIT, in order.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[v.Value, ...], ...]
    types: tuple[DataType | None, ...]
    order: tuple[tuple[int, Direction, NullsOrder | None], ...]
    all_rows: tuple[tuple[v.Value, ...], ...]


def evaluate(model: ResolvedModel, query: Query, tables: Tables, context: CompileContext | None = None) -> Result:
    """Answers a query; raises RefusedError where it has no meaning and UndecidedError where the law does not say."""
    return Evaluation(World(model, tables, context or CompileContext()), query).result()


def measure_of_row(world: World, row: Row | None, name: str) -> v.Value:
    """Returns a measure at the grain of one row of an object: over what belongs to that row, no query filters."""
    if row is None:
        return None
    key = world.model.objects[row.object].primary_key
    if not key:
        raise v.RefusedError("a measure per row of an object without a key", "MISSING_PRIMARY_KEY")
    leaves = Evaluation(world, Query()).leaves
    parts = [
        KeyPart(column, (f"{row.object}.{column}",), ((FieldRef(ColumnRef(row.object, column)), None),))
        for column in key
    ]
    frame = Frame(leaves, parts, (), [(name, ())])
    frame.rows = tuple(key for key in frame.rows if None not in key.members)  # what belongs to no row has no place
    members = tuple(world.value(row, row.object, column) for column in key)
    return frame.raw((name, ()), RowKey(tuple(range(len(parts))), members))


def visible_rows(world: World, name: str) -> list[Row]:
    """Returns the rows of an object that pass the policies on it and on what it reaches."""
    leaves = Evaluation(world, Query()).leaves
    reading = RowReader(leaves.scoper, (), leaves.reader.policies).read(name, (), ())
    return list(dict.fromkeys(context[reading.scope.to_home] for context in reading.contexts))  # type: ignore[arg-type]


class Evaluation:
    """One query over one world."""

    def __init__(self, world: World, query: Query) -> None:
        self.world = world
        self.model = world.model
        self.query = query
        graph = Graph(steps_of(joins_of(self.model), query.use_path_names))
        self.scoper = Scoper(world, graph)
        policies = (_qualified(name, node) for name, nodes in world.context.row_policies.items() for node in nodes)
        self.leaves = Leaves(self.scoper, self.model.filters, tuple(policies))

    def result(self) -> Result:
        if self.query.fields:
            return self._raw_rows()
        if self.query.dimensions_exclude:
            return self._missing_combinations()
        return self._grouped()

    # -- grouped queries -------------------------------------------------------------------------------------------

    def _grouped(self) -> Result:
        query = self.query
        if not query.dimensions and not query.measures:
            raise v.RefusedError("nothing is selected", "EMPTY_SELECT")
        parts = self._parts()
        items = {self._label(item): item for item in query.measures}
        asked = {label: (item.name, item.filters) for label, item in items.items()}
        if len(asked) != len(query.measures):
            raise v.UndecidedError("two measures with one label")
        frame = Frame(self.leaves, parts, query.where, list(asked.values()), query.grouping)
        self._check_having_fields(frame, asked)
        for name in (*(name for name, _ in frame.asked), *self._having_names()):
            frame.check_selected(name)
        self._check_reach(frame)
        self._check_having(frame)
        for name, added in frame.asked:
            frame.check_compared(name)
            frame.check_filters(name, added)
        if not any(frame.leaf_measures(name) for name, _ in frame.asked):
            frame.rows = tuple(self._members(frame))  # numbering alone: the rows are the members
        rows = list(frame.rows)
        rows = [row for row in rows if self._has(frame, asked, row)]
        flags = [f"_g_{part.label}" for part in parts] if query.grouping else []
        labels = (*(part.label for part in parts), *asked, *flags)
        return self._ordered(labels, [self._cells(frame, asked, row) for row in rows], self._types(parts, asked, flags))

    def _cells(self, frame: Frame, asked: dict[str, Asked], row: RowKey) -> tuple[v.Value, ...]:
        places = range(len(frame.parts))
        members = [row.member(place) if row.keeps(place) else None for place in places]
        values = [frame.finished(one, row) for one in asked.values()]
        flags = [0 if row.keeps(place) else 1 for place in places] if self.query.grouping else []
        return (*members, *values, *flags)

    def _types(
        self, parts: Sequence[KeyPart], asked: dict[str, Asked], flags: Sequence[str]
    ) -> tuple[DataType | None, ...]:
        values: list[DataType | None] = []
        for name, _ in asked.values():
            metric = self.model.metrics.get(name)
            if metric is None:
                values.append(result_types.measure_type(self.model, self.model.measures[name]))
            else:
                values.append(result_types.metric_type(self.model, metric))
        return (*(None for _ in parts), *values, *(None for _ in flags))

    def _parts(self) -> list[KeyPart]:
        parts: list[KeyPart] = []
        for item in self.query.dimensions:
            parts.append(self._coalesced(item) if isinstance(item, CoalesceItem) else self._selected(item, parts))
        return parts

    def _selected(self, item: DimensionItem, before: Sequence[KeyPart]) -> KeyPart:
        label = item.alias or item.name
        plain = any(other == DimensionItem(item.name) for other in self.query.dimensions)
        if item.alias is None and item.grain is not None and (plain or label in (part.label for part in before)):
            label = f"{item.name}:{item.grain}"
        return key_part(self.scoper, item.name, item.grain, label)

    def _coalesced(self, item: CoalesceItem) -> KeyPart:
        members = [key_part(self.scoper, name).members[0] for name in item.names]
        return KeyPart(item.alias, item.names, tuple(members))

    @staticmethod
    def _label(item: MeasureItem) -> str:
        return item.alias or item.name

    def _check_reach(self, frame: Frame) -> None:
        """Every dimension and every filtered field must be reached by some leaf."""
        names = [*(name for name, _ in frame.asked), *self._having_names()]
        measures = [leaf for name in names for leaf in frame.leaf_measures(name)]
        homes = {self.leaves.home(measure) for measure in measures}
        grouped = [part.refs for part in frame.parts]
        for part in frame.parts:
            if homes and not any(self.scoper.is_served(home, grouped, ref) for home in homes for ref in part.refs):
                raise v.RefusedError(f"no leaf reaches {part.label}", "UNREACHABLE_REQUIRED_OBJECT")
        for clause in frame.where:
            bound = {self.leaves.home(one) for name in names for one in frame.bound_leaves(name, clause)}
            for ref in self.scoper.clause_fields([clause]):
                self._reached(bound, [ref], "UNKNOWN_FILTER_FIELD", "UNREACHABLE_REQUIRED_OBJECT")
        for name, added in [*frame.asked, *((name, ()) for name in self._having_names())]:
            leaves = frame.leaf_measures(name)
            for ref in self.scoper.clause_fields(added):
                self._reached({self.leaves.home(leaf) for leaf in leaves}, [ref], "INVALID_MEASURE_FILTER")
            for leaf in leaves:
                for ref in self.scoper.clause_fields(leaf.filters):
                    self._reached({self.leaves.home(leaf)}, [ref], "INVALID_MEASURE_FILTER")

    def _check_having_fields(self, frame: Frame, asked: dict[str, Asked]) -> None:
        known = {*asked, *self.model.measures, *self.model.metrics, *(part.label for part in frame.parts)}
        known |= {part.names[0] for part in frame.parts if len(part.names) == 1}
        for clause in self.query.having:
            for leaf in filters.leaves(clause):
                if leaf.field not in known:
                    raise v.RefusedError(f"{leaf.field} is not in the result", "UNKNOWN_FILTER_FIELD")

    def _check_having(self, frame: Frame) -> None:
        """A measure that only HAVING names is planned like any other, also when there is no row to test."""
        for name in self._having_names():
            list(frame.keys((name, ()), frame.levels[0]))

    def _having_names(self) -> list[str]:
        named = (leaf.field for clause in self.query.having for leaf in filters.leaves(clause))
        return [name for name in named if name in self.model.measures or name in self.model.metrics]

    def _filters_reached(self, home: str) -> None:
        for ref in self.scoper.clause_fields(self.query.where):
            self._reached({home}, [ref], "UNKNOWN_FILTER_FIELD", "UNREACHABLE_REQUIRED_OBJECT")

    def _reached(self, homes: set[str], refs: Sequence[FieldRef], *codes: str) -> None:
        if homes and not any(self.scoper.is_reachable(home, ref) for home in homes for ref in refs):
            raise v.RefusedError(f"no leaf reaches {refs[0].column}", *codes)

    def _members(self, frame: Frame) -> list[RowKey]:
        """Dimensions alone: the distinct members of their common root's rows that have a passing row (rules o, h)."""
        refs = [ref for part in frame.parts for ref in part.refs]
        if not refs:
            raise v.UndecidedError("a numbering of rows without dimensions")
        objects = {name for ref in refs for name in (ref.column.object, ref.via) if name is not None}
        home = self.scoper.graph.common_root(objects, self.model.objects)
        if home is None:
            if any(len(part.members) > 1 for part in frame.parts):
                raise v.UndecidedError("coalesced dimensions without a common root")
            raise v.RefusedError("no object reaches all dimensions", "UNREACHABLE_REQUIRED_OBJECT")
        self._filters_reached(home)
        reading = self.leaves.rows(home, [part.refs for part in frame.parts], frame.where, frame.parts)
        found: dict[RowKey, None] = {}
        for level in frame.levels:
            parts = [frame.parts[place] for place in level]
            if not level:
                found[RowKey((), ())] = None
            found.update(
                (RowKey(level, self.leaves.key(reading.scope, context, parts)), None) for context in reading.contexts
            )
        return list(found)

    def _has(self, frame: Frame, asked: dict[str, Asked], row: RowKey) -> bool:
        """Whether a finished row passes HAVING."""

        def value(leaf: Filter) -> v.Value:
            for place, part in enumerate(frame.parts):
                if leaf.field == part.label or part.names == (leaf.field,):
                    return row.member(place) if row.keeps(place) else None
            if leaf.field in asked:
                return frame.finished(asked[leaf.field], row)
            if leaf.field in self.model.measures or leaf.field in self.model.metrics:
                return frame.finished((leaf.field, ()), row)
            raise v.RefusedError(f"{leaf.field} is not in the result", "UNKNOWN_FILTER_FIELD")

        world = filters.FilterWorld(self.world.calendar, self.world.context.now)
        return all(filters.passes(clause, value, world) is True for clause in self.query.having)

    # -- order and limit -------------------------------------------------------------------------------------------

    def _ordered(
        self, labels: tuple[str, ...], rows: list[tuple[v.Value, ...]], types: tuple[DataType | None, ...]
    ) -> Result:
        """Sorts, cuts and arranges the columns."""
        query = self.query
        order = tuple(self._order_key(item, labels) for item in query.order_by)
        limited = query.limit is not None or query.offset is not None
        if limited and not order:
            count = len(query.dimensions) or (len(labels) if query.fields else 0)
            nulls = NullsOrder.LAST if query.grouping is None else NullsOrder.FIRST
            order = tuple((place, Direction.ASC, nulls) for place in range(count))
        if limited and any(nulls is None for _, _, nulls in order):
            raise v.UndecidedError("a limit in an order that leaves the place of NULLs to the engine")
        for place, direction, nulls in reversed(order):
            rows = sorted(
                rows,
                key=lambda row, place=place, direction=direction, nulls=nulls: v.sort_key(  # type: ignore[misc]
                    row[place], descending=direction is Direction.DESC, nulls_first=nulls is NullsOrder.FIRST
                ),
            )
        start = query.offset or 0
        end = None if query.limit is None else start + query.limit
        wanted = (
            [labels.index(label) for label in query.column_order] if query.column_order else list(range(len(labels)))
        )
        every = tuple(tuple(row[place] for place in wanted) for row in rows)
        placed = tuple((wanted.index(place), direction, nulls) for place, direction, nulls in order)
        return Result(
            tuple(labels[place] for place in wanted), every[start:end], tuple(types[p] for p in wanted), placed, every
        )

    def _order_key(self, item: OrderItem, labels: Sequence[str]) -> tuple[int, Direction, NullsOrder | None]:
        if item.field in labels:
            return labels.index(item.field), item.direction, item.nulls
        for item_of_query in self.query.measures:
            if item_of_query.name == item.field:
                return labels.index(self._label(item_of_query)), item.direction, item.nulls
        if not item.field.isdigit():
            raise v.RefusedError(f"cannot order by {item.field}", "UNKNOWN_ORDER_BY_FIELD")
        place = int(item.field)
        if not 1 <= place <= len(self.query.dimensions) + len(self.query.measures) + len(self.query.fields):
            raise v.RefusedError(f"there is no column {place}", "INVALID_ORDER_BY_POSITION")
        return place - 1, item.direction, item.nulls

    # -- rows of objects -------------------------------------------------------------------------------------------

    def _raw_rows(self) -> Result:
        fields = [ColumnRef(item.object, item.column) for item in self.query.fields]
        refs = [FieldRef(column) for column in fields]
        root = self.scoper.graph.common_root({column.object for column in fields}, self.model.objects)
        if root is None:
            raise v.UndecidedError("fields of independent facts")
        self._filters_reached(root)
        reading = self.leaves.rows(root, [(ref,) for ref in refs], self.query.where)
        joined = reading.joined_rows(reading.contexts)
        rows = [tuple(self.scoper.read(reading.scope, context, ref) for ref in refs) for context in joined]
        if self.query.distinct:
            rows = list(dict.fromkeys(rows))
        labels = tuple(item.alias or f"{item.object}.{item.column}" for item in self.query.fields)
        return self._ordered(labels, rows, tuple(None for _ in labels))

    def _missing_combinations(self) -> Result:
        """The combinations of members that no passing row has; filters that a member's own row can see narrow those."""
        parts = self._parts()
        existing = {row.members for row in self._members(Frame(self.leaves, parts, self.query.where, ()))}
        candidates: list[tuple[v.Value, ...]] = [()]
        for part in parts:
            frame = Frame(self.leaves, [part], self._seen_by(part), ())
            members = {row.members[0] for row in self._members(frame)} - {None}
            candidates = [(*before, member) for before in candidates for member in members]
        rows = [candidate for candidate in candidates if candidate not in existing]
        return self._ordered(tuple(part.label for part in parts), rows, tuple(None for _ in parts))

    def _seen_by(self, part: KeyPart) -> list[FilterNode]:
        """Returns the filters of which the rows of a dimension's own object see every field."""
        near = self.scoper.graph.single_valued.descendants(part.refs[0].via or part.refs[0].column.object)
        clauses = flat_clauses(self.query.where)
        return [
            clause
            for clause in clauses
            if all((ref.via or ref.column.object) in near for ref in self.scoper.clause_fields([clause]))
        ]


def _qualified(object_name: str, node: FilterNode) -> FilterNode:
    """A row policy may name the columns of its object without the object."""
    from dataclasses import replace

    if isinstance(node, Filter):
        return node if "." in node.field else replace(node, field=f"{object_name}.{node.field}")
    return replace(node, filters=tuple(_qualified(object_name, member) for member in node.filters))
