"""Arrow columns -> JSON texts, whole columns at a time.

A cell's text is made by Arrow's own casts and string functions, which run outside the interpreter lock. Only types that
JSON and Arrow share no notion of (lists, structs, intervals, binary) go through Python. `rows.py` joins the cells;
`numbers.py` is faster where it can be, and gives the same texts.

The rules: NULL, NaN and infinity are `null`; a decimal is a number where a double holds it exactly (15 digits), else a
string; timestamps are ISO 8601 with `T`, zero fractions dropped, UTC as `Z`; a naive timestamp gets the offset of the
zone in which it is meant.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from sagitta_gateway.results.numbers import EXACT_DIGITS

Array = Any

_CONTROLS = bytes(range(0x20))
_YEARS_WITHOUT_RULES = range(2037, 10_000)
_SHORT_ESCAPES = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r"}
_NOTHING, _QUOTE, _ZULU = (pa.scalar(text, pa.string()) for text in ("", '"', "Z"))
"""Made once: making a scalar costs more than joining a thousand texts with it."""
_NULL_TEXT = pa.scalar(None, pa.string())


def data_of(texts: Array) -> memoryview:
    """The texts of an array, one after the other: they lie like that in memory already, nothing is copied."""
    _, offsets, data = texts.buffers()
    if data is None:
        return memoryview(b"")
    ends = memoryview(offsets).cast("q" if pa.types.is_large_string(texts.type) else "i")
    return memoryview(data)[ends[texts.offset] : ends[texts.offset + len(texts)]]


def cell_texts(column: Array, zone: str = "UTC") -> Array:
    """The JSON text of every cell; NULL stays NULL."""
    kind, types = column.type, pa.types
    if types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if types.is_integer(kind) or types.is_boolean(kind):
        return pc.cast(column, pa.string())
    if types.is_floating(kind):
        return _floats(column)
    if types.is_decimal(kind):
        return _decimals(column)
    if types.is_string(kind) or types.is_large_string(kind):
        return _quoted(escaped(column))
    if types.is_date(kind):
        return _quoted(pc.cast(pc.cast(column, pa.date32()), pa.string()))
    if types.is_timestamp(kind):
        return _quoted(timestamp_texts(column, zone))
    if types.is_time(kind):
        return _quoted(_without_zero_fraction(pc.cast(column, pa.string())))
    return _others(column)


def plain_texts(column: Array, zone: str = "UTC") -> Array:
    """The text of every cell without JSON's quotes, for tables of text; NULL stays NULL."""
    kind, types = column.type, pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return column
    if types.is_timestamp(kind):
        return timestamp_texts(column, zone)
    if types.is_time(kind):
        return _without_zero_fraction(pc.cast(column, pa.string()))
    if types.is_primitive(kind) or types.is_decimal(kind) or types.is_boolean(kind) or types.is_null(kind):
        return pc.cast(column, pa.string())
    return pa.array([None if text is None else text.strip('"') for text in _others(column).to_pylist()], pa.string())


def _floats(column: Array) -> Array:
    texts = pc.cast(column, pa.string())
    finite = pc.is_finite(column)
    if pc.all(finite, skip_nulls=True).as_py() is False:
        return pc.if_else(finite, texts, _NULL_TEXT)
    return texts


def _decimals(column: Array) -> Array:
    kind = column.type
    texts = pc.cast(column, pa.string())
    if kind.precision <= EXACT_DIGITS:
        return texts
    bound = _decimal_bound(kind)
    small = pc.less(pc.abs(column), bound) if bound is not None else None
    if small is None:
        return texts
    if pc.all(small, skip_nulls=True).as_py() is not False:
        return texts
    return pc.if_else(small, texts, _quoted(texts))


@cache
def _decimal_bound(kind: Any) -> Any:
    """The first value of a type that has more digits than a double keeps; None when the type has none."""
    unscaled = 10**EXACT_DIGITS
    if len(str(unscaled)) > kind.precision:
        return None
    digits = str(unscaled).rjust(max(kind.scale, 0) + 1, "0")
    scale = max(kind.scale, 0)
    text = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return pa.scalar(text).cast(kind)


