"""Runs the benchmarks: `python -m benchmarks [NAME ...] [--scale-factor SF] [--rounds N] [--json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.harness import Bench, Result, write_json


def names() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main() -> int:
    """Runs what was asked for; returns 1 when a limit was broken."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measures speed and memory.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(names())}; all without")
    parser.add_argument("--scale-factor", type=float, default=1.0, help="of the TPC-H data (1 is 6 million lines)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is timed")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names()):
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    console = Console(width=120)
    results: list[Result] = []
    for name in options.names or names():
        module = importlib.import_module(f"benchmarks.bench_{name}")
        console.print(f"\n[bold]{name}[/bold]: {(module.__doc__ or '').strip()}", highlight=False)
        bench = Bench(name, console, options.scale_factor, options.rounds)
        module.run(bench)
        results += bench.results
    if options.json:
        write_json(options.json, results)
    broken = [result for result in results if not result.held]
    for result in broken:
        console.print(f"broken limit: {result.benchmark}: {result.name}", style="bold red")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
