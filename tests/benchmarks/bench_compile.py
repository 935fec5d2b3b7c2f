"""From the text of a query to SQL, for small and large models, and a repeated query from the plan cache."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from sagitta_compiler import CompileContext, CompiledQuery, load_model, read_query
from sagitta_compiler.compile import compile_query
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_server.queries.plan_cache import PlanCache

from benchmarks.harness import Bench

SIZES = (10, 1000)
WARM_UP, TIMES = 30, 200


def model_text(objects: int) -> str:
    """Three facts around a customer and a day, and as many further facts and dimensions as asked for."""
    names = ["Orders", "Returns", "Visits", *(f"Fact {at}" for at in range(objects - 4))]
    customer = {"code": "customers", "schema": "main", "columns": {"Id": _column("id", "int", key=True), **_country()}}
    data = {"Customers": customer, **{name: _fact(name) for name in names}}
    measures = {f"{name} Amount": _sum(name) for name in names}
    measures |= {f"{name} Total": {**_sum(name), "total": True} for name in names[:3]}
    metrics = {
        f"{name} Growth": {
            "type": "period_over_period",
            "expression": f"{{[{name} Amount]}}",
            "periodOverPeriod": {
                "timeDimension": "Month",
                "grain": "month",
                "offset": -1,
                "offsetGrain": "year",
                "comparison": "percentChange",
            },
        }
        for name in names[:1]
    }
    dimensions = {
        "Country": {"dataObject": "Customers", "column": "Country", "resultType": "string"},
        "Month": {"dataObject": "Orders", "column": "Day", "resultType": "date", "timeGrain": "month"},
    }
    whole = {"version": 1.0, "dataObjects": data, "dimensions": dimensions, "measures": measures, "metrics": metrics}
    return json.dumps(whole)


def _column(code: str, kind: str, *, key: bool = False) -> dict[str, object]:
    return {"code": code, "abstractType": kind, "primaryKey": key}


def _country() -> dict[str, object]:
    return {"Country": _column("country", "string")}


def _fact(name: str) -> dict[str, object]:
    join = {"joinType": "many-to-one", "joinTo": "Customers", "columnsFrom": ["Customer"], "columnsTo": ["Id"]}
    columns = {
        "Id": _column("id", "int", key=True),
        "Customer": _column("customer_id", "int"),
        "Day": _column("day", "date"),
        "Amount": _column("amount", "float"),
        "Status": _column("status", "string"),
    }
    return {"code": name.lower().replace(" ", "_"), "schema": "main", "columns": columns, "joins": [join]}


def _sum(name: str) -> dict[str, object]:
    return {"aggregation": "sum", "columns": [{"dataObject": name, "column": "Amount"}], "resultType": "float"}


QUERIES = {
    "one fact": (
        1.0,
        {
            "select": {"dimensions": ["Country"], "measures": ["Orders Amount", "Orders Count"]},
            "where": [{"field": "Orders.Status", "op": "=", "value": "paid"}],
            "orderBy": [{"field": "Orders Amount", "direction": "desc"}],
            "limit": 10,
        },
    ),
    "three facts": (
        2.0,
        {"select": {"dimensions": ["Country"], "measures": ["Orders Amount", "Returns Amount", "Visits Amount"]}},
    ),
    "three facts with comparison and totals": (
        3.0,
        {
            "select": {
                "dimensions": ["Country", "Month"],
                "measures": ["Orders Growth", "Orders Total", "Returns Amount", "Visits Amount"],
            }
        },
    ),
}


def milliseconds(work: Callable[[], object]) -> float:
    """The median of many calls after a warm-up."""
    for _ in range(WARM_UP):
        work()
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def compiled(model: ResolvedModel, text: str) -> str:
    query, _ = read_query(json.loads(text))
    assert query is not None
    return compile_query(model, query).sql


def run(bench: Bench) -> None:
    medians: dict[tuple[str, int], float] = {}
    for size in SIZES:
        model = load_model(model_text(size)).model
        assert model is not None
        for name, (limit, body) in QUERIES.items():
            text = json.dumps(body)
            medians[name, size] = taken = milliseconds(lambda m=model, t=text: compiled(m, t))
            bench.report(f"{name}, {size:,} data objects", taken, "ms", limit=limit)
    for name in QUERIES:
        ratio = medians[name, SIZES[-1]] / medians[name, SIZES[0]]
        bench.report(f"{name}: {SIZES[-1]:,} data objects over {SIZES[0]}", ratio, "x", limit=1.5)
    bench.report("a repeated query from the plan cache", _cached(), "ms", limit=0.1)


def _cached() -> float:
    model = load_model(model_text(SIZES[0])).model
    assert model is not None
    query, _ = read_query(QUERIES["three facts with comparison and totals"][1])
    assert query is not None
    cache: PlanCache[CompiledQuery] = PlanCache(64)
    context = CompileContext()
    return milliseconds(lambda: cache.get(("model", query, "duckdb"), lambda: compile_query(model, query, context)))
