"""SELECT on dimensions and measures: a Query, and what ordinary SQL must still do to its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, Aggregation, TimeGrain
from sagitta_compiler.query.query import (
    DimensionItem,
    Filter,
    FilterGroup,
    FilterNode,
    Grouping,
    Logic,
    MeasureItem,
    Query,
)
from sagitta_compiler.query.semantic_sql.additivity import count_of_rows, is_additive, is_local
from sagitta_compiler.query.semantic_sql.allowed import check_allowed
from sagitta_compiler.query.semantic_sql.catalog import ColumnKind
from sagitta_compiler.query.semantic_sql.clauses import (
    TranslatedSelect,
    is_translated,
    order_item,
    own_columns,
    row_count,
)
from sagitta_compiler.query.semantic_sql.conditional import Conditional, conditional
from sagitta_compiler.query.semantic_sql.literals import Values, cast_kind, is_constant
from sagitta_compiler.query.semantic_sql.names import Item, Names
from sagitta_compiler.query.semantic_sql.predicates import conjuncts, exists, grain_of, predicate
from sagitta_compiler.query.semantic_sql.reading import NULLS, refused
from sagitta_compiler.query.semantic_sql.statement import Core
from sagitta_compiler.query.semantic_sql.workspace import ITEM, Workspace, items, readable, written

KEY = "key"
"""Key of `Expression.meta` of a column of the answer: which output of the Query it is."""
_MEASURE_CALLS = frozenset({"measure", "agg", "aggregate"})


@dataclass(frozen=True, slots=True)
class _Output:
    name: str
    tree: exp.Expr


def _key(tree: exp.Expr) -> str:
    """A text that is equal for expressions that mean the same: labels instead of spellings."""
    canonical = tree.copy()
    for column in _outside_queries(canonical):
        item: Item = column.meta[ITEM]
        label = exp.column(f"{item.name}:{item.grain}" if item.grain else item.name, quoted=True)
        canonical = label if column is canonical else (column.replace(label) and canonical)
    return written(canonical, normalize=True)


def _outside_queries(tree: exp.Expr) -> list[exp.Column]:
    """The columns of a tree that no sub-select in it holds."""
    nodes = tree.walk(prune=lambda n: isinstance(n, exp.Query))
    return [node for node in nodes if isinstance(node, exp.Column)]


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
        self._names = names
        self._values = values
        self._alias = alias
        self._space = Workspace(names.model)
        self._dimensions: dict[str, DimensionItem] = {}
        self._measures: dict[str, MeasureItem] = {}
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
        outputs = [_Output(self._name(alias, tree), self._lower(tree)) for alias, tree in self._projections]
        self._read_having()
        order = [(key, self._lower(key.this)) for key in self._order_keys()]
        self._refuse_far_values()
        self._look_for_a_row()
        return self._assemble(outputs, order)

    def _look_for_a_row(self) -> None:
        """`SELECT 1 FROM t LIMIT 1` asks whether there are rows, `... WHERE 1 = 0` whether there is a table."""
        limit = self._count("limit")
        if self._dimensions or self._measures or not (self._is_never_true or (limit is not None and limit <= 1)):
            return
        item = self._names.item(exp.column(self._names.table.columns[0].name, quoted=True))
        if item.is_measured:
            self._measure_column(item.name)
        else:
            self._dimension_column(item)

    # groups

    def _read_groups(self) -> None:
        group = self._select.args.get("group")
        explicit = self._explicit_groups(group) if group is not None and not group.args.get("all") else None
        if explicit is None:
            explicit = [part for _, tree in self._projections for part in self._implicit_groups(tree)]
        for tree in explicit:
            if not is_constant(tree) and not _has_aggregate(tree) and _outside_queries(tree):
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
        if not _has_aggregate(tree):
            yield tree
            return
        for node in tree.walk(prune=lambda n: _is_aggregate(n) or isinstance(n, exp.Filter | exp.Query)):
            if isinstance(node, exp.Column) and not node.meta[ITEM].is_measured:
                yield node

    def _group(self, tree: exp.Expr) -> None:
        tree = tree.unnest()
        if tree.find(exp.Query) is not None:
            raise refused("UNSUPPORTED_SQL_FEATURE", "A sub-select inside an expression is not possible on a model.")
        key = _key(tree)
        if key not in self._groups:
            self._groups[key] = self._as_dimension(tree)

    def _as_dimension(self, tree: exp.Expr) -> exp.Expr:
        if (found := self._dimension_item(tree)) is not None:
            return self._dimension_column(found)
        if isinstance(tree, exp.Cast) and cast_kind(tree.to) is AbstractType.STRING:  # different values stay different
            inner = self._dimension_item(tree.this.unnest())
            if inner is not None:
                return exp.cast(self._dimension_column(inner), tree.to.copy())
        check_allowed(tree)
        return self._dimension_column(self._space.dimension(self._with_constants(tree)))

    def _dimension_item(self, tree: exp.Expr) -> Item | None:
        """A dimension, a truncated one, or a cast of one that changes nothing."""
        match tree:
            case exp.Column():
                item: Item = tree.meta[ITEM]
                return item if item.kind is ColumnKind.DIMENSION else None
            case exp.TimestampTrunc() | exp.DateTrunc() | exp.DatetimeTrunc():
                return self._truncated(tree)
            case exp.Cast():
                inner = self._dimension_item(tree.this.unnest())
                return inner if inner is not None and _is_idle_cast(inner.type, tree.to) else None
            case _:
                return None

    def _truncated(self, tree: exp.Expr) -> Item | None:
        grain = grain_of(tree.args["unit"].name)
        inner = tree.this.unnest()
        if isinstance(inner, exp.Cast) and inner.this.unnest().find(exp.Column):
            inner = inner.this.unnest()
        item = self._dimension_item(inner)
        if grain is None or item is None or not item.type.is_temporal:
            return None
        declared = item.grain or self._names.model.dimensions[item.name].time_grain
        if declared is not None and not _is_coarser(grain, declared):
            return item
        return Item(item.kind, item.name, item.type, grain)

    def _dimension_column(self, item: Item) -> exp.Column:
        key = f"d:{item.name}:{item.grain or ''}"
        self._dimensions.setdefault(key, DimensionItem(item.name, item.grain))
        return _answer(key)

    def _with_constants(self, tree: exp.Expr) -> exp.Expr:
        """Replaces placeholders by their values, so that an expression can become part of the model."""
        copied = tree.copy()
        for node in list(copied.find_all(exp.Placeholder)):
            literal = exp.convert(self._values.parameter(node, None, None))
            copied = literal if node is copied else (node.replace(literal) and copied)
        return copied

    # measures

    def _measure_column(self, name: str, filters: tuple[FilterNode, ...] = ()) -> exp.Column:
        same = [key for key, item in self._measures.items() if (item.name, item.filters) == (name, filters)]
        key = same[0] if same else (f"m:{name}#{len(self._measures)}" if filters else f"m:{name}")
        self._measures.setdefault(key, MeasureItem(name, filters))
        return _answer(key)

    def _conditional(self, tree: exp.Expr, found: Conditional) -> exp.Expr:
        """A measure that is narrowed for this statement."""
        if _has_aggregate(found.condition) or found.condition.find(exp.Query) is not None:
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)}: its condition takes dimensions only.")
        name = self._measured(found.aggregate)
        if name is None:
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)} cannot be evaluated on a model.")
        filters: list[FilterNode] = []
        for part in conjuncts(found.condition):
            if not _keep(predicate(part, self._operand, self._values), filters):
                filters.append(_NEVER)
        column = self._measure_column(name, tuple(filters))
        return exp.Coalesce(this=column, expressions=[exp.Literal.number(0)]) if found.is_zero_without_rows else column

    def _measured(self, tree: exp.Expr) -> str | None:
        """The measure or metric that a tree is, wrapped in nothing or in an aggregate that changes nothing."""
        if isinstance(tree, exp.Paren):
            return self._measured(tree.this)
        if isinstance(tree, exp.Column):
            item: Item = tree.meta[ITEM]
            return item.name if item.is_measured else None
        if not _is_aggregate(tree):
            return None
        return self._aggregate(tree)

    def _aggregate(self, tree: exp.Expr) -> str:
        _refuse_extras(tree)
        argument = _argument(tree)
        if _counts_rows(tree, argument):
            return self._rows()
        if not isinstance(argument, exp.Column):
            return self._over_expression(tree, argument)
        item: Item = argument.meta[ITEM]
        if item.is_measured:
            return self._same_aggregate(tree, item)
        if _is_measure_call(tree):
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)}: {item.name!r} is a dimension, not a measure.")
        return self._over_dimension(tree, item)

    def _rows(self) -> str:
        selected = [name for _, tree in self._projections for name in _measures_in(tree)]
        found = count_of_rows(self._names.model, selected)
        if found is None:
            counts = [m.name for m in self._names.model.measures.values() if m.count_of][:5]
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                "COUNT(*) does not say of which data object the rows are counted.",
                f"Select a count, for instance {', '.join(map(repr, counts))}." if counts else None,
            )
        return found

    def _same_aggregate(self, tree: exp.Expr, item: Item) -> str:
        if _is_measure_call(tree) or isinstance(tree, exp.AnyValue):
            return item.name
        measure = self._names.model.measures.get(item.name)
        if measure is not None and _matches(tree, measure.aggregation, distinct=measure.distinct):
            return item.name
        dimensions = [d.name for d in self._dimensions.values()]
        is_sum_of_all = isinstance(tree, exp.Sum) and not isinstance(tree.this, exp.Distinct)
        if measure is not None and is_sum_of_all and is_additive(self._names.model, measure, dimensions):
            return item.name
        is_sum = isinstance(tree, exp.Sum)
        raise refused(
            "NON_ADDITIVE_AGGREGATION" if is_sum else "AGGREGATION_MISMATCH",
            f"{readable(tree)} is not the aggregate that {item.name!r} declares.",
            f'Write MEASURE("{item.name}"): it is evaluated for each group; or aggregate the rows of a sub-select that '
            "names its GROUP BY.",
            measure=item.name,
        )

    def _over_dimension(self, tree: exp.Expr, item: Item) -> str:
        aggregation = _free_of_duplicates(tree)
        if aggregation is None:
            raise refused(
                "AGGREGATION_MISMATCH",
                f"{readable(tree)} depends on how often each value occurs, which a model does not say.",
                "Use COUNT(DISTINCT ...), MIN or MAX, or a measure of the model.",
            )
        grain = item.grain or self._names.model.dimensions[item.name].time_grain
        if grain is not None:
            truncated = exp.column(item.name, quoted=True)
            truncated.meta[ITEM] = Item(item.kind, item.name, item.type, grain)
            item = self._space.dimension(truncated)
        return self._space.over_dimension(aggregation, item)

    def _over_expression(self, tree: exp.Expr, argument: exp.Expr | None) -> str:
        aggregation = _free_of_duplicates(tree)
        if argument is None or aggregation is None or any(item.is_measured for item in items(argument)):
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{readable(tree)} cannot be evaluated on a model.",
                "Aggregate a measure or a dimension itself, or define a measure.",
            )
        check_allowed(argument)
        return self._space.over_dimension(aggregation, self._space.dimension(self._with_constants(argument)))

    # expressions over the answer

    def _lower(self, tree: exp.Expr) -> exp.Expr:
        """Rewrites an expression to one over the columns of the answer."""
        tree = tree.unnest() if isinstance(tree, exp.Paren) else tree
        if not is_constant(tree) and all(ITEM in column.meta for column in own_columns(tree)):
            if not _has_aggregate(tree) and (group := self._groups.get(_key(tree))) is not None:
                return group.copy()
            if (found := conditional(tree)) is not None:
                return self._conditional(tree, found)
            if (name := self._measured(tree)) is not None:
                return self._measure_column(name)
        match tree:
            case exp.Placeholder():
                return exp.convert(self._values.parameter(tree, None, None))
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
        return _answer(f"g:{column.meta[KEY]}")

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
            keys = [_with_this(key, self._lower(key.this)) for key in order.expressions]
            copied.set("order", exp.Order(expressions=keys))
        return copied

    def _check_window(self, function: exp.Expr) -> None:
        dimensions = [d.name for d in self._dimensions.values()]
        for item in items(function):
            measure = self._names.model.measures.get(item.name)
            if (
                item.is_measured
                and isinstance(function, exp.Sum)
                and (measure is None or not is_additive(self._names.model, measure, dimensions))
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
            if _has_aggregate(part):
                self._filter_answer(part)
                continue
            if (found := self._exists(part)) is not None:
                self._where.append(found)
                continue
            if part.find(exp.Query) is not None:
                self._leave_groups_out(part)
                continue
            self._is_never_true |= not _keep(predicate(part, self._operand, self._values), self._where)

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
        far = [m.name for m in self._measures.values() if not is_local(self._space.result(), m.name)]
        if self._leaves_out and far:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{far[0]!r} looks beyond its own group, so a sub-select in WHERE cannot narrow it.",
                "List the values: IN (...).",
                measure=far[0],
            )

    def _exists(self, part: exp.Expr) -> FilterNode | None:
        negated = isinstance(part, exp.Not)
        node = part.this.unnest() if isinstance(part, exp.Not) else part
        if not isinstance(node, exp.Exists):
            return None
        subject = next((d.name for d in self._dimensions.values() if d.name in self._names.model.dimensions), None)
        subject = subject or next(iter(self._names.model.dimensions), None)
        if subject is None:
            raise refused("UNSUPPORTED_SQL_FEATURE", "EXISTS needs a dimension whose object it refers to.")
        return exists(node, subject, negated, self._subquery_filters)

    def _subquery_filters(self, select: exp.Select) -> tuple[FilterNode, ...]:
        where = select.args.get("where")
        target = select.args["from_"].this.name

        def operand(tree: exp.Expr) -> Item:
            if not isinstance(tree, exp.Column):
                raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)} cannot be filtered inside EXISTS.")
            column = tree if tree.table else exp.column(tree.name, table=target, quoted=True)
            found = self._names.find(column) or self._names.find(tree)
            return found or self._names.item(tree)

        nodes: list[FilterNode] = []
        for part in conjuncts(where.this if where is not None else None):
            if not _keep(predicate(part, operand, self._values), nodes):
                nodes.append(_NEVER)
        return tuple(nodes)

    def _operand(self, tree: exp.Expr) -> Item:
        """A dimension or raw column that a WHERE filter can name; an expression becomes a computed dimension."""
        tree = tree.unnest()
        if isinstance(tree, exp.Column) and tree.meta[ITEM].kind is ColumnKind.FIELD:
            field: Item = tree.meta[ITEM]
            return field
        item = self._dimension_item(tree)
        if item is None:
            check_allowed(tree)
            return self._space.dimension(self._with_constants(tree))
        grain = item.grain or self._names.model.dimensions[item.name].time_grain
        return Item(item.kind, item.name, item.type, grain)

    def _read_having(self) -> None:
        having = self._select.args.get("having")
        for part in conjuncts(having.this if having is not None else None):
            if not _is_tautology(part):
                self._filter_answer(part)

    def _filter_answer(self, part: exp.Expr) -> None:
        """A condition on measures: HAVING where a filter says it, else WHERE around the answer."""
        if self._is_simple_having(part):
            try:
                self._is_empty |= not _keep(predicate(part, self._having_operand, self._values), self._having)
            except _NotAMeasureError:
                pass
            else:
                return
        self._needs_outer = True
        self._after.append(self._lower(part))

    def _is_simple_having(self, part: exp.Expr) -> bool:
        if part.find(exp.Query) is not None or any(conditional(node) is not None for node in part.walk()):
            return False
        for node in part.walk(prune=lambda n: _is_aggregate(n) or isinstance(n, exp.Column)):
            if _is_aggregate(node) or isinstance(node, exp.Column):
                name = self._measured(node) if _has_aggregate(node) else None
                if name is None or (name not in self._names.model.measures and name not in self._names.model.metrics):
                    return False
            elif _is_computation(node) and not is_constant(node):
                return False
        return True

    def _having_operand(self, tree: exp.Expr) -> Item:
        name = self._measured(tree.unnest())
        if name is None:
            raise _NotAMeasureError
        self._measure_column(name)  # also when it is not shown: the groups are those in which it has a value
        measure = self._names.model.measures.get(name)
        kind = measure.result_type if measure is not None else AbstractType.FLOAT
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
        if (item2 := self._dimension_item(tree)) is not None:
            return f"{item2.name}:{item2.grain}" if item2.grain else item2.name
        if not is_constant(tree) and _is_aggregate(tree) and isinstance(_argument(tree), exp.Column):
            argument = _argument(tree)
            assert argument is not None
            if argument.meta[ITEM].is_measured:
                return str(argument.meta[ITEM].name)
        return readable(tree)

    def _assemble(self, outputs: list[_Output], order: list[tuple[exp.Ordered, exp.Expr]]) -> TranslatedSelect:
        simple = self._is_simple(outputs, order)
        labels = self._labels(outputs if simple else [])
        limit, offset = self._count("limit"), self._count("offset")
        if self._is_never_true and self._has_a_row_of_nothing():
            self._where.append(_NEVER)
        elif self._is_never_true:
            self._is_empty = True
        if self._is_empty:
            limit = 0
        query = Query(
            dimensions=tuple(DimensionItem(d.name, d.grain, labels[k]) for k, d in self._dimensions.items()),
            measures=tuple(MeasureItem(m.name, m.filters, labels[k]) for k, m in self._measures.items()),
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
            self._names.table.schema,
            self._space.result(),
            query,
            tuple(labels.values()),
            self._space.is_extended,
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
        return not self._dimensions and self._select.args.get("group") is None and any(map(_is_aggregate, aggregates))

    def _is_simple(self, outputs: list[_Output], order: list[tuple[exp.Ordered, exp.Expr]]) -> bool:
        if self._needs_outer or self._grouping is not None:
            return False
        keys = [o.tree.meta.get(KEY) for o in outputs]
        names = [o.name for o in outputs]
        every = {*self._dimensions, *self._measures}
        return (
            bool(every)
            and None not in keys
            and len(set(keys)) == len(keys)
            and len(set(names)) == len(names)
            and set(keys) == every
            and all(tree.meta.get(KEY) in every for _, tree in order)
            and not self._hides_a_measure(outputs)
        )

    def _hides_a_measure(self, outputs: list[_Output]) -> bool:
        """Whether an output has the name of a measure that HAVING compares, and is something else."""
        compared = {node.field for node in _flat_filters(self._having)}
        return any(o.name in compared and o.tree.meta.get(KEY) != f"m:{o.name}" for o in outputs)

    def _labels(self, outputs: list[_Output]) -> dict[str, str]:
        """The label of each column of the answer: the output's name, else one of its own."""
        labels = {str(o.tree.meta[KEY]): o.name for o in outputs}
        every: dict[str, DimensionItem | MeasureItem] = {**self._dimensions, **self._measures}
        for key, item in every.items():
            if key in labels:
                continue
            grain = item.grain if isinstance(item, DimensionItem) else None
            label = f"{item.name}:{grain}" if grain else item.name
            if isinstance(item, MeasureItem) and item.filters:
                label = f"{label}, filtered"  # HAVING finds labels before measures: a narrowed one is never the measure
            while label in labels.values():
                label = f"{label}_"
            labels[key] = label
        return labels

    def _outer(
        self,
        outputs: list[_Output],
        order: list[tuple[exp.Ordered, exp.Expr]],
        labels: dict[str, str],
        limit: int | None,
        offset: int | None,
    ) -> exp.Select:
        self._refuse_empty()
        outer = exp.select(*(exp.alias_(self._labelled(o.tree, labels), o.name, quoted=True) for o in outputs))
        outer = outer.from_(exp.to_identifier(self._alias))
        for condition in self._after:
            outer = outer.where(self._labelled(condition, labels))
        if self._select.args.get("distinct"):
            outer = outer.distinct()
        if order:
            outer.set("order", exp.Order(expressions=[_with_this(k, self._labelled(t, labels)) for k, t in order]))
        if limit is not None:
            outer = outer.limit(limit)
        return outer.offset(offset) if offset is not None else outer

    def _labelled(self, tree: exp.Expr, labels: dict[str, str]) -> exp.Expr:
        """Gives the columns of the answer their labels and its name: an output may be called like another column."""
        copied = tree.copy()
        for column in _outside_queries(copied):
            key = str(column.meta[KEY])
            label = f"_g_{labels[key[2:]]}" if key.startswith("g:") else labels[key]
            column.set("this", exp.to_identifier(label, quoted=True))
            column.set("table", exp.to_identifier(self._alias))
        return copied

    def _refuse_empty(self) -> None:
        if not self._dimensions and not self._measures:
            raise refused(
                "EMPTY_SELECT", "The statement selects no dimension and no measure.", "Select at least one label."
            )

    def _count(self, clause: str) -> int | None:
        return row_count(self._select, clause, self._values)


