"""How the planner's operators and the portable functions are written, where dialects agree; others override by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from sagitta_compiler.sql.syntax import E, binary, call, case, connect, number, text, wrap

Args = tuple[E, ...]
Builder = Callable[[Args], E]


def _binary(kind: type[exp.Binary]) -> Builder:
    return lambda args: binary(kind, args[0], args[1])


def _plain(function: str) -> Builder:
    return lambda args: call(function, *args)


def divide(args: Args) -> E:
    """A quotient; the planner and the templates see to zero divisors."""
    return exp.Div(this=wrap(args[0]), expression=wrap(args[1]), typed=False, safe=False)


def _is_null(args: Args) -> E:
    return exp.Is(this=wrap(args[0]), expression=exp.Null())


def _not(args: Args) -> E:
    inner = args[0]
    if isinstance(inner, exp.Connector | exp.Is | exp.In | exp.Between | exp.Like | exp.ILike):
        inner = exp.Paren(this=inner)
    return exp.Not(this=wrap(inner) if not isinstance(inner, exp.Paren) else inner)


ESCAPE = "!"


def pattern(operand: E, shape: str) -> exp.Literal:
    """The text as a LIKE pattern in which only the added `%` are wild."""
    assert isinstance(operand, exp.Literal)
    value = str(operand.this)
    for special in (ESCAPE, "%", "_"):
        value = value.replace(special, ESCAPE + special)
    return text(shape.replace("{}", value))


def _matches(kind: type[exp.Binary], shape: str) -> Builder:
    return lambda args: exp.Escape(this=binary(kind, args[0], pattern(args[1], shape)), expression=text(ESCAPE))


def _like(args: Args) -> E:
    """LIKE; its third argument, if any, is the character of ESCAPE."""
    like = binary(exp.Like, args[0], args[1])
    return exp.Escape(this=like, expression=args[2]) if len(args) > 2 else like


def _blank(args: Args) -> E:
    trimmed = exp.EQ(this=exp.Trim(this=args[0].copy()), expression=text(""))
    return connect(exp.Or, (_is_null(args), trimmed))


def _null_if_any(function: str) -> Builder:
    """Greatest and least: NULL when an argument is."""

    def build(args: Args) -> E:
        missing = connect(exp.Or, [exp.Is(this=wrap(arg.copy()), expression=exp.Null()) for arg in args])
        return case([(exp.Not(this=exp.Paren(this=missing)), call(function, *args))], None)

    return build


def _where(condition: E, value: E) -> E:
    return case([(condition, value)], None)


def _ln(args: Args) -> E:
    return _where(binary(exp.GT, args[0].copy(), number(0)), call("LN", args[0]))


def _log(args: Args) -> E:
    base, x = args
    valid = connect(
        exp.And,
        (
            binary(exp.GT, base.copy(), number(0)),
            binary(exp.NEQ, base.copy(), number(1)),
            binary(exp.GT, x.copy(), number(0)),
        ),
    )
    return _where(valid, divide((call("LN", x), call("LN", base))))


def _sqrt(args: Args) -> E:
    return _where(binary(exp.GTE, args[0].copy(), number(0)), call("SQRT", args[0]))


def nullif(args: Args) -> E:
    """NULL when both are equal."""
    return exp.Nullif(this=args[0], expression=args[1])


def _mod(args: Args) -> E:
    return exp.Mod(this=wrap(args[0]), expression=nullif((args[1], number(0))))


def _div(args: Args) -> E:
    return call("TRUNC", divide((args[0], nullif((args[1], number(0))))))


def _concat(args: Args) -> E:
    whole = args[0]
    for part in args[1:]:
        whole = exp.DPipe(
            this=wrap(whole) if not isinstance(whole, exp.DPipe) else whole, expression=wrap(part), safe=True
        )
    return whole


OPERATORS: Mapping[str, Builder] = {
    "eq": _binary(exp.EQ),
    "ne": _binary(exp.NEQ),
    "gt": _binary(exp.GT),
    "ge": _binary(exp.GTE),
    "lt": _binary(exp.LT),
    "le": _binary(exp.LTE),
    "add": _binary(exp.Add),
    "sub": _binary(exp.Sub),
    "mul": _binary(exp.Mul),
    "div": divide,
    "same": _binary(exp.NullSafeEQ),
    "and": lambda args: connect(exp.And, args),
    "or": lambda args: connect(exp.Or, args),
    "not": _not,
    "is_null": _is_null,
    "is_not_null": lambda args: exp.Not(this=_is_null(args)),
    "between": lambda args: exp.Between(this=wrap(args[0]), low=wrap(args[1]), high=wrap(args[2])),
    "in": lambda args: exp.In(this=wrap(args[0]), expressions=list(args[1:])),
    "like": _like,
    "ilike": _binary(exp.ILike),
    "contains": _matches(exp.ILike, "%{}%"),
    "starts_with": _matches(exp.Like, "{}%"),
    "ends_with": _matches(exp.Like, "%{}"),
    "regex": lambda args: exp.RegexpLike(this=args[0], expression=args[1]),
    "blank": _blank,
    "coalesce": lambda args: exp.Coalesce(this=args[0], expressions=list(args[1:])),
    "nullif": nullif,
    "replace": _plain("REPLACE"),
    "length": lambda args: exp.Length(this=args[0]),
    "concat": _concat,
    "grouping": _plain("GROUPING"),
    "current_date": lambda _: exp.CurrentDate(),
}
"""The vocabulary of `plan.scalars.Call`."""

PORTABLE: Mapping[str, Builder] = {
    "substring": lambda args: exp.Substring(this=args[0], start=args[1], length=args[2] if len(args) > 2 else None),
    "concat": _concat,
    "upper": lambda args: exp.Upper(this=args[0]),
    "lower": lambda args: exp.Lower(this=args[0]),
    "trim": lambda args: exp.Trim(this=args[0]),
    "ltrim": _plain("LTRIM"),
    "rtrim": _plain("RTRIM"),
    "length": lambda args: exp.Length(this=args[0]),
    "replace": _plain("REPLACE"),
    "position": lambda args: exp.StrPosition(this=args[1], substr=args[0]),
    "split_part": lambda args: exp.SplitPart(this=args[0], delimiter=args[1], part_index=args[2]),
    "lpad": lambda args: call("LPAD", *(args if len(args) == 3 else (*args, text(" ")))),
    "rpad": lambda args: call("RPAD", *(args if len(args) == 3 else (*args, text(" ")))),
    "starts_with": lambda args: exp.StartsWith(this=args[0], expression=args[1]),
    "ends_with": lambda args: exp.EndsWith(this=args[0], expression=args[1]),
    "abs": lambda args: exp.Abs(this=args[0]),
    "sign": lambda args: exp.Sign(this=args[0]),
    "floor": lambda args: exp.Floor(this=args[0]),
    "ceil": lambda args: exp.Ceil(this=args[0]),
    "sqrt": _sqrt,
    "ln": _ln,
    "exp": lambda args: exp.Exp(this=args[0]),
    "power": lambda args: exp.Pow(this=args[0], expression=args[1]),
    "round": lambda args: exp.Round(this=args[0], decimals=args[1] if len(args) > 1 else None),
    "trunc": _plain("TRUNC"),
    "mod": _mod,
    "div": _div,
    "log": _log,
    "coalesce": lambda args: exp.Coalesce(this=args[0], expressions=list(args[1:])),
    "nullif": nullif,
    "greatest": _null_if_any("GREATEST"),
    "least": _null_if_any("LEAST"),
    "last_day": lambda args: exp.LastDay(this=args[0]),
    "current_date": lambda _: exp.CurrentDate(),
    "json_value": lambda args: exp.JSONExtractScalar(this=args[0], expression=args[1]),
}
"""The catalogued functions whose arguments are all scalars; those with a unit are methods of a dialect."""
