"""How long a model's text takes to become a model: read, resolved and validated.

Limits: 1,000 data objects of 20 columns in under a second, 10 in under 10 ms.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import yaml
from sagitta_compiler import load_model
from sagitta_compiler.source import read_document

from benchmarks.harness import Bench, seconds

LIMITS = {10: 0.010, 100: 0.1, 1_000: 1.0}
"""Seconds by the number of data objects."""


def model_text(objects: int, columns: int = 20) -> str:
    """Returns a model: a tree of data objects, and for each a dimension, a plain measure and a computed one."""
    return "\n".join(_lines(objects, columns))


def _lines(objects: int, columns: int) -> Iterator[str]:
    yield "version: 1.0\ndataObjects:"
    for at in range(objects):
        yield f"  Object {at}:\n    code: T{at}\n    schema: main\n    columns:"
        for column in range(columns):
            kind = "int" if column < 2 else "float"
            key = "\n        primaryKey: true" if column == 0 else ""
            yield f"      Column {column}:\n        code: C{column}\n        abstractType: {kind}{key}"
        if at:
            pair = "columnsFrom: [Column 1]\n        columnsTo: [Column 0]"
            yield f"    joins:\n      - joinType: many-to-one\n        joinTo: Object {at // 2}\n        {pair}"
    yield "dimensions:"
    for at in range(objects):
        yield f"  Dimension {at}: {{dataObject: Object {at}, column: Column 2, resultType: float}}"
    yield "measures:"
    for at in range(objects):
        argument = f"{{[Object {at}].[Column 3]}} * {{[Object {at}].[Column 4]}}"
        yield f"  Sum {at}: {{columns: [{{dataObject: Object {at}, column: Column 3}}], aggregation: sum}}"
        yield f"  Product {at}: {{expression: '{argument}', aggregation: sum}}"


def run(bench: Bench) -> None:
    """Times loading, and our one pass over the events against what PyYAML offers."""
    for objects, limit in LIMITS.items():
        text = model_text(objects)
        assert load_model(text).model is not None
        rounds = bench.rounds if objects >= 1_000 else bench.rounds * 10
        times = [seconds(lambda text=text: load_model(text)) for _ in range(rounds)]  # type: ignore[misc]
        bench.report(f"load {objects:,} data objects of 20 columns", statistics.median(times), "s", limit=limit)
    text = model_text(1_000)
    loaders: dict[str, Any] = {
        "PyYAML CSafeLoader (values without places)": lambda: yaml.load(text, Loader=yaml.CSafeLoader),
        "PyYAML compose (nodes with places)": lambda: yaml.compose(text, Loader=yaml.CSafeLoader),
    }
    bench.compare(("our pass over libyaml's events (values with places)", lambda: read_document(text)), loaders)
