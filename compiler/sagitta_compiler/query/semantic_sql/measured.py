"""Aggregates of SQL -> measures: the one of the model that an aggregate means, or a refusal that says why none is."""

from __future__ import annotations

from sqlglot import exp

from sagitta_compiler.query.semantic_sql.additivity import count_of_rows, is_additive
from sagitta_compiler.query.semantic_sql.aggregates import (
    argument_of,
    counts_rows,
    free_of_duplicates,
    is_aggregate,
    is_measure_call,
    matches,
    measures_in,
    refuse_extras,
)
from sagitta_compiler.query.semantic_sql.allowed import check_allowed
from sagitta_compiler.query.semantic_sql.asked import Asked
from sagitta_compiler.query.semantic_sql.names import Item
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.workspace import ITEM, items, readable


class Measured:
    """Finds the measures that the aggregates of one SELECT mean."""

    def __init__(self, asked: Asked, projections: list[tuple[str | None, exp.Expr]]) -> None:
        self._asked = asked
        self._projections = projections

    def name_of(self, tree: exp.Expr) -> str | None:
        """The measure or metric that a tree is, wrapped in nothing or in an aggregate that changes nothing."""
        if isinstance(tree, exp.Paren):
            return self.name_of(tree.this)
        if isinstance(tree, exp.Column):
            item: Item = tree.meta[ITEM]
            return item.name if item.is_measured else None
        if not is_aggregate(tree):
            return None
        return self._aggregate(tree)

    def _aggregate(self, tree: exp.Expr) -> str:
        refuse_extras(tree)
        argument = argument_of(tree)
        if counts_rows(tree, argument):
            return self._rows()
        if not isinstance(argument, exp.Column):
            return self._over_expression(tree, argument)
        item: Item = argument.meta[ITEM]
        if item.is_measured:
            return self._same_aggregate(tree, item)
        if is_measure_call(tree):
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)}: {item.name!r} is a dimension, not a measure.")
        return self._over_dimension(tree, item)

    def _rows(self) -> str:
        selected = [name for _, tree in self._projections for name in measures_in(tree)]
        found = count_of_rows(self._asked.model, selected)
        if found is None:
            counts = [m.name for m in self._asked.model.measures.values() if m.count_of][:5]
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                "COUNT(*) does not say of which data object the rows are counted.",
                f"Select a count, for instance {', '.join(map(repr, counts))}." if counts else None,
            )
        return found

    def _same_aggregate(self, tree: exp.Expr, item: Item) -> str:
        if is_measure_call(tree) or isinstance(tree, exp.AnyValue):
            return item.name
        measure = self._asked.model.measures.get(item.name)
        if measure is not None and matches(tree, measure.aggregation, distinct=measure.distinct):
            return item.name
        dimensions = [d.name for d in self._asked.dimensions.values()]
        is_sum_of_all = isinstance(tree, exp.Sum) and not isinstance(tree.this, exp.Distinct)
        if measure is not None and is_sum_of_all and is_additive(self._asked.model, measure, dimensions):
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
        aggregation = free_of_duplicates(tree)
        if aggregation is None:
            raise refused(
                "AGGREGATION_MISMATCH",
                f"{readable(tree)} depends on how often each value occurs, which a model does not say.",
                "Use COUNT(DISTINCT ...), MIN or MAX, or a measure of the model.",
            )
        grain = item.grain or self._asked.model.dimensions[item.name].time_grain
        if grain is not None:
            truncated = exp.column(item.name, quoted=True)
            truncated.meta[ITEM] = Item(item.kind, item.name, item.type, grain)
            item = self._asked.space.dimension(truncated)
        return self._asked.space.over_dimension(aggregation, item)

    def _over_expression(self, tree: exp.Expr, argument: exp.Expr | None) -> str:
        aggregation = free_of_duplicates(tree)
        if argument is None or aggregation is None or any(item.is_measured for item in items(argument)):
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{readable(tree)} cannot be evaluated on a model.",
                "Aggregate a measure or a dimension itself, or define a measure.",
            )
        check_allowed(argument)
        return self._asked.space.over_dimension(
            aggregation, self._asked.space.dimension(self._asked.with_constants(argument))
        )
