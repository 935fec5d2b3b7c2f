"""The portable functions: names, argument counts and pinned meanings. How a dialect writes them is `sql`'s part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class PortableFunction:
    """A function that means the same on every dialect.

    `arguments` names them in order, the optional ones last; `variadic` allows any number of the last.
    `unit` and `json_path` are the positions of an argument that must be a quoted literal of that kind.
    """

    name: str
    family: str
    arguments: tuple[str, ...]
    meaning: str
    optional: int = 0
    variadic: bool = False
    unit: int | None = None
    json_path: int | None = None

    @property
    def minimum(self) -> int:
        return len(self.arguments) - self.optional

    @property
    def maximum(self) -> int | None:
        return None if self.variadic else len(self.arguments)

    @property
    def signature(self) -> str:
        """The call as a reader sees it: `round(x, n?)`, `coalesce(a, b, …)`."""
        names = [f"{name}?" if at >= self.minimum else name for at, name in enumerate(self.arguments)]
        return f"{self.name}({', '.join([*names, *(['…'] if self.variadic else [])])})"

    def accepts(self, count: int) -> bool:
        return self.minimum <= count and (self.maximum is None or count <= self.maximum)


TIME_UNITS: Final = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")

_NULLS = "NULL when an argument is NULL."
_FUNCTIONS = (
    PortableFunction("substring", "string", ("x", "start", "length"), "Characters from the 1-based start.", 1),
    PortableFunction("concat", "string", ("a", "b"), f"The texts joined; {_NULLS}", variadic=True),
    PortableFunction("upper", "string", ("x",), "The text in upper case."),
    PortableFunction("lower", "string", ("x",), "The text in lower case."),
    PortableFunction("trim", "string", ("x",), "The text without blanks at both ends."),
    PortableFunction("ltrim", "string", ("x",), "The text without blanks at its start."),
    PortableFunction("rtrim", "string", ("x",), "The text without blanks at its end."),
    PortableFunction("length", "string", ("x",), "The number of characters, not bytes."),
    PortableFunction("replace", "string", ("x", "from", "to"), "Every occurrence of `from` replaced by `to`."),
    PortableFunction("position", "string", ("needle", "text"), "The 1-based place of the needle; 0 if it is absent."),
    PortableFunction("split_part", "string", ("x", "delimiter", "n"), "The n-th part, from 1; '' past the end."),
    PortableFunction(
        "lpad", "string", ("x", "length", "fill"), "The text filled (or cut) to a length at its start.", 1
    ),
    PortableFunction("rpad", "string", ("x", "length", "fill"), "The text filled (or cut) to a length at its end.", 1),
    PortableFunction("starts_with", "string", ("x", "prefix"), "Whether the text starts with the prefix."),
    PortableFunction("ends_with", "string", ("x", "suffix"), "Whether the text ends with the suffix."),
    PortableFunction("abs", "numeric", ("x",), "The absolute value."),
    PortableFunction("sign", "numeric", ("x",), "-1, 0 or 1."),
    PortableFunction("floor", "numeric", ("x",), "The largest whole number not above x."),
    PortableFunction("ceil", "numeric", ("x",), "The smallest whole number not below x."),
    PortableFunction("sqrt", "numeric", ("x",), "The square root."),
    PortableFunction("ln", "numeric", ("x",), "The natural logarithm; NULL for x ≤ 0."),
    PortableFunction("exp", "numeric", ("x",), "e to the power of x."),
    PortableFunction("power", "numeric", ("x", "y"), "x to the power of y."),
    PortableFunction("round", "numeric", ("x", "n"), "Rounded to n decimals, halves away from zero.", 1),
    PortableFunction("trunc", "numeric", ("x", "n"), "Cut to n decimals, toward zero.", 1),
    PortableFunction("mod", "numeric", ("a", "b"), "The remainder with the sign of a; NULL for b = 0."),
    PortableFunction("div", "numeric", ("a", "b"), "The whole quotient toward zero; NULL for b = 0."),
    PortableFunction("log", "numeric", ("base", "x"), "The logarithm of x; NULL outside its domain."),
    PortableFunction("coalesce", "conditional", ("a", "b"), "The first argument that is not NULL.", 1, variadic=True),
    PortableFunction("nullif", "conditional", ("a", "b"), "NULL when a = b, else a."),
    PortableFunction("greatest", "conditional", ("a", "b"), f"The largest; {_NULLS}", variadic=True),
    PortableFunction("least", "conditional", ("a", "b"), f"The smallest; {_NULLS}", variadic=True),
    PortableFunction(
        "date_trunc", "date", ("unit", "x"), "The start of the period; weeks as `weekStart` says.", unit=0
    ),
    PortableFunction("date_add", "date", ("unit", "n", "x"), "x moved by n units (n may be negative).", unit=0),
    PortableFunction("date_diff", "date", ("unit", "start", "end"), "The unit boundaries from start to end.", unit=0),
    PortableFunction("extract", "date", ("unit", "x"), "A part of a date or time; `week` is the ISO week.", unit=0),
    PortableFunction("last_day", "date", ("x",), "The last day of x's month."),
    PortableFunction("current_date", "date", (), "Today."),
    PortableFunction(
        "json_value",
        "json",
        ("x", "path"),
        "The scalar at a path of `.name` and `[n]` steps as text; NULL when it is absent, an object or an array.",
        json_path=1,
    ),
)

CATALOGUE: Final[Mapping[str, PortableFunction]] = MappingProxyType({f.name: f for f in _FUNCTIONS})
"""Every portable function by its lower-case name; matching ignores case."""


def catalogue_as_markdown() -> str:
    """Returns the table of the portable functions."""
    rows = [f"| `{f.signature}` | {f.family} | {f.meaning} |" for f in CATALOGUE.values()]
    return "\n".join(["| function | kind | meaning |", "| --- | --- | --- |", *rows])
