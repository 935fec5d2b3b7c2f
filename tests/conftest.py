"""Real systems that tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from superset.install import VERSION, installation
from superset.server import Superset, start


@pytest.fixture(scope="session")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """A real Superset with the shop in it; tests that use it are marked `xdist_group("superset")`, so there is one."""
    made = installation()
    if not made.is_complete:
        pytest.skip(f"Superset {VERSION} is not installed; `make superset` installs it")
    running = start(made, tmp_path_factory.mktemp("superset"))
    yield running
    running.stop()
