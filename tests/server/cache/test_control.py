from __future__ import annotations

import pytest
from sagitta_server.cache import accepted_age


@pytest.mark.parametrize(
    ("text", "age"),
    [
        (None, None),
        ("", None),
        ("no-cache", 0),
        ("No-Store", 0),
        ("max-age=60", 60),
        ('max-age="60"', 60),
        ("private, max-age = 60", 60),
        ("max-age=60, max-age=30", 30),
        ("max-age=60, no-cache", 0),
        ("max-age=-1", None),
        ("max-age=1e9", None),
        ("max-stale=5, only-if-cached", None),
        ("max-age=99999999999999", None),
    ],
)
def test_the_words_of_http_are_understood(text: str | None, age: int | None) -> None:
    assert accepted_age(text) == age
