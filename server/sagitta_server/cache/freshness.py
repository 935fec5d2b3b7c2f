"""How long a result stays true: the freshness contracts of a model's tables, and what they give at a moment.

Everything here is a function of its arguments; the clock and the heartbeats are handed in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from zoneinfo import ZoneInfo

from sagitta_compiler import Diagnostic, Severity
from sagitta_compiler.model.resolved import DataObject, NestedSource, Refresh, ResolvedModel, TableSource

from sagitta_server.cache.key import folded
from sagitta_server.cache.settings import CacheSettings

Contract = Refresh | None
"""None: nobody says how often the table changes."""

BELOW_MIN_TTL = "below_min_ttl"
_FIRST_MONDAY = dt.date(1970, 1, 5)
_STRICTNESS = {"static": 0, "interval": 1, "heartbeat": 2}


@dataclass(frozen=True, slots=True)
class Freshness:
    """The life of a result, and why; these are the fields of every answer.

    `ttl_seconds` is None when the result may not be kept; then `source` is `no_cache:<reason>`.
    """

    ttl_seconds: int | None
    source: str | None
    limiting_table: str | None = None


OFF = Freshness(None, None)
"""The answer of a server without a cache."""


def uncacheable(reason: str, table: str | None = None) -> Freshness:
    """Returns the freshness of a result that may not be kept."""
    return Freshness(None, f"no_cache:{reason}", table)


def contracts(*models: ResolvedModel) -> dict[str, Contract]:
    """Returns the contract of each physical table (folded name); of several on one table, the strictest."""
    result: dict[str, Contract] = {}
    for data_object in chain.from_iterable(model.objects.values() for model in models):
        if (table := _table(data_object)) is None:
            continue
        name, contract = folded(table.qualified), _known(data_object.refresh)
        result[name] = strictest(result[name], contract) if name in result else contract
    return result


def objects_on_table(model: ResolvedModel, table: str) -> tuple[str, ...]:
    """Returns the data objects whose rows come from a physical table, in the order of the model."""
    wanted = folded(table)
    return tuple(
        data_object.name
        for data_object in model.objects.values()
        if (source := _table(_root(model, data_object))) is not None and folded(source.qualified) == wanted
    )


def _root(model: ResolvedModel, data_object: DataObject) -> DataObject:
    match data_object.source:
        case NestedSource(parent=parent, fallback=None) if parent in model.objects:
            return _root(model, model.objects[parent])
        case _:
            return data_object


def _table(data_object: DataObject) -> TableSource | None:
    match data_object.source:
        case TableSource() as table:
            return table
        case NestedSource(fallback=fallback):
            return fallback
        case _:
            return None


def _known(refresh: Refresh | None) -> Contract:
    """A contract whose durations could not be read is no contract."""
    match refresh:
        case Refresh(mode="interval", interval_seconds=None) | Refresh(mode="heartbeat", max_staleness_seconds=None):
            return None
        case _:
            return refresh


def strictest(one: Contract, other: Contract) -> Contract:
    """Of two contracts: none, then heartbeat, then interval, then static; of two alike, the shorter window."""
    if one is None or other is None:
        return None
    return max(one, other, key=lambda contract: (_STRICTNESS[contract.mode], -_window(contract)))


def _window(contract: Refresh) -> int:
    return contract.interval_seconds or contract.max_staleness_seconds or 0


def resolve_freshness(
    tables: Iterable[str],
    declared: Mapping[str, Contract],
    heartbeats: Mapping[str, dt.datetime],
    settings: CacheSettings,
    now: dt.datetime,
) -> Freshness:
    """Returns how long a result over these tables may be kept.

    Args:
        tables: `database.schema.table` of every table that the statement reads.
        declared: contracts by folded table name; a table that is missing has none.
        heartbeats: when each table (folded) was last refreshed, as its loader said; aware.
        settings: limits and the policy for tables without a contract.
        now: aware.
    """
    names = sorted(set(tables))
    if not names:
        return uncacheable("unknown_tables")
    unknown = [name for name in names if declared.get(folded(name)) is None]
    if unknown and settings.unknown_freshness_policy == "no_cache":
        return uncacheable("unknown_freshness", unknown[0])
    lives = [
        (life, name)
        for name in names
        if (life := _life(declared.get(folded(name)), heartbeats.get(folded(name)), settings, now)) is not None
    ]
    if not lives:
        return Freshness(settings.max_ttl_seconds, "all_static")
    life, limiting = min(lives)
    if life <= 0:
        return uncacheable("zero_derived_ttl", limiting)
    if life < settings.min_ttl_seconds:
        return uncacheable(BELOW_MIN_TTL, limiting)
    source = "default_unknown" if unknown else "freshness_derived"
    return Freshness(min(life, settings.max_ttl_seconds), source, limiting)


def freshness_warnings(freshness: Freshness) -> tuple[Diagnostic, ...]:
    """Returns what the author of a model should know: contracts so short that results are never kept."""
    if freshness.source != f"no_cache:{BELOW_MIN_TTL}":
        return ()
    return (
        Diagnostic(
            "CACHE_TTL_FLOOR_HIT",
            f"The result was not cached: table '{freshness.limiting_table}' changes sooner than a result is kept.",
            severity=Severity.WARNING,
            hint="Lower CACHE_MIN_TTL_SECONDS, or lengthen the table's freshness contract.",
            context={"table": freshness.limiting_table},
        ),
    )


def cap(freshness: Freshness, seconds: int | None) -> Freshness:
    """Returns what a caller sees who accepts results up to an age; 0 asks for a fresh one."""
    if seconds is None or freshness.ttl_seconds is None or seconds >= freshness.ttl_seconds:
        return freshness
    if seconds <= 0:
        return uncacheable("caller_bypass")
    return Freshness(seconds, "caller_capped", freshness.limiting_table)


def _life(contract: Contract, heartbeat: dt.datetime | None, settings: CacheSettings, now: dt.datetime) -> int | None:
    """Whole seconds until the table may change; None: it never does."""
    match contract:
        case None:
            return settings.unknown_freshness_default_ttl
        case Refresh(mode="static"):
            return None
        case Refresh(mode="heartbeat", max_staleness_seconds=int(staleness)):
            return 0 if heartbeat is None else max(0, int(staleness - (now - heartbeat).total_seconds()))
        case Refresh(mode="interval", interval_seconds=int(interval), anchor=None):
            passed = 0.0 if heartbeat is None else (now - heartbeat).total_seconds() % interval
            return int(interval - passed)
        case Refresh(mode="interval", interval_seconds=int(interval), anchor=str(anchor)):
            return int((next_boundary(interval, anchor, contract.timezone, now) - now).total_seconds())
        case _:
            return 0


def next_boundary(interval_seconds: int, anchor: str, timezone: str, now: dt.datetime) -> dt.datetime:
    """Returns the first moment after `now` that lies whole intervals from the anchor, on the clocks of the zone.

    Counting is by the wall clock, so that a daily load at 02:00 stays at 02:00 when the clocks change. It starts on a
    Monday, so that a weekly load runs on Mondays.
    """
    zone = ZoneInfo(timezone)
    hour, minute = (int(part) for part in anchor.split(":")[:2])
    start = dt.datetime.combine(_FIRST_MONDAY, dt.time(hour, minute))
    interval = dt.timedelta(seconds=interval_seconds)
    boundary = start + ((now.astimezone(zone).replace(tzinfo=None) - start) // interval) * interval
    while (moment := boundary.replace(tzinfo=zone).astimezone(dt.UTC)) <= now:
        boundary += interval
    return moment