_NEVER = FilterGroup(Logic.OR, ())
"""The filter that no row passes."""


def _keep(found: FilterNode | bool, nodes: list[FilterNode]) -> bool:
    """Keeps a condition that is not always true; False when it never is."""
    if not isinstance(found, bool):
        nodes.append(found)
    return found is not False


def _flat_filters(nodes: Iterable[FilterNode]) -> Iterator[Filter]:
    for node in nodes:
        if isinstance(node, Filter):
            yield node
        elif isinstance(node, FilterGroup):
            yield from _flat_filters(node.filters)


def _answer(key: str) -> exp.Column:
    column = exp.column(key, quoted=True)
    column.meta[KEY] = key
    return column


def _with_this(key: exp.Ordered, tree: exp.Expr) -> exp.Ordered:
    copied: exp.Ordered = key.copy()
    copied.set("this", tree)
    copied.meta[NULLS] = key.meta.get(NULLS)
    return copied


def _is_measure_call(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.Anonymous):
        return str(tree.this).lower() in _MEASURE_CALLS
    return type(tree).__name__ == "Agg"


def _is_aggregate(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.Grouping) or (isinstance(tree.parent, exp.Window) and tree.parent.this is tree):
        return False
    return isinstance(tree, exp.AggFunc) or _is_measure_call(tree)


