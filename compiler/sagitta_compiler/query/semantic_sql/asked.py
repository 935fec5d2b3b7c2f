"""What a SELECT asks of the model: the dimensions and measures of its Query, gathered while its parts are read."""

from __future__ import annotations

from sqlglot import exp

from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.query.query import DimensionItem, FilterNode, MeasureItem
from sagitta_compiler.query.semantic_sql.allowed import check_allowed
from sagitta_compiler.query.semantic_sql.answer import KEY, Output, answer
from sagitta_compiler.query.semantic_sql.catalog import ColumnKind
from sagitta_compiler.query.semantic_sql.literals import Values, cast_kind
from sagitta_compiler.query.semantic_sql.names import Item, Names
from sagitta_compiler.query.semantic_sql.predicates import grain_of
from sagitta_compiler.query.semantic_sql.workspace import ITEM, Workspace


class Asked:
    """The dimensions and measures that are asked for; expressions over dimensions become dimensions of their own."""

    def __init__(self, names: Names, values: Values) -> None:
        self.names = names
        self.values = values
        self.space = Workspace(names.model)
        self.dimensions: dict[str, DimensionItem] = {}
        self.measures: dict[str, MeasureItem] = {}

    @property
    def model(self) -> ResolvedModel:
        """The model that is asked."""
        return self.names.model

    def as_dimension(self, tree: exp.Expr) -> exp.Expr:
        if (found := self.dimension_item(tree)) is not None:
            return self.dimension_column(found)
        if isinstance(tree, exp.Cast) and cast_kind(tree.to) is AbstractType.STRING:  # different values stay different
            inner = self.dimension_item(tree.this.unnest())
            if inner is not None:
                return exp.cast(self.dimension_column(inner), tree.to.copy())
        check_allowed(tree)
        return self.dimension_column(self.space.dimension(self.with_constants(tree)))

    def dimension_item(self, tree: exp.Expr) -> Item | None:
        """A dimension, a truncated one, or a cast of one that changes nothing."""
        match tree:
            case exp.Column():
                item: Item = tree.meta[ITEM]
                return item if item.kind is ColumnKind.DIMENSION else None
            case exp.TimestampTrunc() | exp.DateTrunc() | exp.DatetimeTrunc():
                return self._truncated(tree)
            case exp.Cast():
                inner = self.dimension_item(tree.this.unnest())
                return inner if inner is not None and _is_idle_cast(inner.type, tree.to) else None
            case _:
                return None

    def _truncated(self, tree: exp.Expr) -> Item | None:
        grain = grain_of(tree.args["unit"].name)
        inner = tree.this.unnest()
        if isinstance(inner, exp.Cast) and inner.this.unnest().find(exp.Column):
            inner = inner.this.unnest()
        item = self.dimension_item(inner)
        if grain is None or item is None or not item.type.is_temporal:
            return None
        declared = item.grain or self.model.dimensions[item.name].time_grain
        if declared is not None and not _is_coarser(grain, declared):
            return item
        return Item(item.kind, item.name, item.type, grain)

    def dimension_column(self, item: Item) -> exp.Column:
        key = f"d:{item.name}:{item.grain or ''}"
        self.dimensions.setdefault(key, DimensionItem(item.name, item.grain))
        return answer(key)

    def with_constants(self, tree: exp.Expr) -> exp.Expr:
        """Replaces placeholders by their values, so that an expression can become part of the model."""
        copied = tree.copy()
        for node in list(copied.find_all(exp.Placeholder)):
            literal = exp.convert(self.values.parameter(node, None, None))
            copied = literal if node is copied else (node.replace(literal) and copied)
        return copied

    def measure_column(self, name: str, filters: tuple[FilterNode, ...] = ()) -> exp.Column:
        same = [key for key, item in self.measures.items() if (item.name, item.filters) == (name, filters)]
        key = same[0] if same else (f"m:{name}#{len(self.measures)}" if filters else f"m:{name}")
        self.measures.setdefault(key, MeasureItem(name, filters))
        return answer(key)


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


def labels_of(asked: Asked, outputs: list[Output]) -> dict[str, str]:
    """The label of each column of the answer: the output's name, else one of its own."""
    labels = {str(o.tree.meta[KEY]): o.name for o in outputs}
    every: dict[str, DimensionItem | MeasureItem] = {**asked.dimensions, **asked.measures}
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
