"""docs/feature-matrix.md says what the matrix gives: each line is computed again and compared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from oracle.database import Database
from oracle.judge import describe
from oracle.matrix import PAGE, SETTLED, features, judge_cell, line, triples

TITLES = [feature.title for feature in features()]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.close()


@pytest.mark.parametrize("place", range(len(TITLES)), ids=TITLES)
def test_a_feature_works_with_every_other_or_says_why_not(place: int, database: Database) -> None:
    crossed = line(place, database)
    for other, outcome in crossed.outcomes:
        assert outcome.verdict in SETTLED, f"{other.title}\n{describe(outcome)}"
    assert crossed.text() in PAGE.read_text(encoding="utf-8").splitlines(), "python -m oracle.matrix renews the page"


def test_random_triples_work_or_say_why_not(database: Database) -> None:
    for chosen in triples():
        outcome = judge_cell(chosen, database)
        titles = " x ".join(one.title for one in chosen)
        assert outcome.verdict in SETTLED, f"{titles}\n{describe(outcome)}"


def test_the_page_names_every_feature_and_every_reason() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| {title} |" in text for title in TITLES)
    assert f"{len(TITLES)} features, {len(TITLES) * (len(TITLES) - 1) // 2} pairs" in text