def _has_aggregate(tree: exp.Expr) -> bool:
    """Whether a tree has a value per group: it names a measure or aggregates something."""
    for node in tree.walk(prune=lambda n: isinstance(n, exp.Query)):
        if isinstance(node, exp.AggFunc) or _is_measure_call(node) or isinstance(node, exp.Window | exp.Grouping):
            return True
        if isinstance(node, exp.Column) and ITEM in node.meta and node.meta[ITEM].is_measured:
            return True
    return False


def _measures_in(tree: exp.Expr) -> Iterator[str]:
    for column in own_columns(tree):
        if column.meta[ITEM].is_measured:
            yield column.meta[ITEM].name


_PARTS = frozenset({"this", "expressions", "big_int"})


def _refuse_extras(tree: exp.Expr) -> None:
    """Raises `CompileError` for an aggregate with more parts than are read: several columns, a count, an order."""
    several = isinstance(tree.this, exp.Distinct) and len(tree.this.expressions) != 1
    listed = tree.expressions if isinstance(tree, exp.AggFunc) else tree.expressions[1:]
    if several or listed or any(value for name, value in tree.args.items() if name not in _PARTS):
        raise refused(
            "UNSUPPORTED_SQL_FEATURE",
            f"{readable(tree)} has more parts than an aggregate on a model takes.",
            "Count the rows of SELECT DISTINCT a, b." if several else "Aggregate one column.",
        )


