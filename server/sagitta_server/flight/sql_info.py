"""What the server says about itself: every id of SqlInfo, each in the member of the union that clients cast to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pyarrow as pa

from sagitta_server import __version__
from sagitta_server.flight.schemas import SQL_INFO, SQL_INFO_VALUE

Value = str | bool | int | tuple[str, ...] | Mapping[int, tuple[int, ...]]
_TEXT, _BOOL, _BIGINT, _BITMASK, _LIST, _MAP = range(6)

KEYWORDS = ("MEASURE", "AGG", "AGGREGATE")
NUMERIC_FUNCTIONS = (
    "ABS",
    "ACOS",
    "ASIN",
    "ATAN",
    "ATAN2",
    "CEILING",
    "COS",
    "COT",
    "DEGREES",
    "EXP",
    "FLOOR",
    "LOG",
    "LOG10",
    "MOD",
    "PI",
    "POWER",
    "RADIANS",
    "ROUND",
    "SIGN",
    "SIN",
    "SQRT",
    "TAN",
    "TRUNCATE",
)
STRING_FUNCTIONS = (
    "CONCAT",
    "LCASE",
    "LEFT",
    "LENGTH",
    "LOCATE",
    "LTRIM",
    "REPLACE",
    "RIGHT",
    "RTRIM",
    "SUBSTRING",
    "UCASE",
)
SYSTEM_FUNCTIONS = ("DATABASE", "IFNULL", "USER")
DATETIME_FUNCTIONS = (
    "CURDATE",
    "DAYOFMONTH",
    "DAYOFWEEK",
    "DAYOFYEAR",
    "EXTRACT",
    "HOUR",
    "MINUTE",
    "MONTH",
    "NOW",
    "QUARTER",
    "SECOND",
    "WEEK",
    "YEAR",
)

_UNLIMITED = 0
_NO_TRANSACTIONS = 0

_BOOLEANS: Mapping[int, bool] = {
    3: True,  # read only
    4: True,  # SQL
    5: False,  # Substrait
    9: True,  # cancel
    10: False,  # bulk ingestion
    11: False,  # transactions of ingestion
    500: False,
    501: False,
    502: False,
    506: True,  # every table can be selected
    515: True,  # column aliases
    516: True,  # NULL concatenated is NULL
    518: True,  # table aliases
    519: False,
    520: True,  # expressions in ORDER BY
    521: True,  # ORDER BY of what is not selected
    523: True,  # ESCAPE
    524: False,
    527: False,
    532: True,  # the catalog comes first in a name
    536: False,
    537: False,
    539: False,
    556: True,
    563: False,
    565: False,
    566: False,
    572: False,
    573: False,
    574: False,
    575: False,
    576: False,
}
_TEXTS: Mapping[int, str] = {
    0: "Sagitta",
    1: __version__,
    2: pa.__version__,
    6: "",
    7: "",
    504: '"',
    513: "\\",
    514: "",
    529: "schema",
    530: "procedure",
    531: "catalog",
}
_LISTS: Mapping[int, tuple[str, ...]] = {
    508: KEYWORDS,
    509: NUMERIC_FUNCTIONS,
    510: STRING_FUNCTIONS,
    511: SYSTEM_FUNCTIONS,
    512: DATETIME_FUNCTIONS,
}
_BITMASKS: Mapping[int, int] = {
    8: _NO_TRANSACTIONS,
    522: 0b1,  # GROUP BY of what is not selected
    525: 0b1,
    526: 0b1,
    528: 0,
    533: 0,
    534: 0,
    535: 0,
    538: 0b10,  # EXISTS
    540: 0b11,  # UNION, UNION ALL
    564: 0b1,  # no isolation level
    567: 0b10,  # forward only
    568: 0b10,  # read only
    569: 0b10,
    570: 0,
    571: 0,
}
_ORDINALS: Mapping[int, int] = {
    503: 1,  # identifiers: case-insensitive
    505: 1,
    507: 3,  # NULLs at the end
    562: 0,  # no isolation
}
"""Ordinals; the drivers read them as bigints."""
_LIMITS: Mapping[int, int] = {100: 0, 101: 0, **dict.fromkeys(range(541, 562), _UNLIMITED)}
_CONVERSIONS: Mapping[int, tuple[int, ...]] = dict.fromkeys((0, 5, 6, 7, 12, 13), (0, 5, 6, 7, 12, 13, 16, 19)) | {
    4: (4, 16, 19),
    16: (4, 16, 19),
    19: (0, 4, 5, 6, 7, 12, 13, 15, 16, 19),
}


@cache
def values() -> Mapping[int, tuple[int, Value]]:
    """Returns each id with the position in the union and the value."""
    found: dict[int, tuple[int, Value]] = {}
    found.update((key, (_BOOL, value)) for key, value in _BOOLEANS.items())
    found.update((key, (_TEXT, value)) for key, value in _TEXTS.items())
    found.update((key, (_LIST, value)) for key, value in _LISTS.items())
    found.update((key, (_BITMASK, value)) for key, value in _BITMASKS.items())
    found.update((key, (_BIGINT, value)) for key, value in _ORDINALS.items())
    limits = {key: value for key, value in _LIMITS.items() if key not in found}
    found.update((key, (_BITMASK if key in (100, 101) else _BIGINT, value)) for key, value in limits.items())
    found[517] = (_MAP, _CONVERSIONS)
    return dict(sorted(found.items()))


def sql_info(wanted: Iterable[int]) -> pa.Table:
    """Returns the facts that are asked for, all of them when none is named; unknown ids are left out."""
    known = values()
    ids = [key for key in dict.fromkeys(wanted) if key in known] or ([] if list(wanted) else list(known))
    names = pa.array(ids, pa.uint32())
    return pa.table([names, _union([known[key] for key in ids])], schema=SQL_INFO)


def _union(found: list[tuple[int, Value]]) -> pa.Array:
    members: list[list[Any]] = [[] for _ in range(SQL_INFO_VALUE.num_fields)]
    types, offsets = [], []
    for code, value in found:
        types.append(code)
        offsets.append(len(members[code]))
        members[code].append(_arrow_value(value))
    children = [pa.array(member, SQL_INFO_VALUE.field(code).type) for code, member in enumerate(members)]
    return pa.UnionArray.from_dense(
        pa.array(types, pa.int8()),
        pa.array(offsets, pa.int32()),
        children,
        [SQL_INFO_VALUE.field(code).name for code in range(SQL_INFO_VALUE.num_fields)],
        [0, 1, 2, 3, 4, 5],
    )


def _arrow_value(value: Value) -> object:
    if isinstance(value, Mapping):
        return [(key, list(targets)) for key, targets in value.items()]
    return list(value) if isinstance(value, tuple) else value
