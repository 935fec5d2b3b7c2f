"""`make dialects`: random pairs of the matrix on other engines; prints what came of them, and what differs.

python -m oracle.dialects --pairs 1000 sqlite clickhouse spark
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

from oracle.engines import ClickHouse, Engine, Spark, SQLite
from oracle.judge import Verdict, describe
from oracle.matrix import features, judge_cell, pairs

ENGINES: dict[str, Callable[[], Engine]] = {"sqlite": SQLite, "clickhouse": ClickHouse, "spark": Spark}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="*", default=sorted(ENGINES), choices=sorted(ENGINES))
    parser.add_argument("--pairs", type=int, default=1000, help="how many pairs of features to try")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args(arguments)
    return 1 if sum(_try(name, options.pairs, options.seed) for name in options.engines) else 0


def _try(name: str, count: int, seed: str) -> int:
    """Judges the features alone and some pairs of them on an engine; returns how many differ."""
    engine, started = ENGINES[name](), time.monotonic()
    chosen = list(pairs())
    random.Random(seed).shuffle(chosen)
    verdicts: Counter[Verdict] = Counter()
    lacking: Counter[str] = Counter()
    wrong = 0
    for each in [*((feature,) for feature in features()), *chosen[:count]]:
        outcome = judge_cell(each, engine)
        verdicts[outcome.verdict] += 1
        if outcome.verdict is Verdict.REFUSED_ALONE and set(outcome.codes) == {"UNSUPPORTED_AGGREGATION"}:
            lacking[outcome.codes[0]] += 1
        elif outcome.verdict.is_disagreement:
            wrong += 1
            print(" x ".join(feature.title for feature in each), describe(outcome), "", sep="\n")
    engine.close()
    counts = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
    print(f"{name}: {counts}; {sum(lacking.values())} of them lack an aggregate; {time.monotonic() - started:.0f} s")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
