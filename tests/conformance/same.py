"""When a served value is the value that the warehouse gave."""

import datetime as dt
import math
from decimal import Decimal
from typing import Any


def same(expected: Any, got: Any) -> bool:
    """Exact for exact types, 1e-9 for floats; dates may be text, and midnight is the date."""
    match expected:
        case None | bool() | str():
            return type(expected) is type(got) and expected == got
        case float():
            return is_number(got) and math.isclose(expected, float(got), rel_tol=1e-9)
        case int() | Decimal():
            return is_number(got) and Decimal(str(got)) == expected
        case dt.datetime() | dt.date():
            return moment(expected) == moment(got)
        case _:
            raise AssertionError(f"no rule for {type(expected)}")


def is_number(value: Any) -> bool:
    """Says whether a cell is a number; exact decimals may travel as text."""
    if isinstance(value, str):
        return value.removeprefix("-").replace(".", "", 1).isdigit()
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def moment(value: Any) -> dt.datetime:
    if isinstance(value, str):
        return dt.datetime.fromisoformat(value)
    if isinstance(value, dt.datetime):
        return value
    return dt.datetime.combine(value, dt.time())


def assert_same_rows(expected: list[tuple[Any, ...]], got: list[tuple[Any, ...]]) -> None:
    """Fails with the first row that differs."""
    assert len(got) == len(expected), f"{len(got)} rows instead of {len(expected)}; the first: {got[:3]}"
    for number, (want, have) in enumerate(zip(expected, got, strict=True)):
        assert len(want) == len(have), f"row {number} has {len(have)} cells instead of {len(want)}"
        wrong = [(w, h) for w, h in zip(want, have, strict=True) if not same(w, h)]
        assert not wrong, f"row {number}: expected and got {wrong}\n expected {want}\n got      {have}"
