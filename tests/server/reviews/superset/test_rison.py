"""Rison, as Superset writes it into URLs."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagitta_server.reviews.superset.rison import MAX_DEPTH, InvalidRisonError, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!t", True),
        ("!n", None),
        ("0", 0),
        ("-12", -12),
        ("1.5", Decimal("1.5")),
        ("1e-3", Decimal("0.001")),
        ("9007199254740993", 9007199254740993),
        ("007", "007"),
        ("2024-01-01", "2024-01-01"),
        ("'it!'s!!'", "it's!"),
        ("''", ""),
        ("()", {}),
        ("!()", []),
        ("(a:1,b:(c:!(x,'y z',!f)))", {"a": 1, "b": {"c": ["x", "y z", False]}}),
        ("('a b':1)", {"a b": 1}),
        ("Ω", "Ω"),
    ],
)
def test_values(text, value):
    found = read(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["", "(", "(a)", "(a:1", "!(1,", "!x", "'a", "'!a'", "1 2", "(a:1)x", "!", "(:1)"])
def test_what_is_no_rison_is_refused(text):
    with pytest.raises(InvalidRisonError):
        read(text)


def test_nesting_is_bounded():
    read("!(" * MAX_DEPTH + ")" * MAX_DEPTH)
    with pytest.raises(InvalidRisonError, match="deeper"):
        read("!(" * 100_000)
    assert read("!(!())", 2) == [[]]
    with pytest.raises(InvalidRisonError, match=r"deeper than 1$"):
        read("!(!(!()))", 1)


def written(value):
    """The rison of a value, as its definition says."""
    match value:
        case None:
            return "!n"
        case bool():
            return "!t" if value else "!f"
        case str():
            return "'" + value.replace("!", "!!").replace("'", "!'") + "'"
        case list():
            return "!(" + ",".join(map(written, value)) + ")"
        case dict():
            return "(" + ",".join(f"{written(k)}:{written(v)}" for k, v in value.items()) + ")"
        case number:
            return str(number)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(values)
def test_what_is_written_is_read(value):
    assert read(written(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    with suppress(InvalidRisonError):
        read(text)
