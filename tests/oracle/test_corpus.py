"""The compiler's SQL, run by DuckDB, gives the evaluator's answer for every case of the corpus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from oracle.corpus import Entry, read_corpus
from oracle.database import Database
from oracle.judge import Verdict, describe, judge


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.close()


@pytest.mark.parametrize("entry", list(read_corpus()), ids=lambda entry: entry.name)
def test_the_compiler_agrees_with_the_evaluator(entry: Entry, database: Database) -> None:
    outcome = judge(entry.case, database)
    assert outcome.verdict in (Verdict.EQUAL, Verdict.REFUSED), describe(outcome)
