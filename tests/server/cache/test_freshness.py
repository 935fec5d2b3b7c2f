from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from sagitta_compiler.model.resolved import DataObject, NestedSource, Refresh, ResolvedModel, TableSource
from sagitta_server.cache import CacheSettings, Contract, contracts, freshness_warnings, objects_on_table
from sagitta_server.cache.freshness import Freshness, cap, next_boundary, resolve_freshness, strictest

NOW = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
SETTINGS = CacheSettings()
STATIC = Refresh("static")
HOURLY = Refresh("interval", interval_seconds=3600)
PINGED = Refresh("heartbeat", max_staleness_seconds=600)


def ago(seconds: int) -> dt.datetime:
    return NOW - dt.timedelta(seconds=seconds)


def resolve(
    declared: dict[str, Contract], beats: dict[str, dt.datetime] | None = None, settings: CacheSettings = SETTINGS
) -> Freshness:
    return resolve_freshness(declared, declared, beats or {}, settings, NOW)


@pytest.mark.parametrize(
    ("contract", "beat", "expected"),
    [
        (STATIC, None, Freshness(86_400, "all_static")),
        (HOURLY, None, Freshness(3600, "freshness_derived", "t")),
        (HOURLY, ago(600), Freshness(3000, "freshness_derived", "t")),
        (HOURLY, ago(3600 * 5 + 600), Freshness(3000, "freshness_derived", "t")),
        (PINGED, None, Freshness(None, "no_cache:zero_derived_ttl", "t")),
        (PINGED, ago(100), Freshness(500, "freshness_derived", "t")),
        (PINGED, ago(600), Freshness(None, "no_cache:zero_derived_ttl", "t")),
        (PINGED, ago(597), Freshness(None, "no_cache:below_min_ttl", "t")),
        (Refresh("interval", interval_seconds=7 * 86_400), None, Freshness(86_400, "freshness_derived", "t")),
        (None, None, Freshness(None, "no_cache:unknown_freshness", "t")),
    ],
)
def test_each_contract_gives_its_seconds(contract: Contract, beat: dt.datetime | None, expected: Freshness) -> None:
    assert resolve({"t": contract}, {"t": beat} if beat else {}) == expected


def test_the_table_that_changes_first_decides() -> None:
    freshness = resolve({"a": STATIC, "b": HOURLY, "c": PINGED}, {"c": ago(10)})
    assert freshness == Freshness(590, "freshness_derived", "c")


def test_one_unknown_table_forbids_keeping_unless_the_policy_gives_it_a_life() -> None:
    declared: dict[str, Contract] = {"a": HOURLY, "b": None}
    assert resolve(declared).source == "no_cache:unknown_freshness"
    lenient = CacheSettings(unknown_freshness_policy="default_ttl", unknown_freshness_default_ttl=120)
    assert resolve(declared, settings=lenient) == Freshness(120, "default_unknown", "b")


def test_a_contract_below_the_floor_is_told() -> None:
    short = resolve({"t": Refresh("interval", interval_seconds=2)})
    (warning,) = freshness_warnings(short)
    assert (warning.code, warning.severity) == ("CACHE_TTL_FLOOR_HIT", "warning")
    assert "'t'" in warning.message
    assert freshness_warnings(resolve({"t": HOURLY})) == ()
    assert freshness_warnings(resolve({"t": None})) == ()


def test_a_statement_without_known_tables_is_not_kept() -> None:
    assert resolve({}).source == "no_cache:unknown_tables"


def test_a_callers_cap_only_shortens() -> None:
    freshness = Freshness(100, "freshness_derived", "t")
    assert cap(freshness, None) == cap(freshness, 100) == freshness
    assert cap(freshness, 10) == Freshness(10, "caller_capped", "t")
    assert cap(freshness, 0) == Freshness(None, "no_cache:caller_bypass")
    refused = Freshness(None, "no_cache:unknown_freshness", "t")
    assert cap(refused, 10) == refused


@pytest.mark.parametrize(
    ("interval", "anchor", "zone", "now", "expected"),
    [
        (86_400, "02:00", "UTC", "2026-03-02T12:00+00:00", "2026-03-03T02:00+00:00"),
        (86_400, "02:00", "UTC", "2026-03-02T01:59:59+00:00", "2026-03-02T02:00+00:00"),
        (86_400, "02:00", "UTC", "2026-03-02T02:00+00:00", "2026-03-03T02:00+00:00"),
        (21_600, "02:00", "UTC", "2026-03-02T12:00+00:00", "2026-03-02T14:00+00:00"),
        (86_400, "06:00", "America/New_York", "2026-03-02T12:00+00:00", "2026-03-03T11:00+00:00"),
        # On 8 March 2026 the clocks of New York go forward: 06:00 comes an hour earlier in UTC.
        (86_400, "06:00", "America/New_York", "2026-03-07T12:00+00:00", "2026-03-08T10:00+00:00"),
        (7 * 86_400, "03:00", "UTC", "2026-03-04T12:00+00:00", "2026-03-09T03:00+00:00"),
    ],
)
def test_anchored_intervals_follow_the_clock_on_the_wall(
    interval: int, anchor: str, zone: str, now: str, expected: str
) -> None:
    moment = dt.datetime.fromisoformat(now)
    assert next_boundary(interval, anchor, zone, moment) == dt.datetime.fromisoformat(expected)
    life = resolve_freshness(
        ["t"], {"t": Refresh("interval", interval, anchor, zone)}, {}, CacheSettings(min_ttl_seconds=0), moment
    )
    assert life.ttl_seconds == min(86_400, (dt.datetime.fromisoformat(expected) - moment).total_seconds())


@pytest.mark.parametrize("day", range(1, 31))
def test_a_boundary_is_always_ahead_and_within_one_interval(day: int) -> None:
    """Also where clocks go back or forward: 02:30 does not exist on 29 March 2026 in Berlin."""
    zone = ZoneInfo("Europe/Berlin")
    for month in (3, 10):
        now = dt.datetime(2026, month, day, 2, 30, tzinfo=zone)
        ahead = next_boundary(86_400, "02:30", "Europe/Berlin", now) - now.astimezone(dt.UTC)
        assert dt.timedelta(0) < ahead <= dt.timedelta(hours=25)


def test_the_strictest_of_two_contracts() -> None:
    half_hourly = Refresh("interval", interval_seconds=1800)
    assert strictest(HOURLY, half_hourly) == strictest(half_hourly, HOURLY) == half_hourly
    assert strictest(HOURLY, STATIC) == HOURLY
    assert strictest(HOURLY, PINGED) == PINGED
    assert strictest(STATIC, None) is None


def test_the_contracts_of_a_model_are_those_of_its_tables() -> None:
    orders = TableSource("db", "S", "ORDERS")
    model = ResolvedModel(
        "m",
        {
            "Orders": DataObject("Orders", orders, {}, refresh=HOURLY),
            "Late Orders": DataObject("Late Orders", TableSource("DB", "s", "orders"), {}, refresh=PINGED),
            "Items": DataObject("Items", NestedSource("Orders", "items"), {}),
            "Broken": DataObject("Broken", TableSource("", "", "b"), {}, refresh=Refresh("interval")),
        },
    )
    assert contracts(model) == {"db.s.orders": PINGED, "b": None}
    assert objects_on_table(model, "db.s.Orders") == ("Orders", "Late Orders", "Items")
    assert objects_on_table(model, "nothing") == ()
