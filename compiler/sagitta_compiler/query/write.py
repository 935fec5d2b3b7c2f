"""A `Query` as the QueryObject that `read_query` reads."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sagitta_compiler.model.types import FilterOperator
from sagitta_compiler.query.query import (
    CoalesceItem,
    DimensionItem,
    FieldItem,
    FilterGroup,
    FilterNode,
    MeasureItem,
    OrderItem,
    Query,
    Scalar,
)

_LISTS = (FilterOperator.IN, FilterOperator.NOT_IN)


def query_to_dict(query: Query) -> dict[str, Any]:
    """Writes a query in camelCase, leaving out what has its default.

    Dates and times become ISO text, decimals text: the only loss, and none that a column's type does not undo.
    """
    written: dict[str, Any] = {
        "select": _present(
            dimensions=[_dimension(item) for item in query.dimensions],
            measures=[_measure(item) for item in query.measures],
            fields=[_field(item) for item in query.fields],
            distinct=query.distinct,
        ),
        **_present(
            where=[_filter(node) for node in query.where],
            having=[_filter(node) for node in query.having],
            orderBy=[_order(item) for item in query.order_by],
        ),
    }
    if query.limit is not None:
        written["limit"] = query.limit
    if query.offset is not None:
        written["offset"] = query.offset
    paths = [{"source": p.source, "target": p.target, "pathName": p.path_name} for p in query.use_path_names]
    return written | _present(
        usePathNames=paths,
        dimensionsExclude=query.dimensions_exclude,
        allowFanOut=query.allow_fan_out,
        grouping=query.grouping.value if query.grouping else None,
    )


def _present(**parts: Any) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if value}


def _dimension(item: DimensionItem | CoalesceItem) -> Any:
    if isinstance(item, CoalesceItem):
        return {"coalesce": list(item.names), "as": item.alias}
    if item.alias is None and item.grain is None:
        return item.name
    if item.alias is None:
        return f"{item.name}:{item.grain}"
    return {"dimension": item.name, **_present(grain=item.grain and item.grain.value), "as": item.alias}


def _measure(item: MeasureItem) -> Any:
    if item.alias is None and not item.filters:
        return item.name
    return {"measure": item.name, **_present(filter=[_filter(n) for n in item.filters], **{"as": item.alias})}


def _field(item: FieldItem) -> Any:
    name = f"{item.object}.{item.column}"
    return name if item.alias is None else {"field": name, "as": item.alias}


def _order(item: OrderItem) -> dict[str, Any]:
    nulls = {} if item.nulls is None else {"nulls": item.nulls.value}
    return {"field": item.field, "direction": item.direction.value, **nulls}


def _filter(node: FilterNode) -> dict[str, Any]:
    if isinstance(node, FilterGroup):
        members = [_filter(member) for member in node.filters]
        return {"logic": node.logic.value, "filters": members, **_present(negated=node.negated)}
    written: dict[str, Any] = {
        "field": f"{node.field}:{node.grain}" if node.grain else node.field,
        "op": node.operator.value,
    }
    if node.relative is not None:
        period = node.relative
        written["value"] = {
            "unit": period.unit.value,
            "count": period.count,
            "direction": "future" if period.future else "past",
            "includeCurrent": period.include_current,
        }
    elif node.subquery is not None:
        filters = [_filter(member) for member in node.subquery.filters]
        target = node.subquery
        written["subquery"] = {"dataObject": target.object, **_present(pathName=target.path_name, filter=filters)}
    elif node.operator in _LISTS or len(node.values) > 1:
        written["value"] = [_scalar(value) for value in node.values]
    elif node.values:
        written["value"] = _scalar(node.values[0])
    return written


def _scalar(value: Scalar) -> Any:
    match value:
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            return value