def _counts_rows(tree: exp.Expr, argument: exp.Expr | None) -> bool:
    """COUNT(*), COUNT(1), and SUM(1) as Tableau writes it."""
    if isinstance(tree, exp.Sum):
        return isinstance(argument, exp.Literal) and not argument.is_string and float(argument.name) == 1
    return isinstance(tree, exp.Count) and (argument is None or (is_constant(argument) and not argument.find(exp.Null)))


def _argument(tree: exp.Expr) -> exp.Expr | None:
    argument: Any = tree.this if not isinstance(tree, exp.Anonymous) else next(iter(tree.expressions), None)
    if isinstance(argument, exp.Distinct):
        argument = argument.expressions[0] if len(argument.expressions) == 1 else None
    if argument is None or isinstance(argument, exp.Star):
        return None
    inner: exp.Expr = argument.unnest()
    if isinstance(inner, exp.Cast) and isinstance(inner.this.unnest(), exp.Column):
        column: exp.Column = inner.this.unnest()
        if column.meta.get(ITEM) is not None and column.meta[ITEM].is_measured:
            return column  # tools cast a measure before they aggregate it
    return inner


_SAME: dict[Aggregation, tuple[str, ...]] = {
    Aggregation.SUM: ("Sum",),
    Aggregation.COUNT: ("Count", "Sum"),
    Aggregation.COUNT_DISTINCT: ("Count", "ApproxDistinct"),
    Aggregation.AVG: ("Avg",),
    Aggregation.MIN: ("Min",),
    Aggregation.MAX: ("Max",),
    Aggregation.ANY_VALUE: ("AnyValue", "Min", "Max"),
    Aggregation.MEDIAN: ("Median",),
    Aggregation.MODE: ("Mode",),
    Aggregation.STDDEV: ("Stddev", "StddevSamp"),
    Aggregation.STDDEV_POP: ("StddevPop",),
    Aggregation.VARIANCE: ("Variance",),
    Aggregation.VAR_POP: ("VariancePop",),
}
"""The SQL aggregates that say what a measure's own aggregation says."""