def escaped(column: Array) -> Array:
    """Strings with JSON's escapes; a look at the bytes tells whether there is anything to escape."""
    data = bytes(data_of(column))
    if not data or not (b'"' in data or b"\\" in data or np.frombuffer(data, np.uint8).min() < len(_CONTROLS)):
        return column
    for character in ("\\", '"'):
        column = pc.replace_substring(column, character, f"\\{character}")
    for code in _CONTROLS:
        if code in data:
            column = pc.replace_substring(column, chr(code), _SHORT_ESCAPES.get(code, f"\\u{code:04x}"))
    return column


def _quoted(texts: Array) -> Array:
    if pa.types.is_large_string(texts.type):
        texts = pc.cast(texts, pa.string())
    return pc.binary_join_element_wise(_QUOTE, texts, _QUOTE, _NOTHING)


def timestamp_texts(column: Array, zone: str) -> Array:
    """ISO 8601 with `T`; instants in UTC, naive ones with the offset of their zone."""
    kind = column.type
    if kind.tz is not None:
        column = pc.cast(column, pa.timestamp(kind.unit, "UTC"))
        return _z(_iso(pc.local_timestamp(column)))
    texts = _iso(column)
    if zone in {"UTC", "Etc/UTC", "Z"}:
        return _z(texts)
    offsets = _offsets(column, zone)
    return pc.binary_join_element_wise(texts, offsets, _NOTHING)


def _iso(naive: Array) -> Array:
    """`YYYY-MM-DDTHH:MM:SS[.fraction]`."""
    if naive.type.unit != "s":
        seconds = pc.floor_temporal(naive, unit="second")
        if pc.all(pc.equal(seconds, naive), skip_nulls=True).as_py() is not False:
            naive = pc.cast(naive, pa.timestamp("s"))
    texts = pc.replace_substring(pc.cast(naive, pa.string()), " ", "T", max_replacements=1)
    return texts if naive.type.unit == "s" else _without_zero_fraction(texts)


def _z(texts: Array) -> Array:
    return pc.binary_join_element_wise(texts, _ZULU, _NOTHING)


def _without_zero_fraction(texts: Array) -> Array:
    return pc.replace_substring_regex(texts, r"\.0+$", "")


def _offsets(naive: Array, zone: str) -> Array:
    """The offset from UTC of every moment, `+01:00`; ambiguous moments are the earlier ones."""
    if pc.max(pc.year(naive)).as_py() in _YEARS_WITHOUT_RULES:
        return _offsets_by_rule(naive, ZoneInfo(zone))
    placed = pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="earliest")
    instants = pc.local_timestamp(pc.cast(placed, pa.timestamp(naive.type.unit, "UTC")))
    minutes = pc.minutes_between(instants, pc.local_timestamp(placed))
    different = pc.unique(minutes)
    texts = pa.array([_offset_text(value) for value in different.to_pylist()], pa.string())
    return texts.take(pc.index_in(minutes, different))


def _offsets_by_rule(naive: Array, zone: ZoneInfo) -> Array:
    """The same for years after the last transition that a zone file lists, where Arrow forgets summer time."""
    hours = pc.floor_temporal(naive, unit="hour").dictionary_encode()
    offsets = [
        hour.replace(tzinfo=zone).utcoffset() for hour in pc.cast(hours.dictionary, pa.timestamp("s")).to_pylist()
    ]
    texts = [None if offset is None else _offset_text(int(offset.total_seconds() // 60)) for offset in offsets]
    return pa.array(texts, pa.string()).take(hours.indices)


def _offset_text(minutes: int | None) -> str | None:
    if minutes is None:
        return None
    sign, size = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{sign}{size // 60:02d}:{size % 60:02d}"


def _others(column: Array) -> Array:
    """Lists, structs, maps, binary, intervals: through Python, cell by cell."""
    values = column.to_pylist()
    return pa.array([None if value is None else _other(value) for value in values], pa.string())


def _other(value: Any) -> str:
    if isinstance(value, bytes):
        return f'"{base64.b64encode(value).decode()}"'
    return orjson.dumps(value, default=_text, option=orjson.OPT_NON_STR_KEYS).decode()


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
