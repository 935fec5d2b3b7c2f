# ruff: noqa: E501 - a table of values
"""Every type as a table, its model, and what each client must make of it."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How a value is compared."""

    INT = "int"
    DECIMAL = "decimal"
    FLOAT = "float"
    TEXT = "text"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    INSTANT = "instant"
    BOOLEAN = "boolean"


KINDS: dict[str, Kind] = {
    "Id": Kind.INT,
    "Big": Kind.DECIMAL,
    "Small": Kind.DECIMAL,
    "Whole": Kind.INT,
    "Real": Kind.FLOAT,
    "Wörter": Kind.TEXT,
    "Day": Kind.DATE,
    "Clock": Kind.TIME,
    "Moment": Kind.TIMESTAMP,
    "Instant": Kind.INSTANT,
    "Flag": Kind.BOOLEAN,
    "Empty": Kind.TEXT,
}
TABLE = """
CREATE TABLE kinds AS SELECT * FROM (VALUES
  (1, 12345678901234567890123456789012.345678::DECIMAL(38,6), 1.5::DECIMAL(4,1), 9223372036854775807::BIGINT, 1.0::DOUBLE,
   'grüße €'::VARCHAR, DATE '2024-02-29', TIME '23:59:59.999999', TIMESTAMP '2024-02-29 12:34:56.789012',
   TIMESTAMPTZ '2024-02-29 12:34:56.789012+02', true, 'leer'::VARCHAR),
  (2, -0.000001::DECIMAL(38,6), -999.9::DECIMAL(4,1), '-9223372036854775808'::BIGINT, 'nan'::DOUBLE, '',
   DATE '0001-01-01', TIME '00:00:00', TIMESTAMP '1900-01-01 00:00:00', TIMESTAMPTZ '1970-01-01 00:00:00+00', false, NULL),
  (3, 0::DECIMAL(38,6), 0::DECIMAL(4,1), 0::BIGINT, 'infinity'::DOUBLE, 'a"b''c', DATE '9999-12-31', TIME '12:00:00',
   TIMESTAMP '2262-04-11 23:47:16', TIMESTAMPTZ '2100-01-01 00:00:00-05', NULL, NULL),
  (4, NULL, NULL, NULL, '-infinity'::DOUBLE, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
) AS t(id, big, small, whole, real, words, day, clock, moment, instant, flag, empty)
"""
MODEL = """
version: 1.0
name: kinds
dataObjects:
  Kinds:
    code: kinds
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Big: {code: big, abstractType: float}
      Small: {code: small, abstractType: float}
      Whole: {code: whole, abstractType: int}
      Real: {code: real, abstractType: float}
      Wörter: {code: words, abstractType: string}
      Day: {code: day, abstractType: date}
      Clock: {code: clock, abstractType: time}
      Moment: {code: moment, abstractType: timestamp}
      Instant: {code: instant, abstractType: timestamp_tz}
      Flag: {code: flag, abstractType: boolean}
      Empty: {code: empty, abstractType: string}
dimensions:
  Größe €: {dataObject: Kinds, column: Wörter, resultType: string}
  Kind: {dataObject: Kinds, column: Id, resultType: int}
measures:
  Total: {columns: [{dataObject: Kinds, column: Small}], aggregation: sum, dataType: "decimal(38, 1)"}
  Rows: {columns: [{dataObject: Kinds, column: Id}], aggregation: count, resultType: int}
"""
ASKED = 'SELECT * FROM kinds."Kinds" ORDER BY "Id"'


def _at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


ROWS: tuple[tuple[Any, ...], ...] = (
    (1, Decimal("12345678901234567890123456789012.345678"), Decimal("1.5"), 2**63 - 1, 1.0, "grüße €",
     dt.date(2024, 2, 29), dt.time(23, 59, 59, 999999), _at("2024-02-29 12:34:56.789012"),
     _at("2024-02-29 10:34:56.789012+00:00"), True, "leer"),
    (2, Decimal("-0.000001"), Decimal("-999.9"), -(2**63), math.nan, "", dt.date(1, 1, 1), dt.time(0),
     _at("1900-01-01 00:00:00"), _at("1970-01-01 00:00:00+00:00"), False, None),
    (3, Decimal(0), Decimal(0), 0, math.inf, "a\"b'c", dt.date(9999, 12, 31), dt.time(12), _at("2262-04-11 23:47:16"),
     _at("2100-01-01 05:00:00+00:00"), None, None),
    (4, None, None, None, -math.inf, None, None, None, None, None, None, None),
)  # fmt: skip
"""The rows of `ASKED` as Python values."""


@dataclass(frozen=True)
class Answer:
    """A result as a client shows it: text or Python values."""

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def same(kind: Kind, shown: Any, expected: Any) -> bool:
    """Whether a client's value, in its own type or as its text, is the expected one without loss."""
    if expected is None:
        return shown is None or shown == "NULL" or shown != shown  # noqa: PLR0124 - NaT, and pandas' NaN for NULL
    if shown is None:
        return False
    value = read(kind, shown) if isinstance(shown, str) else _plain(kind, shown)
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(value, float) and math.isnan(value)
    return type(value) is type(expected) and bool(value == expected)


def _plain(kind: Kind, shown: Any) -> Any:
    if kind is Kind.DATE and isinstance(shown, dt.datetime):
        return shown.date()
    if kind is Kind.INSTANT:
        return shown.astimezone(dt.UTC)
    return shown


def read(kind: Kind, text: str) -> Any:
    """A client's text as the value that it stands for."""
    match kind:
        case Kind.INT:
            return int(text)
        case Kind.DECIMAL:
            return Decimal(text)
        case Kind.FLOAT:
            return float(text.replace("Infinity", "inf"))
        case Kind.DATE:
            return dt.date.fromisoformat(text)
        case Kind.TIME:
            return dt.time.fromisoformat(text)
        case Kind.TIMESTAMP:
            return dt.datetime.fromisoformat(_six_digits(text.removesuffix("Z")))
        case Kind.INSTANT:
            return dt.datetime.fromisoformat(_six_digits(text)).astimezone(dt.UTC)
        case Kind.BOOLEAN:
            return {"true": True, "false": False}[text.lower()]
        case Kind.TEXT:
            return text


def _six_digits(text: str) -> str:
    return re.sub(r"\.(\d{1,9})", lambda found: f".{found[1]:0<6}"[:7], text)


def differences(answer: Answer, expected: Sequence[Sequence[Any]] = ROWS) -> list[str]:
    """What a client shows otherwise than it is: `column of row: shown instead of expected`."""
    assert answer.names == tuple(KINDS), answer.names
    assert len(answer.rows) == len(expected)
    return [
        f"{name} of row {number}: {shown!r} instead of {wanted!r}"
        for number, (row, values) in enumerate(zip(answer.rows, expected, strict=True), start=1)
        for (name, kind), shown, wanted in zip(KINDS.items(), row, values, strict=True)
        if not same(kind, shown, wanted)
    ]
