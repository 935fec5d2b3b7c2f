"""Makes TPC-H data with tpchgen-cli and loads it into an embedded DuckDB file, once per scale factor."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

TABLES = ("region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem")
"""All eight tables, small ones first."""

MODEL = Path(__file__).with_name("tpch.yaml")
"""Our OBML model of these tables."""

Report = Callable[[str], None]
"""Takes one line of progress for people."""


class DemoError(Exception):
    """The data cannot be made; the message says what to do."""


def database(folder: Path, scale_factor: float, report: Report) -> Path:
    """Returns the DuckDB file of a scale factor (1 is about a gigabyte of raw data), made on first use.

    The file appears under its name only when it is complete, so a start that was killed leaves nothing half-made.
    """
    target = folder / f"tpch-sf{scale_factor:g}.duckdb"
    if target.exists():
        report(f"TPC-H at scale factor {scale_factor:g} is ready: {target}")
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.stem}-", dir=folder) as scratch:
        report(f"Making TPC-H at scale factor {scale_factor:g} (once; later starts take seconds)")
        generate(Path(scratch), scale_factor)
        load(Path(scratch), report).replace(target)
    return target


def generate(folder: Path, scale_factor: float) -> None:
    """Writes one Parquet file per table; the generator shows its bars when standard error is a terminal."""
    command = [generator(), "parquet", f"--scale-factor={scale_factor:g}", f"--output-dir={folder}"]
    try:
        subprocess.run(command, check=True)  # noqa: S603 (no shell, arguments of our own)
    except subprocess.CalledProcessError as error:
        raise DemoError(f"tpchgen-cli failed with exit code {error.returncode}") from error


def generator() -> str:
    """Returns the program that makes the data: beside the interpreter, else on the path."""
    program = shutil.which("tpchgen-cli", path=str(Path(sys.executable).parent)) or shutil.which("tpchgen-cli")
    if program is None:
        raise DemoError("tpchgen-cli is not installed: pip install 'sagitta[demo]'")
    return program


def load(folder: Path, report: Report) -> Path:
    """Loads the Parquet files of a folder into a new DuckDB file beside them, and returns it."""
    made = folder / "tpch.duckdb"
    with duckdb.connect(str(made)) as connection:
        for table in TABLES:
            source = connection.read_parquet(str(folder / f"{table}.parquet"))
            source.create(table)
            [(rows,)] = connection.table(table).aggregate("count(*)").fetchall()
            report(f"  {table:<9}{rows:>12,} rows")
        connection.execute("CHECKPOINT")
    return made
