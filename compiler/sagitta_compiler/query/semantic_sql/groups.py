"""SELECT on dimensions and measures: a Query, and what ordinary SQL must still do to its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType
from sagitta_compiler.query.query import (
    DimensionItem,
    Filter,
    FilterGroup,
    FilterNode,
    Grouping,
    MeasureItem,
    Query,
)
from sagitta_compiler.query.semantic_sql.additivity import is_additive, is_local
from sagitta_compiler.query.semantic_sql.aggregates import argument_of, has_aggregate, is_aggregate
from sagitta_compiler.query.semantic_sql.allowed import check_allowed
from sagitta_compiler.query.semantic_sql.answer import KEY, Output, answer, key_of, labelled, outside_queries, with_this
from sagitta_compiler.query.semantic_sql.asked import Asked, labels_of
from sagitta_compiler.query.semantic_sql.catalog import ColumnKind, measure_type
from sagitta_compiler.query.semantic_sql.clauses import (
    TranslatedSelect,
    is_translated,
    order_item,
    own_columns,
    row_count,
)
from sagitta_compiler.query.semantic_sql.conditional import Conditional, conditional
from sagitta_compiler.query.semantic_sql.filtering import NEVER, is_filter_of_measures, is_tautology, keep, related
from sagitta_compiler.query.semantic_sql.literals import Values, is_constant
from sagitta_compiler.query.semantic_sql.measured import Measured
from sagitta_compiler.query.semantic_sql.names import Item, Names
from sagitta_compiler.query.semantic_sql.predicates import conjuncts, predicate
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.statement import Core
from sagitta_compiler.query.semantic_sql.workspace import ITEM, items, readable


class _NotAMeasureError(Exception):
    """A condition of HAVING that only the SQL around the answer can say."""


class GroupedSelect:
    """Dimensions and measures: the measures are evaluated per group, whatever their aggregate is."""

    def __init__(
        self,
        select: exp.Select,
        projections: list[tuple[str | None, exp.Expr]],
        names: Names,
        values: Values,
        alias: str,
    ) -> None:
        self._select = select
        self._projections = projections
        self._asked = Asked(names, values)
        self._measured = Measured(self._asked, projections)
        self._alias = alias
        self._groups: dict[str, exp.Expr] = {}
        self._grouping: Grouping | None = None
        self._where: list[FilterNode] = []
        self._having: list[FilterNode] = []
        self._after: list[exp.Expr] = []
        self._is_never_true = False
        self._is_empty = False
        self._needs_outer = False
        self._leaves_out = False

    def translate(self) -> TranslatedSelect:
        self._read_groups()
        self._read_where()
        outputs = [Output(self._name(alias, tree), self._lower(tree)) for alias, tree in self._projections]
        self._read_having()
        order = [(key, self._lower(key.this)) for key in self._order_keys()]
        self._refuse_far_values()
        self._look_for_a_row()
        return self._assemble(outputs, order)

    def _look_for_a_row(self) -> None:
        """`SELECT 1 FROM t LIMIT 1` asks whether there are rows, `... WHERE 1 = 0` whether there is a table."""
        limit = self._count("limit")
        asks_for_rows = self._is_never_true or (limit is not None and limit <= 1)
        if self._asked.dimensions or self._asked.measures or not asks_for_rows:
            return
        item = self._asked.names.item(exp.column(self._asked.names.table.columns[0].name, quoted=True))
        if item.is_measured:
            self._asked.measure_column(item.name)
        else:
            self._asked.dimension_column(item)

    # groups

    def _read_groups(self) -> None:
        group = self._select.args.get("group")
        explicit = self._explicit_groups(group) if group is not None and not group.args.get("all") else None
        if explicit is None:
            explicit = [part for _, tree in self._projections for part in self._implicit_groups(tree)]
        for tree in explicit:
            if not is_constant(tree) and not has_aggregate(tree) and outside_queries(tree):
                self._group(tree)

    def _explicit_groups(self, group: exp.Group) -> list[exp.Expr]:
        keys = list(group.expressions)
        levels = [node for argument in ("rollup", "cube") for node in group.args.get(argument) or ()]
        if group.args.get("grouping_sets") or any(isinstance(key, exp.GroupingSets) for key in keys):
            raise refused("UNSUPPORTED_SQL_FEATURE", "GROUPING SETS is not possible.", "Use ROLLUP or CUBE.")
        flat = [part for key in keys for part in (key.expressions if isinstance(key, exp.Tuple) else [key])]
        levels.extend(key for key in flat if isinstance(key, exp.Rollup | exp.Cube))
        flat = [key for key in flat if not isinstance(key, exp.Rollup | exp.Cube)]
        if not levels:
            return flat
        if len(levels) > 1 or (levels[0].expressions and flat):  # WITH ROLLUP names no keys of its own
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                "ROLLUP and CUBE take all the grouped dimensions.",
                "Put every key into the brackets.",
            )
        self._grouping = Grouping.ROLLUP if isinstance(levels[0], exp.Rollup) else Grouping.CUBE
        return flat or list(levels[0].expressions)

    def _implicit_groups(self, tree: exp.Expr) -> Iterator[exp.Expr]:
        """Without GROUP BY, what is not aggregated groups: a whole expression, or the dimensions beside measures."""
        if not has_aggregate(tree):
            yield tree
            return
        for node in tree.walk(prune=lambda n: is_aggregate(n) or isinstance(n, exp.Filter | exp.Query)):
            if isinstance(node, exp.Column) and not node.meta[ITEM].is_measured:
                yield node

    def _group(self, tree: exp.Expr) -> None:
        tree = tree.unnest()
        if tree.find(exp.Query) is not None:
            raise refused("UNSUPPORTED_SQL_FEATURE", "A sub-select inside an expression is not possible on a model.")
        key = key_of(tree)
        if key not in self._groups:
            self._groups[key] = self._asked.as_dimension(tree)

    # measures

    def _conditional(self, tree: exp.Expr, found: Conditional) -> exp.Expr:
        """A measure that is narrowed for this statement."""
        if has_aggregate(found.condition) or found.condition.find(exp.Query) is not None:
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)}: its condition takes dimensions only.")
        name = self._measured.name_of(found.aggregate)
        if name is None:
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)} cannot be evaluated on a model.")
        filters: list[FilterNode] = []
        for part in conjuncts(found.condition):
            if not keep(predicate(part, self._operand, self._asked.values), filters):
                filters.append(NEVER)
        column = self._asked.measure_column(name, tuple(filters))
        return exp.Coalesce(this=column, expressions=[exp.Literal.number(0)]) if found.is_zero_without_rows else column

    # expressions over the answer

    def _lower(self, tree: exp.Expr) -> exp.Expr:
        """Rewrites an expression to one over the columns of the answer."""
        tree = tree.unnest() if isinstance(tree, exp.Paren) else tree
        if not is_constant(tree) and all(ITEM in column.meta for column in own_columns(tree)):
            if not has_aggregate(tree) and (group := self._groups.get(key_of(tree))) is not None:
                return group.copy()
            if (found := conditional(tree)) is not None:
                return self._conditional(tree, found)
            if (name := self._measured.name_of(tree)) is not None:
                return self._asked.measure_column(name)
        match tree:
            case exp.Placeholder():
                return exp.convert(self._asked.values.parameter(tree, None, None))
            case exp.Column():
                return self._lower_dimension(tree)
            case exp.Grouping():
                return self._lower_grouping(tree)
            case exp.Window():
                return self._lower_window(tree)
            case exp.Query() if is_translated(tree):
                return tree.copy()
            case exp.Query():
                raise refused(
                    "UNSUPPORTED_SQL_FEATURE", "A sub-select inside an expression is not possible on a model."
                )
            case _:
                return self._lower_children(tree)

    def _lower_children(self, tree: exp.Expr) -> exp.Expr:
        """Builds the node anew over its lowered children; a copy would copy all that lies below, at every level."""
        check_allowed(tree, deep=False)
        return type(tree)(**{name: self._lowered(child) for name, child in tree.args.items()})

    def _lowered(self, child: Any) -> Any:
        if isinstance(child, list):
            return [self._lowered(member) for member in child]
        return self._lower(child) if isinstance(child, exp.Expr) else child

    def _lower_dimension(self, tree: exp.Column) -> exp.Expr:
        item: Item = tree.meta[ITEM]
        raise refused(
            "UNSUPPORTED_SQL_FEATURE",
            f"{item.name!r} must appear in the GROUP BY clause.",
            f'Add "{item.name}" to GROUP BY, or leave GROUP BY out: a model groups by the selected dimensions.',
        )

    def _lower_grouping(self, tree: exp.Grouping) -> exp.Expr:
        if self._grouping is None or len(tree.expressions) != 1:
            raise refused("UNSUPPORTED_SQL_FEATURE", "GROUPING takes one dimension of a ROLLUP or CUBE.")
        column = self._lower(tree.expressions[0])
        if KEY not in column.meta:
            raise refused("UNSUPPORTED_SQL_FEATURE", "GROUPING takes one dimension of a ROLLUP or CUBE.")
        return answer(f"g:{column.meta[KEY]}")

    def _lower_window(self, tree: exp.Window) -> exp.Expr:
        function = tree.this
        if isinstance(function, exp.AggFunc) and isinstance(function, exp.Sum | exp.Count | exp.Avg):
            self._check_window(function)
        copied = tree.copy()
        inner = function.copy()
        for name, child in list(function.args.items()):
            if isinstance(child, exp.Expr) and not isinstance(child, exp.Star):
                inner.set(name, self._lower(child))
            elif isinstance(child, list):
                inner.set(name, [self._lower(c) for c in child])
        copied.set("this", inner)
        copied.set("partition_by", [self._lower(c) for c in tree.args.get("partition_by") or ()])
        if order := tree.args.get("order"):
            keys = [with_this(key, self._lower(key.this)) for key in order.expressions]
            copied.set("order", exp.Order(expressions=keys))
        return copied

    def _check_window(self, function: exp.Expr) -> None:
        dimensions = [d.name for d in self._asked.dimensions.values()]
        for item in items(function):
            measure = self._asked.model.measures.get(item.name)
            if (
                item.is_measured
                and isinstance(function, exp.Sum)
                and (measure is None or not is_additive(self._asked.model, measure, dimensions))
            ):
                raise refused(
                    "NON_ADDITIVE_AGGREGATION",
                    f"{readable(function)} OVER would add up {item.name!r}, whose values do not add up over groups.",
                    "Define a measure with `total: true` or a fixed grain for the total.",
                )

    # filters

    def _read_where(self) -> None:
        where = self._select.args.get("where")
        for part in conjuncts(where.this if where is not None else None):
            if has_aggregate(part):
                self._filter_answer(part)
                continue
            if (found := related(part, self._asked)) is not None:
                self._where.append(found)
                continue
            if part.find(exp.Query) is not None:
                self._leave_groups_out(part)
                continue
            self._is_never_true |= not keep(predicate(part, self._operand, self._asked.values), self._where)

    def _leave_groups_out(self, part: exp.Expr) -> None:
        """A condition that compares dimensions with the rows of a sub-select: it is applied to the groups."""
        if self._grouping is not None:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{readable(part)} cannot be combined with subtotals.",
                "List the values: IN (...).",
            )
        self._needs_outer = True
        self._leaves_out = True
        self._after.append(self._lower(part))

    def _refuse_far_values(self) -> None:
        """Raises `CompileError` when groups are left out after measures that look beyond their group."""
        far = [m.name for m in self._asked.measures.values() if not is_local(self._asked.space.result(), m.name)]
        if self._leaves_out and far:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{far[0]!r} looks beyond its own group, so a sub-select in WHERE cannot narrow it.",
                "List the values: IN (...).",
                measure=far[0],
            )

    def _operand(self, tree: exp.Expr) -> Item:
        """A dimension or raw column that a WHERE filter can name; an expression becomes a computed dimension."""
        tree = tree.unnest()
        if isinstance(tree, exp.Column) and tree.meta[ITEM].kind is ColumnKind.FIELD:
            field: Item = tree.meta[ITEM]
            return field
        item = self._asked.dimension_item(tree)
        if item is None:
            check_allowed(tree)
            return self._asked.space.dimension(self._asked.with_constants(tree))
        grain = item.grain or self._asked.model.dimensions[item.name].time_grain
        return Item(item.kind, item.name, item.type, grain)

    def _read_having(self) -> None:
        having = self._select.args.get("having")
        for part in conjuncts(having.this if having is not None else None):
            if not is_tautology(part):
                self._filter_answer(part)

    def _filter_answer(self, part: exp.Expr) -> None:
        """A condition on measures: HAVING where a filter says it, else WHERE around the answer."""
        if is_filter_of_measures(part, self._measured, self._asked.model):
            try:
                self._is_empty |= not keep(predicate(part, self._having_operand, self._asked.values), self._having)
            except _NotAMeasureError:
                pass
            else:
                return
        self._needs_outer = True
        self._after.append(self._lower(part))

    def _having_operand(self, tree: exp.Expr) -> Item:
        name = self._measured.name_of(tree.unnest())
        if name is None:
            raise _NotAMeasureError
        self._asked.measure_column(name)  # also when it is not shown: the groups are those in which it has a value
        measure = self._asked.model.measures.get(name)
        kind = measure_type(self._asked.model, measure) if measure is not None else AbstractType.FLOAT
        return Item(ColumnKind.MEASURE, name, kind)

    # order and assembly

    def _order_keys(self) -> list[exp.Ordered]:
        order = self._select.args.get("order")
        keys = list(order.expressions) if order is not None else []
        return [key for key in keys if not is_constant(key.this)]  # a constant orders nothing

    def _name(self, alias: str | None, tree: exp.Expr) -> str:
        if alias:
            return alias
        if isinstance(tree, exp.Column):
            item: Item = tree.meta[ITEM]
            return f"{item.name}:{item.grain}" if item.grain else item.name
        if (item2 := self._asked.dimension_item(tree)) is not None:
            return f"{item2.name}:{item2.grain}" if item2.grain else item2.name
        if not is_constant(tree) and is_aggregate(tree) and isinstance(argument_of(tree), exp.Column):
            argument = argument_of(tree)
            assert argument is not None
            if argument.meta[ITEM].is_measured:
                return str(argument.meta[ITEM].name)
        return readable(tree)

    def _assemble(self, outputs: list[Output], order: list[tuple[exp.Ordered, exp.Expr]]) -> TranslatedSelect:
        simple = self._is_simple(outputs, order)
        labels = labels_of(self._asked, outputs if simple else [])
        limit, offset = self._count("limit"), self._count("offset")
        if self._is_never_true and self._has_a_row_of_nothing():
            self._where.append(NEVER)
        elif self._is_never_true:
            self._is_empty = True
        if self._is_empty:
            limit = 0
        query = Query(
            dimensions=tuple(DimensionItem(d.name, d.grain, labels[k]) for k, d in self._asked.dimensions.items()),
            measures=tuple(MeasureItem(m.name, m.filters, labels[k]) for k, m in self._asked.measures.items()),
            where=tuple(self._where),
            having=tuple(self._having),
            order_by=tuple(order_item(key, labels[tree.meta[KEY]]) for key, tree in order) if simple else (),
            limit=limit if simple else (0 if self._is_empty else None),
            offset=offset if simple else None,
            grouping=self._grouping,
            column_order=tuple(o.name for o in outputs) if simple else (),
        )
        sources = tuple(labels.get(o.tree.meta[KEY]) if KEY in o.tree.meta else None for o in outputs)
        core = Core(
            self._alias,
            self._asked.names.table.schema,
            self._asked.space.result(),
            query,
            tuple(labels.values()),
            self._asked.space.is_extended,
        )
        names = tuple(o.name for o in outputs)
        outer = None if simple else self._outer(outputs, order, labels, limit, offset)
        return TranslatedSelect(core, names, sources, outer)

    def _has_a_row_of_nothing(self) -> bool:
        """Whether an answer over no rows has a row: that of all of them, as aggregates without GROUP BY and totals do.

        A measure that stands alone is a column, and a column of no rows is empty.
        """
        if self._grouping is not None:
            return True
        written = [tree for _, tree in self._projections]
        written += [part for clause in ("having", "order") if (part := self._select.args.get(clause)) is not None]
        aggregates = (n for tree in written for n in tree.walk(prune=lambda n: isinstance(n, exp.Query)))
        return (
            not self._asked.dimensions and self._select.args.get("group") is None and any(map(is_aggregate, aggregates))
        )

    def _is_simple(self, outputs: list[Output], order: list[tuple[exp.Ordered, exp.Expr]]) -> bool:
        if self._needs_outer or self._grouping is not None:
            return False
        keys = [o.tree.meta.get(KEY) for o in outputs]
        names = [o.name for o in outputs]
        every = {*self._asked.dimensions, *self._asked.measures}
        return (
            bool(every)
            and None not in keys
            and len(set(keys)) == len(keys)
            and len(set(names)) == len(names)
            and set(keys) == every
            and all(tree.meta.get(KEY) in every for _, tree in order)
            and not self._hides_a_measure(outputs)
        )

    def _hides_a_measure(self, outputs: list[Output]) -> bool:
        """Whether an output has the name of a measure that HAVING compares, and is something else."""
        compared = {node.field for node in _flat_filters(self._having)}
        return any(o.name in compared and o.tree.meta.get(KEY) != f"m:{o.name}" for o in outputs)

    def _outer(
        self,
        outputs: list[Output],
        order: list[tuple[exp.Ordered, exp.Expr]],
        labels: dict[str, str],
        limit: int | None,
        offset: int | None,
    ) -> exp.Select:
        self._refuse_empty()
        outer = exp.select(*(exp.alias_(labelled(o.tree, labels, self._alias), o.name, quoted=True) for o in outputs))
        outer = outer.from_(exp.to_identifier(self._alias))
        for condition in self._after:
            outer = outer.where(labelled(condition, labels, self._alias))
        if self._select.args.get("distinct"):
            outer = outer.distinct()
        if order:
            outer.set(
                "order", exp.Order(expressions=[with_this(k, labelled(t, labels, self._alias)) for k, t in order])
            )
        if limit is not None:
            outer = outer.limit(limit)
        return outer.offset(offset) if offset is not None else outer

    def _refuse_empty(self) -> None:
        if not self._asked.dimensions and not self._asked.measures:
            raise refused(
                "EMPTY_SELECT", "The statement selects no dimension and no measure.", "Select at least one label."
            )

    def _count(self, clause: str) -> int | None:
        return row_count(self._select, clause, self._asked.values)


def _flat_filters(nodes: Iterable[FilterNode]) -> Iterator[Filter]:
    for node in nodes:
        if isinstance(node, Filter):
            yield node
        elif isinstance(node, FilterGroup):
            yield from _flat_filters(node.filters)