def _matches(tree: exp.Expr, aggregation: Aggregation, *, distinct: bool) -> bool:
    if type(tree).__name__ not in _SAME.get(aggregation, ()):
        return False
    if isinstance(tree, exp.Sum) and aggregation is Aggregation.COUNT:
        return False  # adding up counts is additive, decided elsewhere
    written_distinct = isinstance(tree.this, exp.Distinct) or isinstance(tree, exp.ApproxDistinct)
    return written_distinct == (distinct or aggregation is Aggregation.COUNT_DISTINCT)


def _free_of_duplicates(tree: exp.Expr) -> Aggregation | None:
    """The aggregates over a dimension that do not depend on how often a value occurs."""
    if isinstance(tree, exp.Count) and isinstance(tree.this, exp.Distinct):
        return Aggregation.COUNT_DISTINCT
    if isinstance(tree, exp.Min):
        return Aggregation.MIN
    return Aggregation.MAX if isinstance(tree, exp.Max) else None


def _is_logic(tree: exp.Expr) -> bool:
    logic = exp.Connector | exp.Not | exp.Paren | exp.Predicate | exp.Like | exp.ILike | exp.Is | exp.Between | exp.In
    return isinstance(tree, logic)


def _is_computation(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Func | exp.Case | exp.Cast | exp.Binary | exp.Unary) and not _is_logic(tree)


