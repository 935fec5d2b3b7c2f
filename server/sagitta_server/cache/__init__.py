"""The result cache: answers kept as Arrow files for as long as their tables stay the same."""

from pathlib import Path

from sagitta_server.cache.control import accepted_age
from sagitta_server.cache.file_cache import FileCache
from sagitta_server.cache.freshness import Contract, Freshness, contracts, freshness_warnings, objects_on_table
from sagitta_server.cache.heartbeats import HeartbeatStore
from sagitta_server.cache.result_cache import (
    CachedResult,
    CacheRequest,
    CacheStats,
    ClearResult,
    HeartbeatReceipt,
    Lookup,
    NoopCache,
    ResultCache,
    SweepResult,
)
from sagitta_server.cache.settings import CacheSettings


def open_cache(settings: CacheSettings, directory: Path, heartbeats: HeartbeatStore) -> ResultCache:
    """Returns the configured cache; `directory` is where the file backend lives."""
    match settings.backend:
        case "noop":
            return NoopCache(heartbeats)
        case "file":
            return FileCache(settings, directory, heartbeats)


__all__ = [
    "CacheRequest",
    "CacheSettings",
    "CacheStats",
    "CachedResult",
    "ClearResult",
    "Contract",
    "Freshness",
    "HeartbeatReceipt",
    "HeartbeatStore",
    "Lookup",
    "NoopCache",
    "ResultCache",
    "SweepResult",
    "accepted_age",
    "contracts",
    "freshness_warnings",
    "objects_on_table",
    "open_cache",
]
