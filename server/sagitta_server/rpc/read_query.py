"""Messages of queries -> values of the compiler."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from sagitta.semantic.v1 import query_pb2
from sagitta_compiler.model.types import Direction, FilterOperator, TimeGrain
from sagitta_compiler.query.query import (
    CoalesceItem,
    DimensionItem,
    FieldItem,
    Filter,
    FilterGroup,
    FilterNode,
    Grouping,
    Logic,
    MeasureItem,
    NullsOrder,
    OrderItem,
    PathChoice,
    Query,
    RelativePeriod,
    Scalar,
    Subquery,
)

TIME_GRAIN = {grain: query_pb2.TimeGrain.Value(f"TIME_GRAIN_{grain.name}") for grain in TimeGrain}
FILTER_OPERATOR = {
    operator: query_pb2.FilterOperator.Value(f"FILTER_OPERATOR_{operator.name}") for operator in FilterOperator
}
LOGIC = {Logic.AND: query_pb2.LOGIC_AND, Logic.OR: query_pb2.LOGIC_OR}
DIRECTION = {Direction.ASC: query_pb2.DIRECTION_ASC, Direction.DESC: query_pb2.DIRECTION_DESC}
NULLS = {NullsOrder.FIRST: query_pb2.NULLS_ORDER_FIRST, NullsOrder.LAST: query_pb2.NULLS_ORDER_LAST}
GROUPING = {Grouping.ROLLUP: query_pb2.GROUPING_ROLLUP, Grouping.CUBE: query_pb2.GROUPING_CUBE}

_Left = TypeVar("_Left")


class UnreadableMessageError(ValueError):
    """A message of the caller holds a value without a meaning; the path says where."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def read_query_message(message: query_pb2.Query) -> Query:
    """A query message as a value.

    Raises:
        UnreadableMessageError: an enum is unset or unknown where a choice is needed, or a decimal is none.
    """
    select = message.select
    dimensions = tuple(
        _dimension(item, f"select.dimensions[{position}]") for position, item in enumerate(select.dimensions)
    )
    measures = tuple(
        MeasureItem(
            name=item.name,
            filters=_nodes(item.filters, f"select.measures[{position}].filters"),
            alias=item.alias or None,
        )
        for position, item in enumerate(select.measures)
    )
    return Query(
        dimensions=dimensions,
        measures=measures,
        fields=tuple(FieldItem(item.data_object, item.column, item.alias or None) for item in select.fields),
        distinct=select.distinct,
        where=_nodes(message.where, "where"),
        having=_nodes(message.having, "having"),
        order_by=tuple(_order(item, f"order_by[{position}]") for position, item in enumerate(message.order_by)),
        limit=_at_least(message.limit, 0, "limit") if message.HasField("limit") else None,
        offset=_at_least(message.offset, 0, "offset") if message.HasField("offset") else None,
        use_path_names=tuple(
            PathChoice(choice.source, choice.target, choice.path_name) for choice in message.use_path_names
        ),
        dimensions_exclude=message.dimensions_exclude,
        allow_fan_out=message.allow_fan_out,
        grouping=_reverse(GROUPING, message.grouping, "grouping") if message.grouping else None,
    )


def _at_least(number: int, least: int, path: str) -> int:
    if number < least:
        raise UnreadableMessageError(path, f"must be at least {least}, not {number}")
    return number


def _reverse(table: Mapping[_Left, int], number: int, path: str) -> _Left:
    for value, code in table.items():
        if code == number:
            return value
    raise UnreadableMessageError(path, f"needs a choice; {number} is none")


def _grain(number: int, path: str) -> TimeGrain | None:
    return _reverse(TIME_GRAIN, number, path) if number else None


def _dimension(item: query_pb2.DimensionItem, path: str) -> DimensionItem | CoalesceItem:
    if item.coalesce:
        return CoalesceItem(tuple(item.coalesce), item.alias)
    return DimensionItem(item.name, _grain(item.grain, f"{path}.grain"), item.alias or None)


def _order(item: query_pb2.OrderBy, path: str) -> OrderItem:
    return OrderItem(
        field=item.field,
        direction=_reverse(DIRECTION, item.direction, f"{path}.direction") if item.direction else Direction.ASC,
        nulls=_reverse(NULLS, item.nulls, f"{path}.nulls") if item.nulls else None,
    )


def _nodes(nodes: Iterable[query_pb2.FilterNode], path: str) -> tuple[FilterNode, ...]:
    return tuple(_node(node, f"{path}[{position}]") for position, node in enumerate(nodes))


def _node(node: query_pb2.FilterNode, path: str) -> FilterNode:
    match node.WhichOneof("node"):
        case "filter":
            return _filter(node.filter, path)
        case "group":
            logic = _reverse(LOGIC, node.group.logic, f"{path}.logic") if node.group.logic else Logic.AND
            return FilterGroup(logic, _nodes(node.group.filters, f"{path}.filters"), node.group.negated)
        case _:
            raise UnreadableMessageError(path, "needs a filter or a group")


def _filter(leaf: query_pb2.Filter, path: str) -> Filter:
    return Filter(
        field=leaf.field,
        operator=_reverse(FILTER_OPERATOR, leaf.op, f"{path}.op"),
        values=tuple(_scalar(value, f"{path}.values[{position}]") for position, value in enumerate(leaf.values)),
        relative=_relative(leaf.relative, f"{path}.relative") if leaf.HasField("relative") else None,
        subquery=_subquery(leaf.subquery, f"{path}.subquery") if leaf.HasField("subquery") else None,
    )


def _relative(period: query_pb2.RelativePeriod, path: str) -> RelativePeriod:
    return RelativePeriod(
        unit=_reverse(TIME_GRAIN, period.unit, f"{path}.unit"),
        count=_at_least(period.count, 1, f"{path}.count"),
        future=period.future,
        include_current=not period.exclude_current,
    )


def _subquery(subquery: query_pb2.Subquery, path: str) -> Subquery:
    return Subquery(subquery.data_object, subquery.path_name or None, _nodes(subquery.filters, f"{path}.filters"))


def _scalar(value: query_pb2.Value, path: str) -> Scalar:
    try:
        match value.WhichOneof("kind"):
            case None:
                return None
            case "decimal":
                return Decimal(value.decimal)
            case "date":
                return dt.date.fromisoformat(value.date)
            case "timestamp":
                return dt.datetime.fromisoformat(value.timestamp)
            case kind:
                scalar: Scalar = getattr(value, kind)
                return scalar
    except (ValueError, InvalidOperation):
        raise UnreadableMessageError(path, "holds a text that is none of its type") from None
