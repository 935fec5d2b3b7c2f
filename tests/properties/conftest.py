"""Profiles of the property tests: `small` for every run, `PROPERTIES=thorough` for `make oracle`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from oracle.database import Database

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
settings.register_profile("small", max_examples=60, deadline=None, suppress_health_check=_SLOW, derandomize=True)
settings.register_profile("thorough", max_examples=2_000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("PROPERTIES", "small"))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """An engine that holds one case at a time."""
    database = Database()
    yield database
    database.close()
