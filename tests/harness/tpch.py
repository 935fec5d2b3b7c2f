"""TPC-H data for tests, made once per scale factor and kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from sagitta_server.demo import tpch

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("SAGITTA_TEST_DATA", ROOT / ".sagitta" / "tpch"))

MODEL = tpch.MODEL


def database(scale_factor: float) -> Path:
    """Returns the DuckDB file of a scale factor; several test processes may ask at once."""
    return tpch.database(FOLDER, scale_factor, lambda _line: None)
