"""A review service at work on the real Superset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from superset.reviewing import Desk
from superset.reviewing import desk as open_desk
from superset.server import Superset
from superset.shop import Api


@pytest.fixture(scope="session")
def desk(superset: Superset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One service for all tests of a run: its environments are stateless, and every test starts reviews of its own."""
    with open_desk(superset, tmp_path_factory.mktemp("desk")) as opened:
        yield opened


@pytest.fixture
def api(superset: Superset) -> Iterator[Api]:
    """The administrator's own calls."""
    held = Api(superset.base_url)
    held.use_cookie()
    yield held
    held.close()
