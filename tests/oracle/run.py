"""`make oracle`: many drawn cases, compared; prints what was covered and every disagreement made small.

python -m oracle.run --cases 20000 --seed 1
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from oracle.database import Database
from oracle.judge import Outcome, Verdict, describe, judge
from oracle.queries import Case, draw_populated, draw_query
from oracle.reading import InvalidCaseError
from oracle.reduce import as_yaml, reduce_case
from oracle.worlds import Seeded

QUERIES_PER_WORLD = 8


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


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    database, tally, world, started = Database(), Tally(), 0, time.monotonic()
    while tally.cases < options.cases:
        chooser = Seeded(f"{options.seed}/{world}")
        populated = draw_populated(chooser)
        for number in range(QUERIES_PER_WORLD):
            case = draw_query(chooser, populated)
            if not any(text in feature for text in options.without for feature in case.features):
                _one(case, f"{options.seed}/{world}#{number}", database, tally, options.show)
        world += 1
    tally.show()
    print(f"\n{tally.cases} cases in {time.monotonic() - started:.0f} s")
    database.close()
    return 1 if tally.complaints else 0


def _one(case: Case, name: str, database: Database, tally: Tally, show: int) -> None:
    try:
        outcome = judge(case, database)
    except InvalidCaseError as invalid:
        tally.complaints[f"invalid case: {invalid}"] += 1
        return
    tally.add(case, outcome)
    if outcome.verdict.is_disagreement and tally.complaints[title(outcome)] <= show:
        _report(case, outcome, name, database)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--without", action="append", default=[], help="skip cases that use a feature of this name")
    parser.add_argument("--show", type=int, default=1, help="how many cases of each complaint to print")
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


def _report(case: Case, outcome: Outcome, name: str, database: Database) -> None:
    small = minimal(case, outcome, database)
    print(as_yaml(small, name, title(outcome)))
    print(describe(judge(small, database)))
    print("-" * 100, flush=True)


if __name__ == "__main__":
    sys.exit(main())