_ROW_TESTS = (exp.GT, exp.GTE, exp.NEQ)


def _is_tautology(part: exp.Expr) -> bool:
    """HAVING COUNT(1) > 0, as tools write it: a group that exists has rows."""
    if not isinstance(part, _ROW_TESTS) or not isinstance(part.left, exp.Count):
        return False
    argument = _argument(part.left)
    if argument is not None and not is_constant(argument):
        return False
    bound = part.right.name
    return bound == ("1" if isinstance(part, exp.GTE) else "0")


_ORDER_OF_GRAINS = (
    TimeGrain.SECOND,
    TimeGrain.MINUTE,
    TimeGrain.HOUR,
    TimeGrain.DAY,
    TimeGrain.MONTH,
    TimeGrain.QUARTER,
    TimeGrain.YEAR,
)


def _is_coarser(grain: TimeGrain, than: TimeGrain) -> bool:
    """Whether truncating to `grain` still changes values that are truncated to `than`."""
    if grain not in _ORDER_OF_GRAINS or than not in _ORDER_OF_GRAINS:
        return grain is not than
    return _ORDER_OF_GRAINS.index(grain) > _ORDER_OF_GRAINS.index(than)


def _is_idle_cast(kind: AbstractType, target: exp.DataType) -> bool:
    wanted = cast_kind(target)
    if kind in (AbstractType.STRING, AbstractType.JSON):
        return wanted is AbstractType.STRING
    return kind is wanted and kind not in (AbstractType.INT, AbstractType.FLOAT)
