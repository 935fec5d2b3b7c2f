"""What an engine makes of its settings before anything is asked of it."""

from __future__ import annotations

import stat
from pathlib import Path

from sagitta_server.app import Engine
from sagitta_server.config import Settings


def test_a_new_data_directory_is_its_owners_alone(tmp_path: Path) -> None:
    """It holds models, stored results, reviews with their values, and secrets."""
    data = tmp_path / "data"
    Engine(Settings(data_dir=data, flight={"enabled": False})).stop()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
