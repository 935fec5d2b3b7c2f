"""Every kind of measure and metric, as a user would write it, on an object of a drawn model.

The same builders feed the generated cases and the pairwise matrix; a feature's name is its row in the matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Document = dict[str, Any]
Builder = Callable[[str], Document]
"""Takes the name of an object and returns a measure over it."""


def column(name: str, label: str) -> Document:
    return {"dataObject": name, "column": label}


def _plain(aggregation: str, *labels: str, **rest: Any) -> Builder:
    def build(name: str) -> Document:
        return {"aggregation": aggregation, "columns": [column(name, label) for label in labels], **rest}

    return build


def leaf(name: str, label: str, operator: str, kind: str = "string", *values: Any) -> Document:
    """A filter of a measure."""
    slots = {"string": "valueString", "int": "valueInt", "float": "valueFloat", "date": "valueDate"}
    document: Document = {"column": column(name, label), "operator": operator}
    if values:
        document["values"] = [{"dataType": kind, slots[kind]: value} for value in values]
    return document


def _filtered(name: str) -> Document:
    return {**SUM(name), "filters": [leaf(name, "Kind", "equals", "string", "x")]}


def _filter_group(name: str) -> Document:
    members = [leaf(name, "Qty", "gt", "int", 1), leaf(name, "Kind", "notset")]
    return {**SUM(name), "filters": [{"logic": "or", "filters": members, "negated": True}]}


SUM = _plain("sum", "Amount")

MEASURES: dict[str, Builder] = {
    "sum": SUM,
    "sum of decimals": _plain("sum", "Price"),
    "sum of integers": _plain("sum", "Qty", resultType="int"),
    "sum distinct": _plain("sum", "Amount", distinct=True),
    "count": _plain("count", "Qty"),
    "count distinct": _plain("count_distinct", "Kind", resultType="int"),
    "count of columns": _plain("count", "Kind", "Qty"),
    "count distinct of columns": _plain("count_distinct", "Kind", "Qty"),
    "average": _plain("avg", "Amount"),
    "average of integers": _plain("avg", "Qty"),
    "minimum": _plain("min", "Amount"),
    "maximum of a text": _plain("max", "Word", resultType="string"),
    "any value": _plain("any_value", "Kind", resultType="string"),
    "median": _plain("median", "Amount"),
    "mode": _plain("mode", "Qty"),
    "list": _plain("listagg", "Kind", delimiter="|", resultType="string"),
    "list in order": lambda name: {
        **_plain("listagg", "Kind", resultType="string")(name),
        "withinGroup": {"column": column(name, "Id"), "order": "DESC"},
    },
    "list distinct": _plain("listagg", "Kind", delimiter="|", distinct=True, resultType="string"),
    "standard deviation": _plain("stddev", "Amount"),
    "population deviation": _plain("stddev_pop", "Amount"),
    "variance": _plain("variance", "Amount"),
    "population variance": _plain("var_pop", "Amount"),
    "correlation": _plain("corr", "Amount", "Qty"),
    "population covariance": _plain("covar_pop", "Amount", "Qty"),
    "sample covariance": _plain("covar_samp", "Amount", "Qty"),
    "slope": _plain("regr_slope", "Amount", "Qty"),
    "intercept": _plain("regr_intercept", "Amount", "Qty"),
    "percentile": _plain("percentile", "Amount", percentile=0.75),
    "discrete percentile": _plain("percentile", "Amount", percentile=0.25, percentileType="discrete"),
    "expression": lambda name: {"aggregation": "sum", "expression": f"{{[{name}].[Amount]}} * {{[{name}].[Qty]}}"},
    "quotient": lambda name: {"aggregation": "avg", "expression": f"{{[{name}].[Amount]}} / {{[{name}].[Qty]}}"},
    "computed column": _plain("sum", "Double"),
    "filtered": _filtered,
    "filtered by a group": _filter_group,
    "filtered count": lambda name: {
        **_plain("count", "Id")(name),
        "filters": [leaf(name, "Amount", "gt", "float", 1.0)],
    },
    "default": lambda name: {**_filtered(name), "defaultValue": 7},
    "default of a count": lambda name: {**_plain("count", "Word")(name), "defaultValue": 5},
    "declared type": _plain("avg", "Amount", dataType="decimal(20, 4)"),
    "total": lambda name: {**SUM(name), "total": True},
    "total of an average": lambda name: {**_plain("avg", "Amount")(name), "total": True},
    "total of a distinct count": lambda name: {**_plain("count_distinct", "Kind")(name), "total": True},
    "context without filters": lambda name: {**SUM(name), "filterContext": {"mode": "FIXED"}},
    "total without filters": lambda name: {**SUM(name), "total": True, "filterContext": {"mode": "FIXED"}},
    "context with a filter": lambda name: {
        **SUM(name),
        "filterContext": {
            "mode": "RELATIVE",
            "include": [{"field": f"{name}.Kind", "op": "equals", "value": "x"}],
        },
    },
    "context without one filter": lambda name: {
        **_plain("count_distinct", "Id")(name),
        "filterContext": {"mode": "RELATIVE", "exclude": [f"{name} Kind"]},
    },
    "context that keeps one filter": lambda name: {
        **SUM(name),
        "filterContext": {"mode": "FIXED", "keepOnly": [f"{name} Kind"]},
    },
    "fixed grain": lambda name: {**SUM(name), "grain": {"mode": "FIXED", "keepOnly": [f"{name} Kind"]}},
    "fixed grain of a distinct count": lambda name: {
        **_plain("count_distinct", "Qty")(name),
        "grain": {"mode": "FIXED", "keepOnly": [f"{name} Month"]},
    },
    "relative grain": lambda name: {**SUM(name), "grain": {"mode": "RELATIVE", "exclude": [f"{name} Kind"]}},
    "relative grain of a median": lambda name: {
        **_plain("median", "Amount")(name),
        "grain": {"mode": "RELATIVE", "exclude": [f"{name} Month", f"{name} Day"]},
    },
    "fixed grain by inclusion": lambda name: {
        **_plain("avg", "Amount")(name),
        "grain": {"mode": "FIXED", "include": [f"{name} Kind"]},
    },
    "relative grain that keeps": lambda name: {
        **_plain("count_distinct", "Kind")(name),
        "grain": {"mode": "RELATIVE", "keepOnly": [f"{name} Month"]},
    },
    "default of a total": lambda name: {**_filtered(name), "total": True, "defaultValue": 3},
    "filtered distinct total": lambda name: {
        **_plain("count_distinct", "Qty")(name),
        "total": True,
        "filters": [leaf(name, "Kind", "equals", "string", "x")],
    },
    "percentile without filters": lambda name: {
        **_plain("percentile", "Amount", percentile=0.875)(name),
        "filterContext": {"mode": "FIXED"},
    },
    "fixed grain without filters": lambda name: {
        **SUM(name),
        "grain": {"mode": "FIXED", "keepOnly": [f"{name} Kind"]},
        "filterContext": {"mode": "FIXED"},
    },
    "average distinct": _plain("avg", "Qty", distinct=True),
    "fan-out allowed": lambda name: {**SUM(name), "allowFanOut": True},
    "semi-additive last": lambda name: {**SUM(name), "semiAdditive": _semi(name, "last")},
    "semi-additive first": lambda name: {**_plain("count", "Amount")(name), "semiAdditive": _semi(name, "first")},
    "semi-additive minimum": lambda name: {**SUM(name), "semiAdditive": _semi(name, "min")},
    "semi-additive maximum": lambda name: {**SUM(name), "semiAdditive": _semi(name, "max")},
    "semi-additive average": lambda name: {**SUM(name), "semiAdditive": _semi(name, "avg")},
    "semi-additive filtered": lambda name: {**_filtered(name), "semiAdditive": _semi(name, "last")},
    "semi-additive total": lambda name: {**SUM(name), "total": True, "semiAdditive": _semi(name, "last")},
    "semi-additive without filters": lambda name: {
        **SUM(name),
        "semiAdditive": _semi(name, "first"),
        "filterContext": {"mode": "FIXED"},
    },
    "semi-additive distinct": lambda name: {
        **_plain("count_distinct", "Qty")(name),
        "semiAdditive": _semi(name, "last"),
    },
    "semi-additive by dimensions": lambda name: {
        **_plain("avg", "Price")(name),
        "semiAdditive": {"timeDimension": f"{name} Day", "function": "last", "per": [f"{name} Kind"]},
    },
}


def _semi(name: str, function: str) -> Document:
    return {"timeDimension": column(name, "Day"), "function": function, "per": [column(name, "Key")]}


NESTED: dict[str, Builder] = {
    "nested average": lambda name: {
        "aggregation": "avg",
        "expression": f"{{[{name} sum]}}",
        "over": [f"{name} Kind"],
    },
    "nested maximum of a quotient": lambda name: {
        "aggregation": "max",
        "expression": f"{{[{name} sum]}} / {{[{name} tally]}}",
        "over": [f"{name} Month"],
    },
    "nested count": lambda name: {
        "aggregation": "count",
        "expression": f"{{[{name} sum]}}",
        "over": [f"{name} Kind", f"{name} Size"],
    },
    "nested by inclusion": lambda name: {
        "aggregation": "sum",
        "expression": f"{{[{name} sum]}}",
        "grain": {"include": [f"{name} Size"]},
    },
    "nested median without filters": lambda name: {
        "aggregation": "median",
        "expression": f"{{[{name} sum]}}",
        "over": [f"{name} Month"],
        "filterContext": {"mode": "FIXED"},
    },
    "nested total": lambda name: {
        "aggregation": "avg",
        "expression": f"{{[{name} tally]}}",
        "over": [f"{name} Kind"],
        "total": True,
    },
    "nested filtered": lambda name: {
        "aggregation": "max",
        "expression": f"{{[{name} sum]}}",
        "over": [f"{name} Month"],
        "filters": [leaf(name, "Qty", "gt", "int", 0)],
    },
}
"""Aggregations of measures: they need `sum` and `tally` (a count) of the same object."""

Time = Callable[[str, str], Document]
"""Takes the name of a base measure and of a time dimension and returns a metric."""


def _cumulative(**rest: Any) -> Time:
    return lambda base, time: {"type": "cumulative", "measure": base, "timeDimension": time, **rest}


def _compared(comparison: str, offset: int = -1, offset_grain: str = "year", grain: str = "month") -> Time:
    return lambda base, time: {
        "type": "period_over_period",
        "expression": f"{{[{base}]}}",
        "periodOverPeriod": {
            "timeDimension": time,
            "grain": grain,
            "offset": offset,
            "offsetGrain": offset_grain,
            "comparison": comparison,
        },
    }


def _window(function: str, **rest: Any) -> Time:
    return lambda base, time: {"type": "window", "windowFunction": function, "measure": base, **rest}


def _timed_window(function: str, **rest: Any) -> Time:
    return lambda base, time: {
        "type": "window",
        "windowFunction": function,
        "measure": base,
        "timeDimension": time,
        **rest,
    }


TIMED: dict[str, Time] = {
    "running": _cumulative(),
    "running average": _cumulative(cumulativeType="avg"),
    "running minimum": _cumulative(cumulativeType="min"),
    "running maximum": _cumulative(cumulativeType="max"),
    "running count": _cumulative(cumulativeType="count"),
    "running over all": _cumulative(partitionBy=[]),
    "rolling": _cumulative(window=3),
    "rolling average": _cumulative(window=4, cumulativeType="avg"),
    "rolling maximum": _cumulative(window=2, cumulativeType="max"),
    "year to date": _cumulative(grainToDate="year"),
    "quarter to date": _cumulative(grainToDate="quarter"),
    "month to date": _cumulative(grainToDate="month", cumulativeType="avg"),
    "fiscal year to date": _cumulative(grainToDate="fiscal_year"),
    "difference to last year": _compared("difference"),
    "difference to last quarter": _compared("difference", -1, "quarter"),
    "percent change on the week before": _compared("percentChange", -1, "week", "week"),
    "difference to the day before": _compared("difference", -1, "day", "day"),
    "ratio to the fiscal year before last": _compared("ratio", -2, "fiscal_year"),
    "ratio to last month": _compared("ratio", -1, "month"),
    "previous value": _compared("previousValue", -1, "month"),
    "percent change": _compared("percentChange"),
    "next value": _compared("previousValue", 1, "month"),
    "lag": _timed_window("lag", offset=1),
    "lag with a default": _timed_window("lag", offset=2, defaultValue=0),
    "lag over all": _timed_window("lag", offset=1, partitionBy=[]),
    "lead": _timed_window("lead", offset=1),
    "first value": _timed_window("first_value"),
    "last value": _timed_window("last_value"),
}
"""Metrics that need their time dimension selected."""

UNTIMED: dict[str, Time] = {
    "rank": _window("rank"),
    "rank ascending": _window("rank", orderDirection="asc"),
    "dense rank": _window("dense_rank"),
    "row number": _window("row_number"),
    "row number of rows": lambda _base, _time: {"type": "window", "windowFunction": "row_number"},
    "ntile": _window("ntile", buckets=2),
    "ntile ascending": _window("ntile", buckets=3, orderDirection="asc"),
    "dense rank ascending": _window("dense_rank", orderDirection="asc"),
    "first value by size": _window("first_value"),
    "last value by size": _window("last_value", orderDirection="asc"),
}

DERIVED: dict[str, Callable[[str, str], Document]] = {
    "quotient of measures": lambda one, two: {"expression": f"{{[{one}]}} / {{[{two}]}}"},
    "difference of measures": lambda one, two: {"expression": f"{{[{one}]}} - {{[{two}]}}"},
    "sum with coalesce": lambda one, two: {"expression": f"COALESCE({{[{one}]}}, 0) + COALESCE({{[{two}]}}, 0)"},
    "typed quotient": lambda one, two: {
        "expression": f"100 * {{[{one}]}} / {{[{two}]}}",
        "dataType": "decimal(20, 4)",
    },
    "case of measures": lambda one, two: {
        "expression": f"CASE WHEN {{[{one}]}} > 1 THEN {{[{two}]}} ELSE 0 END",
    },
}
"""Formulas over two names."""

NUMERIC = tuple(
    kind
    for kind in MEASURES
    if kind not in ("maximum of a text", "any value", "mode", "list", "list in order", "list distinct")
)
"""The kinds whose value is one number that a formula may read."""
