"""The judge itself is checked first: against the answers worked out by hand."""

from __future__ import annotations

import pytest
from oracle import values as v
from oracle.compare import same, show
from oracle.corpus import Entry, read_corpus
from oracle.reading import expected_of

BY_HAND = [entry for entry in read_corpus() if entry.rows is not None or entry.refused]


@pytest.mark.parametrize("entry", BY_HAND, ids=lambda entry: entry.name)
def test_the_evaluator_gives_the_answer_worked_out_by_hand(entry: Entry) -> None:
    if entry.refused:
        with pytest.raises(v.RefusedError) as refusal:
            expected_of(entry.case)
        assert set(refusal.value.codes) & set(entry.refused)
        return
    assert entry.rows is not None
    result = expected_of(entry.case)
    if entry.columns is not None:
        assert result.columns == entry.columns
    left = list(entry.rows)
    for row in result.rows:
        match = [hand for hand in left if all(map(same, row, hand, result.types))]
        assert match, f"{show(row)} is not among the answers {[show(hand) for hand in left]}"
        left.remove(match[0])
    assert not left, f"missing {[show(hand) for hand in left]}"


def test_all_worked_vectors_are_there() -> None:
    assert sum(entry.name.startswith("vectors: v") for entry in BY_HAND) == 49
