"""`make oracle`: many drawn cases, compared; prints what was covered and every disagreement made small.

python -m oracle.run --cases 20000 --seed 1 --jobs 4
python -m oracle.run --only 1/257#4
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from oracle.database import Database
from oracle.judge import Outcome, Verdict, describe, judge
from oracle.queries import Case, draw_populated, draw_query
from oracle.reading import InvalidCaseError
from oracle.reduce import as_yaml, reduce_case
from oracle.worlds import Seeded

QUERIES_PER_WORLD = 8
WORLDS_PER_BATCH = 25


@dataclass
class Tally:
    """What a run has seen."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    covered: Counter[str] = field(default_factory=Counter)
    silences: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    complaints: Counter[str] = field(default_factory=Counter)

    @property
    def cases(self) -> int:
        return sum(self.verdicts.values())

    def add(self, case: Case, outcome: Outcome) -> None:
        self.verdicts[outcome.verdict] += 1
        match outcome.verdict:
            case Verdict.EQUAL:
                self.covered.update(case.features)
            case Verdict.UNDECIDED:
                self.silences[outcome.reason] += 1
            case Verdict.REFUSED:
                self.refusals[outcome.codes[0]] += 1
            case _:
                self.complaints[title(outcome)] += 1

    def merge(self, other: Tally) -> None:
        self.verdicts.update(other.verdicts)
        self.covered.update(other.covered)
        self.silences.update(other.silences)
        self.refusals.update(other.refusals)
        self.complaints.update(other.complaints)

    def show(self) -> None:
        sections = (
            ("features in cases that agree", dict(sorted(self.covered.items()))),
            ("undecided: the law gives no answer", self.silences),
            ("refused by both", self.refusals),
            ("disagreements", self.complaints),
            ("verdicts", self.verdicts),
        )
        for heading, counter in sections:
            print(f"\n{heading}")
            for name, count in counter.items():
                print(f"  {count:7}  {name}")


@dataclass(frozen=True)
class Report:
    """A disagreement, made small."""

    title: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Some worlds of a seed."""

    seed: str
    worlds: range
    without: tuple[str, ...]
    show: int


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    if options.only:
        return _replay(options.only)
    tally, shown, started = Tally(), Counter[str](), time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        for found, reports in pool.map(run_batch, _batches(options)):
            tally.merge(found)
            for report in reports:
                shown[report.title] += 1
                if shown[report.title] <= options.show:
                    print(report.text, flush=True)
    tally.show()
    print(f"\n{tally.cases} cases in {time.monotonic() - started:.0f} s")
    return 1 if tally.complaints else 0


def _batches(options: argparse.Namespace) -> Iterator[Batch]:
    count = -(-options.cases // QUERIES_PER_WORLD)
    for start in range(0, count, WORLDS_PER_BATCH):
        worlds = range(start, min(start + WORLDS_PER_BATCH, count))
        yield Batch(options.seed, worlds, tuple(options.without), options.show)


def run_batch(batch: Batch) -> tuple[Tally, list[Report]]:
    """Judges the cases of a batch; the first disagreements of each kind come back made small."""
    database, tally, reports = Database(), Tally(), list[Report]()
    for world in batch.worlds:
        for name, case in draw_world_cases(batch.seed, world):
            if any(text in feature for text in batch.without for feature in case.features):
                continue
            try:
                outcome = judge(case, database)
            except InvalidCaseError as invalid:
                tally.complaints[f"invalid case: {invalid}"] += 1
                continue
            tally.add(case, outcome)
            if outcome.verdict.is_disagreement and tally.complaints[title(outcome)] <= batch.show:
                reports.append(_report(case, outcome, name, database))
    database.close()
    return tally, reports


def draw_world_cases(seed: str, world: int) -> Iterator[tuple[str, Case]]:
    """Draws the cases of one world with their names."""
    chooser = Seeded(f"{seed}/{world}")
    populated = draw_populated(chooser)
    for number in range(QUERIES_PER_WORLD):
        yield f"{seed}/{world}#{number}", draw_query(chooser, populated)


def _replay(wanted: str) -> int:
    """Judges one case by its name."""
    seed, _, place = wanted.rpartition("/")
    case = dict(draw_world_cases(seed, int(place.partition("#")[0])))[wanted]
    database = Database()
    outcome = judge(case, database)
    if outcome.verdict.is_disagreement:
        print(_report(case, outcome, wanted, database).text)
    else:
        print(describe(outcome))
    database.close()
    return 1 if outcome.verdict.is_disagreement else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes share the work")
    parser.add_argument("--without", action="append", default=[], help="skip cases that use a feature of this name")
    parser.add_argument("--show", type=int, default=1, help="how many cases of each complaint to print")
    parser.add_argument("--only", metavar="SEED/WORLD#NUMBER", help="judge this one case")
    return parser.parse_args(arguments)


def title(outcome: Outcome) -> str:
    """Returns a short name under which like disagreements are counted."""
    match outcome.verdict:
        case Verdict.REFUSED_ALONE:
            return f"{outcome.verdict}: {outcome.codes}"
        case Verdict.FAILED:
            return f"{outcome.verdict}: {outcome.reason} {outcome.details[0].strip().splitlines()[-1][:60]}"
        case Verdict.WRONG:
            kind = "types" if " is [" in outcome.reason else outcome.reason.partition(" ")[0]
            return f"{outcome.verdict}: {kind}"
        case _:
            return f"{outcome.verdict}: {outcome.reason}"


def minimal(case: Case, outcome: Outcome, database: Database) -> Case:
    """Returns a smaller case with the same verdict."""

    def fails(smaller: Case) -> bool:
        try:
            found = judge(smaller, database)
        except Exception:  # noqa: BLE001 - a part too many was dropped, and the documents no longer fit together
            return False
        same_kind = found.verdict is outcome.verdict
        return same_kind and title(found) == title(outcome)

    return reduce_case(case, fails)


def _report(case: Case, outcome: Outcome, name: str, database: Database) -> Report:
    small = minimal(case, outcome, database)
    lines = (as_yaml(small, name, title(outcome)), describe(judge(small, database)), "-" * 100)
    return Report(title(outcome), "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
