"""What every benchmark uses: interleaved timing, peak memory, data, servers, and one report."""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness import tpch
from harness.server import Server, serving
from rich.console import Console

Work = Callable[[], object]
"""Something to time; what it returns is dropped."""


@dataclass(frozen=True, slots=True)
class Result:
    """One measured number; with a limit, `held` says whether it kept it."""

    benchmark: str
    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def held(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(slots=True)
class Bench:
    """Given to every benchmark: measures, and reports what it measured."""

    name: str
    console: Console
    scale_factor: float = 1.0
    rounds: int = 5
    results: list[Result] = field(default_factory=list)

    def report(
        self, name: str, value: float, unit: str, *, limit: float | None = None, at_least: bool = False
    ) -> Result:
        """Prints a number and keeps it; a broken limit makes `make bench` fail."""
        result = Result(self.name, name, value, unit, limit, at_least)
        self.results.append(result)
        bound = "" if limit is None else f"  ({'at least' if at_least else 'at most'} {limit:g})"
        style = "" if result.held else "bold red"
        self.console.print(f"  {name:<62} {value:>12,.3f} {unit}{bound}", style=style, highlight=False)
        return result

    def compare(self, base: tuple[str, Work], others: Mapping[str, Work]) -> dict[str, float]:
        """Times all of them in turns, and reports each as a ratio to the base: 1 is as fast, 0.5 takes twice as long.

        The ratio is the median over the rounds of paired times, so a disturbance of a whole round cancels out.
        """
        base_name, base_work = base
        times: dict[str, list[float]] = {base_name: [], **{name: [] for name in others}}
        for work in (base_work, *others.values()):
            work()
        for _ in range(self.rounds):
            for name, work in ((base_name, base_work), *others.items()):
                times[name].append(seconds(work))
        self.report(f"{base_name} (the base)", statistics.median(times[base_name]), "s")
        ratios = {}
        for name in others:
            pairs = zip(times[base_name], times[name], strict=True)
            ratios[name] = statistics.median(reference / own for reference, own in pairs)
            self.report(f"{name}", statistics.median(times[name]), "s")
            self.report(f"{name}: speed against the base", ratios[name], "x")
        return ratios

    def tpch(self) -> Path:
        """Returns the DuckDB file of TPC-H at the run's scale factor."""
        return tpch.database(self.scale_factor)

    @contextmanager
    def server(self, flags: Sequence[str] = (), **rest: object) -> Iterator[Server]:
        """Starts `sagitta serve` on TPC-H with its model, or with the flags given instead."""
        chosen = list(flags) or [f"--model={tpch.MODEL}", f"--source=duckdb:///{self.tpch()}"]
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder), chosen, **rest) as running:  # type: ignore[arg-type]
            yield running


def seconds(work: Work) -> float:
    """Returns how long the work takes, the collector kept out."""
    gc.collect()
    gc.disable()
    try:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started
    finally:
        gc.enable()


def peak_megabytes(pid: int) -> float:
    """Returns the most memory that a process ever held, in MB (Linux)."""
    return status_kilobytes(pid, "VmHWM") / 1000


def resident_megabytes(pid: int) -> float:
    """Returns the memory that a process holds now, in MB (Linux)."""
    return status_kilobytes(pid, "VmRSS") / 1000


def status_kilobytes(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise LookupError(key)


def reset_peak(pid: int) -> None:
    """Makes a process' peak start again from what it holds now (Linux)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def write_json(path: Path, results: Sequence[Result]) -> None:
    """Writes all results, for comparing runs."""
    path.write_text(json.dumps([{**asdict(r), "held": r.held} for r in results], indent=2) + "\n")
