"""docs/feature-matrix.md says what the matrix gives: each line is computed again and compared.

With `SHARE` only a part of the pairs is judged (`harness/share.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.share import SHARE, Share
from oracle.database import Database
from oracle.judge import Verdict, describe
from oracle.matrix import PAGE, SETTLED, features, judge_cell, line, pairs, triples

TITLES = [feature.title for feature in features()]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.close()


@pytest.mark.parametrize("place", range(len(TITLES)), ids=TITLES)
def test_a_feature_works_with_every_other_or_says_why_not(place: int, database: Database) -> None:
    crossed = line(place, database, SHARE)
    for other, outcome in crossed.outcomes:
        assert outcome.verdict in SETTLED, f"{other.title}\n{describe(outcome)}"
    stated = PAGE.read_text(encoding="utf-8").splitlines()
    if SHARE.is_whole:
        assert crossed.text() in stated, "python -m oracle.matrix renews the page"
    else:
        (own,) = (text for text in stated if text.startswith(f"| {crossed.feature.title} |"))
        refused = {outcome.codes[0] for _, outcome in crossed.outcomes if outcome.verdict is Verdict.REFUSED}
        assert all(code in own for code in refused), "python -m oracle.matrix renews the page"


def test_the_parts_of_the_matrix_are_the_whole_and_share_nothing() -> None:
    count = len(TITLES)
    wanted = [(place, other) for place in range(count) for other in range(place + 1, count)]
    assert len(wanted) == len(list(pairs()))
    for place, other in wanted:
        assert sum(Share(number, 4).holds(place + other) for number in range(4)) == 1


def test_random_triples_work_or_say_why_not(database: Database) -> None:
    for chosen in triples():
        outcome = judge_cell(chosen, database)
        titles = " x ".join(one.title for one in chosen)
        assert outcome.verdict in SETTLED, f"{titles}\n{describe(outcome)}"


def test_the_page_names_every_feature_and_every_reason() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| {title} |" in text for title in TITLES)
    assert f"{len(TITLES)} features, {len(TITLES) * (len(TITLES) - 1) // 2} pairs" in text
