"""Whether an engine's rows are the answer."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle import values as v
from oracle.evaluate import Result
from sagitta_compiler.model.types import DataType

Rows = Sequence[Sequence[Any]]


def differences(expected: Result, columns: Sequence[str], rows: Rows, *, exact: bool = True) -> list[str]:
    """Returns what is wrong with an engine's answer, in words; nothing when it is right.

    Without `exact`, an engine has neither decimals, nor dates, nor booleans: cells are read as what they stand for.
    """
    if tuple(columns) != expected.columns:
        return [f"columns {list(columns)} instead of {list(expected.columns)}"]
    if not exact:
        rows = _read(expected, rows)
    wrong = [*_membership(expected, rows), *_order(expected, rows)]
    return [*wrong, *_types(expected, rows)] if exact else wrong


def _read(expected: Result, rows: Rows) -> Rows:
    """The cells as what they stand for, column by column."""
    kinds = [
        next((type(row[place]) for row in expected.all_rows if row[place] is not None), object)
        for place in range(len(expected.columns))
    ]
    return [
        tuple(_cell(cell, kind, t) for cell, kind, t in zip(row, kinds, expected.types, strict=True)) for row in rows
    ]


def _cell(cell: Any, kind: type, declared: DataType | None) -> Any:
    if isinstance(cell, str) and issubclass(kind, dt.date):
        return dt.datetime.fromisoformat(cell)
    if isinstance(cell, int) and kind is bool:
        return bool(cell)
    if isinstance(cell, float) and declared is not None and declared.name == "decimal":
        return v.round_half_away(Fraction(repr(cell)), declared.scale or 0)
    return cell


def _membership(expected: Result, rows: Rows) -> list[str]:
    """Every row is one of the expected ones, each at most once, and as many as there must be."""
    left = list(expected.all_rows)
    strange = []
    for row in rows:
        place = next((i for i, other in enumerate(left) if _same_row(other, row, expected.types)), None)
        if place is None:
            strange.append(f"unexpected row {show(row)}")
        else:
            del left[place]
    cut = len(expected.rows) < len(expected.all_rows)
    if cut and len(rows) != len(expected.rows):
        strange.append(f"{len(rows)} rows instead of {len(expected.rows)}")
    return strange if cut else [*strange, *(f"missing row {show(row)}" for row in left)]


def _order(expected: Result, rows: Rows) -> list[str]:
    """The sort keys come in the expected sequence (rows with equal keys in any)."""
    if not expected.order or len(rows) != len(expected.rows):
        return []
    if any(nulls is None for _, _, nulls in expected.order):
        places = [expected.order[0][0]]
        wanted = [row for row in expected.rows if row[places[0]] is not None]
        found = [row for row in rows if row[places[0]] is not None]
    else:
        places = [place for place, _, _ in expected.order]
        wanted, found = list(expected.rows), list(rows)
    for want, row in zip(wanted, found, strict=False):
        if not all(same(want[place], row[place], expected.types[place]) for place in places):
            return [f"out of order at {show(row)}"]
    return []


def _types(expected: Result, rows: Rows) -> list[str]:
    wrong = []
    for place, (name, declared) in enumerate(zip(expected.columns, expected.types, strict=True)):
        kinds = {type(row[place]) for row in rows if row[place] is not None}
        if declared is not None and not all(issubclass(kind, _python_type(declared)) for kind in kinds):
            wrong.append(f"{name} is {sorted(kind.__name__ for kind in kinds)} instead of {declared}")
    return wrong


def _python_type(declared: DataType) -> type | tuple[type, ...]:
    return {"decimal": Decimal, "bigint": int, "integer": int, "double": float}.get(declared.name, object)


def _same_row(expected: Sequence[Any], actual: Sequence[Any], types: Sequence[DataType | None]) -> bool:
    return all(same(e, a, t) for e, a, t in zip(expected, actual, types, strict=True))


def same(expected: v.Value, actual: Any, declared: DataType | None = None) -> bool:
    """Whether an engine's cell is the expected value; decimals may differ by one unit where a quotient was rounded."""
    if isinstance(expected, v.OneOf):
        return any(same(candidate, actual, declared) for candidate in expected.candidates)
    if isinstance(expected, v.Unordered):
        return isinstance(actual, str) and Counter(actual.split(expected.delimiter)) == Counter(expected.parts)
    if expected is None or actual is None:
        return expected is None and actual is None
    if v.is_number(expected) and isinstance(actual, (int, float, Decimal, Fraction)) and not isinstance(actual, bool):
        return _same_number(expected, actual, declared)
    if isinstance(expected, dt.date) and isinstance(actual, dt.date):
        return v.as_datetime(expected) == v.as_datetime(actual)
    return bool(expected == actual) and isinstance(actual, bool) == isinstance(expected, bool)


def _same_number(expected: v.Number, actual: Any, declared: DataType | None) -> bool:
    if isinstance(actual, float) and not math.isfinite(actual):
        return False
    distance = abs(Fraction(expected) - Fraction(actual))
    coarse = isinstance(expected, v.Halfway) or (declared is not None and (declared.scale or 0) > 2)
    if declared is not None and declared.name == "decimal" and coarse:
        return distance <= Fraction(1, 10 ** (declared.scale or 0))
    return distance <= Fraction(1, 10**9) * max(1, abs(Fraction(expected)))


def show(row: Sequence[Any]) -> str:
    """Prints a row for a person."""
    return "(" + ", ".join(_show(cell) for cell in row) + ")"


def _show(cell: Any) -> str:
    match cell:
        case None:
            return "∅"
        case Fraction():
            return f"{float(cell):g}"
        case dt.date() | Decimal():
            return str(cell)
        case _:
            return repr(cell)
