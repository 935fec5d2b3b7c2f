"""A running review service with a Superset environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sagitta_server.app import Engine
from server.reviews.world import world
from superset.server import Superset
from superset.shop import Api

ENVIRONMENT = "bi"


def environment_settings(superset: Superset, user: str = "admin", **changes: object) -> dict[str, object]:
    """A Superset environment of the review service, as a file of settings holds it."""
    return {
        "base_url": superset.base_url,
        "username_env": f"SUPERSET_{user.upper()}_USER",
        "password_env": f"SUPERSET_{user.upper()}_PASSWORD",
        "reference_datasets": [superset.fixtures["ds_countries_ref"], superset.fixtures["ds_orders"]],
        "trusted_datasets": [superset.fixtures["ds_orders"]],
        **changes,
    }


def set_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service accounts' names and passwords, where the settings look for them."""
    for user in ("admin", "sam", "gina"):
        monkeypatch.setenv(f"SUPERSET_{user.upper()}_USER", user)
        monkeypatch.setenv(f"SUPERSET_{user.upper()}_PASSWORD", user)


@pytest.fixture
def api(superset: Superset) -> Iterator[Api]:
    """The administrator's own calls."""
    held = Api(superset.base_url)
    held.use_cookie()
    yield held
    held.close()


@pytest.fixture
def reviewing(superset: Superset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A review service with the environments `bi` (all rights), `five` (5 rows), `sam` and `gina`."""
    set_secrets(monkeypatch)
    environments = {
        ENVIRONMENT: environment_settings(superset),
        "five": environment_settings(superset, run_row_limit=5),
        "careful": environment_settings(superset, allow_probe=False),
        "sam": environment_settings(superset, "sam"),
        "gina": environment_settings(superset, "gina"),
    }
    with world(
        tmp_path, intake_wait_ms=30_000, preview_wait_ms=30_000, launch_wait_ms=30_000, environments=environments
    ) as engine:
        yield engine
