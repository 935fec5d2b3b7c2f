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


def test_the_state_is_its_owners_alone_also_in_a_directory_that_others_may_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    engine = Engine(Settings(data_dir=data, flight={"enabled": False}, cache={"backend": "file"}))
    try:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir() if path.is_file()}
        assert modes == dict.fromkeys(modes, 0o600)
        assert "state.db" in modes
        assert stat.S_IMODE((data / "cache").stat().st_mode) == 0o700
    finally:
        engine.stop()
