"""Reads what a result depends on from the statement itself: its tables, and whether anything else matters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sagitta_server.cache.key import folded

_CLOCKS: tuple[type[exp.Expr], ...] = (
    exp.CurrentDate,
    exp.CurrentDatetime,
    exp.CurrentTime,
    exp.CurrentTimestamp,
    exp.CurrentTimestampLTZ,
    exp.Localtime,
    exp.Localtimestamp,
    exp.Systimestamp,
    exp.UtcDate,
    exp.UtcTime,
    exp.UtcTimestamp,
)
_CHANCE: tuple[type[exp.Expr], ...] = (
    exp.GenerateEmbedding,
    exp.GenerateText,
    exp.Rand,
    exp.Randn,
    exp.Randstr,
    exp.Seq1,
    exp.Seq2,
    exp.Seq4,
    exp.Seq8,
    exp.Shuffle,
    exp.TableSample,
    exp.Uniform,
    exp.Uuid,
)
_CALLER: tuple[type[exp.Expr], ...] = (
    exp.CurrentDatabase,
    exp.CurrentRole,
    exp.CurrentSchema,
    exp.CurrentSession,
    exp.CurrentTransaction,
    exp.CurrentUser,
    exp.CurrentUserId,
    exp.SessionUser,
)
_VARYING = (*_CLOCKS, *_CHANCE, *_CALLER)

_CHANCE_NAMES = """
    rand random randomuuid uuid uuid_string newid gen_random_uuid generateuuidv4 generateuuidv7 randombytes uuidv4
    uuidv7 uuid_short uuid_generate_v1 uuid_generate_v4 rand32 rand64 randuniform randnormal randconstant randomstring
    randomfixedstring randomprintableascii fuzzbits random_bytes random_uuid normal zipf rownumberinallblocks
    monotonically_increasing_id nextval currval lastval setseed setval last_insert_id
"""
_CLOCK_NAMES = """
    now now64 today yesterday current_timestamp current_date current_time localtime localtimestamp getdate getutcdate
    sysdate systimestamp sysdatetime sysutcdatetime unix_timestamp utc_date utc_time utc_timestamp utctimestamp
    get_current_timestamp get_current_time current_localtime current_localtimestamp clock_timestamp curtime curdate
    statement_timestamp transaction_timestamp timeofday nowinblock current_date_utc current_time_utc
    current_timestamp_utc
"""
_SESSION_NAMES = "txid_current pg_current_xact_id connection_id hostname current_setting getvariable"
_VARYING_NAMES = frozenset(f"{_CHANCE_NAMES} {_CLOCK_NAMES} {_SESSION_NAMES}".split())
"""Functions that sqlglot reads as unknown names in some dialect."""

_VARYING_WITHOUT_ARGUMENTS = frozenset({"unix_timestamp", "curtime", "sysdate"})
_BARE_WORD_NAMES = """
    current_date current_time current_timestamp current_user session_user localtime localtimestamp sysdate systimestamp
"""
_BARE_WORDS = frozenset(_BARE_WORD_NAMES.split())
_MOMENTS = frozenset({"now", "today", "tomorrow", "yesterday", "current"})
_TEMPORAL_TYPES = exp.DataType.TEMPORAL_TYPES


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the result of a statement depends on; tables as `database.schema.table`, folded."""

    deterministic: bool
    tables: frozenset[str] = frozenset()


@lru_cache(maxsize=1024)
def dependencies(sql: str, dialect: str) -> Dependencies:
    """Returns the tables of a statement, and whether repeating it over unchanged tables gives the same result.

    Clocks, random numbers, samples, sequences and the caller's identity make it vary. A statement that cannot be read
    counts as varying.
    """
    try:
        statement = sqlglot.parse_one(sql, dialect=dialect)
    except SqlglotError:
        return Dependencies(deterministic=False)
    nodes = list(statement.walk())
    if any(_varies(node) for node in nodes):
        return Dependencies(deterministic=False)
    own = {node.alias for node in nodes if isinstance(node, exp.CTE)}
    return Dependencies(True, frozenset(name for node in nodes if (name := _table_name(node, own))))


def _table_name(node: exp.Expr, own: set[str]) -> str:
    """The name of a table of the warehouse; empty for table functions and the statement's own common tables."""
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        return ""
    if node.name in own and not node.db:
        return ""
    return folded(".".join(part.name for part in node.parts))


def _varies(node: exp.Expr) -> bool:
    match node:
        case exp.Anonymous():
            return _varies_by_name(node)
        case exp.Column() | exp.Dot():
            return _is_bare_word(node)
        case exp.Cast():
            return _is_moment(node)
        case _:
            return isinstance(node, _VARYING)


def _varies_by_name(call: exp.Anonymous) -> bool:
    name = call.name.lower()
    if name in _VARYING_WITHOUT_ARGUMENTS:
        return not any(argument.find(exp.Column) for argument in call.expressions)
    if name == "age":  # PostgreSQL and DuckDB: with one argument, the time until today
        return len(call.expressions) == 1
    return name in _VARYING_NAMES


def _is_bare_word(node: exp.Expr) -> bool:
    return (
        isinstance(node, exp.Column)
        and not node.table
        and not node.this.args.get("quoted")
        and node.name.lower() in _BARE_WORDS
    )


def _is_moment(cast: exp.Cast) -> bool:
    """`'now'::timestamp` and its like are clocks in PostgreSQL and DuckDB."""
    return (
        isinstance(cast.this, exp.Literal)
        and cast.this.is_string
        and cast.to.this in _TEMPORAL_TYPES
        and cast.this.name.strip().lower() in _MOMENTS
    )
