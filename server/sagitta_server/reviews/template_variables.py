"""Finds the names that a template reads, with Jinja's own parser; nothing is rendered.

A free name is required unless a `default` filter stands directly on it, it is read inside a test or under one that
tests it, or the dataset's template parameters give it. `filter_values`, `get_filters` and `url_param` are required
unless they carry a default, are tested, or are only iterated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from jinja2 import Environment, TemplateSyntaxError, nodes

from sagitta_server.reviews.enums import VariableKind
from sagitta_server.reviews.json_text import NULL, JsonText, dump
from sagitta_server.reviews.values import TemplateText

MARKS = ("{{", "{%", "{#")
TIME_RANGE = "__time_range"
_MAX_SOURCE = 500
_DERIVED = frozenset(
    {
        "from_dttm",
        "to_dttm",
        "inner_from_dttm",
        "inner_to_dttm",
        "time_column",
        "time_grain",
        "filter",
        "columns",
        "groupby",
        "metrics",
        "row_limit",
        "row_offset",
        "table_columns",
    }
)
_TIME_DERIVED = frozenset({"from_dttm", "to_dttm", "inner_from_dttm", "inner_to_dttm"})
_FILTER_MACROS = frozenset({"filter_values", "get_filters"})
_USER_MACROS = frozenset({"current_user_id", "current_username", "current_user_email", "current_user_roles"})
_KNOWN = frozenset(
    {
        "dataset",
        "metric",
        "cache_key_wrapper",
        "datetime",
        "timedelta",
        "relativedelta",
        "random",
        "uuid",
        "uuid1",
        "uuid3",
        "uuid4",
        "uuid5",
        "presto",
        "hive",
        "trino",
        "spark",
        "range",
        "dict",
        "lipsum",
        "cycler",
        "joiner",
        "namespace",
        "loop",
        "self",
        "varargs",
        "kwargs",
        "caller",
        "true",
        "false",
        "none",
    }
)
_LITERALS = (nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Neg)
_COMPARISONS = ("=", "<", ">", "BETWEEN", "AND", "LIMIT", "OFFSET", "+", "-", "*", "/", "(", ",")


@dataclass(frozen=True, slots=True)
class DiscoveredVariable:
    """A variable that some template reads."""

    name: str
    kind: VariableKind
    is_required: bool
    expression_source: str
    default_value: JsonText = NULL
    shape: str = "scalar"
    is_escaped: bool = True
    keeps_operator: bool = False
    reads: int = 1


@dataclass(frozen=True, slots=True)
class TemplateIssue:
    """Something wrong with a template: a finding's code, message and cause."""

    code: str
    message: str
    ref: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """All variables of a dataset, in the order of their first reading."""

    variables: tuple[DiscoveredVariable, ...]
    issues: tuple[TemplateIssue, ...]
    datasets: tuple[int, ...] = ()
    """Ids that `dataset(n)` refers to."""
    reads_user: bool = False
    """Some template asks who the user is."""


def has_template_marks(text: str) -> bool:
    """The text holds Jinja syntax."""
    return any(mark in text for mark in MARKS)


def discover(texts: Iterable[TemplateText], template_params: frozenset[str] = frozenset()) -> Discovery:
    """Finds the variables of all texts; `template_params` are names that the dataset itself gives values for."""
    reads: list[_Read] = []
    issues: list[TemplateIssue] = []
    datasets: list[int] = []
    reads_user = False
    for text in texts:
        if not has_template_marks(text.text):
            continue
        try:
            walk = _Walk(text)
        except TemplateSyntaxError as error:
            issues.append(_syntax_issue(text, error.lineno, error.message or ""))
            continue
        except RecursionError:
            issues.append(_syntax_issue(text, 1, "it nests too deeply"))
            continue
        reads.extend(walk.reads)
        issues.extend(walk.issues)
        datasets.extend(walk.datasets)
        reads_user = reads_user or walk.reads_user
    return Discovery(_merge(reads, template_params), tuple(issues), tuple(dict.fromkeys(datasets)), reads_user)


def _syntax_issue(text: TemplateText, line: int, reason: str) -> TemplateIssue:
    return TemplateIssue(
        code="TEMPLATE_SYNTAX_ERROR",
        message=f"The template in {text.origin} cannot be read: line {line}: {reason.rstrip('.')}. "
        "Correct the dataset and import it again.",
        ref="dataset",
    )


@dataclass(frozen=True, slots=True)
class _Read:
    key: str
    kind: VariableKind
    required: bool
    source: str
    default: JsonText
    shape: str
    escaped: bool
    keeps_operator: bool


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where the walk stands."""

    bound: frozenset[str] = frozenset()
    tested: frozenset[str] = frozenset()
    """Keys that an enclosing condition tests."""
    in_test: bool = False
    in_condition: bool = False
    iterated: bool = False
    default: JsonText | None = None
    listed: bool = False


class _Walk:
    """One pass over the syntax tree of one text."""

    def __init__(self, text: TemplateText) -> None:
        self._text = text
        environment = Environment(autoescape=False)  # noqa: S701 - the template is read, never rendered
        self._tags = tuple(_tags(environment, text.text))
        self._aliases: dict[str, tuple[str, VariableKind, JsonText, bool]] = {}
        self._quoted = False
        self._before = ""
        self.reads: list[_Read] = []
        self.issues: list[TemplateIssue] = []
        self.datasets: list[int] = []
        self.reads_user = False
        self._all(environment.parse(text.text).body, _Scope())

    def _all(self, body: Iterable[nodes.Node], scope: _Scope) -> _Scope:
        for node in body:
            scope = self._statement(node, scope)
        return scope

    def _statement(self, node: nodes.Node, scope: _Scope) -> _Scope:
        match node:
            case nodes.Output():
                for child in node.nodes:
                    if isinstance(child, nodes.TemplateData):
                        self._note_text(child.data)
                    else:
                        self._expression(child, scope)
                        self._before = ""
            case nodes.If():
                self._condition(node, scope)
            case nodes.For():
                self._loop(node, scope)
            case nodes.Assign():
                return self._assign(node, scope)
            case nodes.AssignBlock():
                self._all(node.body, scope)
                return replace(scope, bound=scope.bound | _targets(node.target))
            case nodes.Macro():
                names = frozenset(argument.name for argument in node.args)
                self._all(node.body, replace(scope, bound=scope.bound | names))
                return replace(scope, bound=scope.bound | {node.name})
            case nodes.With():
                for value in node.values:
                    self._expression(value, scope)
                inner = frozenset().union(*(_targets(target) for target in node.targets))
                self._all(node.body, replace(scope, bound=scope.bound | inner))
            case nodes.Import() | nodes.FromImport() | nodes.Include() | nodes.Extends():
                self._unavailable(node)
                return replace(scope, bound=scope.bound | _imported(node))
            case nodes.Expr():
                self._expression(node, scope)
            case _:
                self._children(node, scope)
        return scope

    def _condition(self, node: nodes.If, scope: _Scope) -> None:
        self._expression(node.test, replace(scope, in_test=True))
        inner = replace(scope, tested=scope.tested | self._keys(node.test), in_condition=True)
        before = self._quoted
        self._all(node.body, inner)
        for branch in node.elif_:
            self._quoted = before
            self._condition(branch, inner)
        self._quoted = before
        self._all(node.else_, inner)
        self._quoted = before

    def _loop(self, node: nodes.For, scope: _Scope) -> None:
        self._expression(node.iter, replace(scope, iterated=True))
        inner = replace(scope, bound=scope.bound | _targets(node.target) | {"loop"}, in_condition=True)
        if node.test is not None:
            self._expression(node.test, replace(inner, in_test=True))
        self._all(node.body, inner)
        self._all(node.else_, replace(scope, in_condition=True))

    def _assign(self, node: nodes.Assign, scope: _Scope) -> _Scope:
        call = _bare_call(node.node)
        names = _targets(node.target)
        known = self._macro(call) if call is not None else None
        if known is not None and len(names) == 1:
            self._aliases[next(iter(names))] = known
            self._read(
                known, replace(scope, in_test=True), node.lineno, listed=True
            )  # a use decides, not the assignment
        else:
            self._expression(node.node, scope)
        return replace(scope, bound=scope.bound | names)

    def _expression(self, node: nodes.Node, scope: _Scope) -> None:
        match node:
            case nodes.Name() if node.ctx == "load":
                self._name(node, scope)
            case nodes.Call():
                self._call(node, scope)
            case nodes.Filter():
                self._filter(node, scope)
            case nodes.Test():
                self._children(node, replace(scope, in_test=True))
            case nodes.CondExpr():
                self._expression(node.test, replace(scope, in_test=True))
                inner = replace(scope, tested=scope.tested | self._keys(node.test), in_condition=True)
                for branch in (node.expr1, node.expr2):
                    if branch is not None:
                        self._expression(branch, inner)
            case _:
                self._children(node, replace(scope, default=None))

    def _children(self, node: nodes.Node, scope: _Scope) -> None:
        for child in node.iter_child_nodes():
            self._expression(child, scope)

    def _filter(self, node: nodes.Filter, scope: _Scope) -> None:
        inner = scope
        if node.name in {"default", "d"}:
            literal = _constant(node.args[0]) if node.args else dump("")
            inner = replace(scope, default=literal if literal is not None else NULL)
        elif node.name in {"where_in", "join", "tojson", "list"}:
            inner = replace(scope, listed=True)
        if node.node is not None:
            self._expression(node.node, inner)
        for argument in (*node.args, *(pair.value for pair in node.kwargs)):
            self._expression(argument, replace(scope, default=None))

    def _name(self, node: nodes.Name, scope: _Scope) -> None:
        if node.name in self._aliases and node.name in scope.bound:
            self._read(self._aliases[node.name], scope, node.lineno, listed=True)
        elif node.name in _DERIVED and node.name not in scope.bound:
            self._read((node.name, VariableKind.DERIVED, NULL, False), scope, node.lineno)
        elif node.name not in scope.bound and node.name not in _KNOWN:
            self._read((node.name, VariableKind.PARAMETER, NULL, False), scope, node.lineno, pasted=True)

    def _call(self, node: nodes.Call, scope: _Scope) -> None:
        name = node.node.name if isinstance(node.node, nodes.Name) else None
        known = self._macro(node)
        if known is not None:
            self._read(known, scope, node.lineno, listed=name in _FILTER_MACROS)
        elif name in _FILTER_MACROS | {"get_time_filter", "url_param"} and name not in scope.bound:
            self._dynamic(node, str(name))
        elif name in _USER_MACROS:
            self.reads_user = True
        elif name == "dataset" and node.args and isinstance(node.args[0], nodes.Const):
            if isinstance(node.args[0].value, int):
                self.datasets.append(node.args[0].value)
        else:
            self._children(node, replace(scope, default=None))
            return
        for argument in (*node.args[1:], *(pair.value for pair in node.kwargs)):
            self._expression(argument, replace(scope, default=None))

    def _macro(self, node: nodes.Node) -> tuple[str, VariableKind, JsonText, bool] | None:
        """Key, kind, default and "keeps operators" of a known macro called with a literal name."""
        if not isinstance(node, nodes.Call) or not isinstance(node.node, nodes.Name):
            return None
        default = _constant(node.args[1]) if len(node.args) > 1 else _keyword(node, "default")
        argument = node.args[0] if node.args else None
        literal = argument.value if isinstance(argument, nodes.Const) and isinstance(argument.value, str) else None
        match node.node.name:
            case "filter_values" | "get_filters" if literal is not None:
                return literal, VariableKind.NATIVE_FILTER, default or NULL, node.node.name == "get_filters"
            case "get_time_filter" if argument is None or literal is not None:
                return literal or TIME_RANGE, VariableKind.NATIVE_FILTER, default or NULL, False
            case "url_param" if literal is not None:
                return literal, VariableKind.PARAMETER, default or NULL, False
            case _:
                return None

    def _read(
        self,
        known: tuple[str, VariableKind, JsonText, bool],
        scope: _Scope,
        line: int,
        *,
        listed: bool = False,
        pasted: bool = False,
    ) -> None:
        key, kind, macro_default, keeps_operator = known
        default = macro_default if macro_default != NULL else (scope.default or NULL)
        optional = (
            scope.in_test or scope.iterated or key in scope.tested or scope.default is not None or default != NULL
        )
        if kind is VariableKind.DERIVED:
            optional = optional or scope.in_condition
        self.reads.append(
            _Read(
                key=key,
                kind=kind,
                required=not optional,
                source=f"{self._text.origin}:{line} {self._tag(line, key)}"[:_MAX_SOURCE],
                default=default,
                shape=self._text.shape or self._shape(key, kind, listed=listed or scope.listed or scope.iterated),
                escaped=self._text.is_literal or not pasted,
                keeps_operator=keeps_operator,
            )
        )

    def _shape(self, key: str, kind: VariableKind, *, listed: bool) -> str:
        if key == TIME_RANGE or key in _TIME_DERIVED:
            return "time"
        if kind is VariableKind.NATIVE_FILTER or listed:
            return "list"
        bare = not self._quoted and self._before.rstrip().upper().endswith(_COMPARISONS)
        return "number" if bare else "scalar"

    def _keys(self, test: nodes.Node) -> frozenset[str]:
        """Variables that a condition asks about."""
        names = [node.name for node in test.find_all(nodes.Name)]
        if isinstance(test, nodes.Name):
            names.append(test.name)
        calls = [test, *test.find_all(nodes.Call)]
        macros = [known[0] for known in map(self._macro, calls) if known is not None]
        aliases = [self._aliases[name][0] for name in names if name in self._aliases]
        return frozenset((*names, *macros, *aliases))

    def _note_text(self, data: str) -> None:
        self._quoted = self._quoted ^ bool(data.count("'") % 2)
        self._before = data

    def _tag(self, line: int, key: str) -> str:
        covering = [text for first, last, text in self._tags if first <= line <= last]
        return next((text for text in covering if key in text), covering[0] if covering else key)

    def _dynamic(self, node: nodes.Call, macro: str) -> None:
        self.issues.append(
            TemplateIssue(
                code="TEMPLATE_DYNAMIC_REFERENCE",
                message=f"{self._text.origin}, line {node.lineno}: {macro} is called with a computed name, "
                "so its value cannot be foreseen. Check the compiled SQL.",
                ref=f"template:{self._text.origin}:{node.lineno}",
            )
        )
        self._read((f"<dynamic:{macro}>", VariableKind.UNKNOWN, NULL, False), _Scope(in_test=True), node.lineno)

    def _unavailable(self, node: nodes.Node) -> None:
        self.issues.append(
            TemplateIssue(
                code="TEMPLATE_SYNTAX_ERROR",
                message=f"The template in {self._text.origin} uses import, include or extends in line {node.lineno}; "
                "other templates are not available there.",
                ref="dataset",
            )
        )


def _merge(reads: list[_Read], template_params: frozenset[str]) -> tuple[DiscoveredVariable, ...]:
    """One variable per name: required if any reading is, the first default, the first place."""
    grouped: dict[str, list[_Read]] = {}
    for read in reads:
        grouped.setdefault(read.key, []).append(read)
    return tuple(_variable(key, group, given=key in template_params) for key, group in grouped.items())


def _variable(key: str, group: list[_Read], *, given: bool) -> DiscoveredVariable:
    more = len(group) - 1
    return DiscoveredVariable(
        name=key,
        kind=group[0].kind,
        is_required=any(read.required for read in group) and not given,
        expression_source=group[0].source + (f" (+{more} more)" if more else ""),
        default_value=next((read.default for read in group if read.default != NULL), NULL),
        shape=next((shape for shape in ("time", "list", "number") if any(r.shape == shape for r in group)), "scalar"),
        is_escaped=all(read.escaped for read in group),
        keeps_operator=any(read.keeps_operator for read in group),
        reads=len(group),
    )


def _tags(environment: Environment, source: str) -> Iterator[tuple[int, int, str]]:
    """First line, last line and text of every tag; comments and raw blocks are not tags."""
    text, first = "", 0
    for line, token, value in environment.lex(source):
        if token in {"variable_begin", "block_begin"}:
            text, first = value, line
        elif text:
            text += value
            if token in {"variable_end", "block_end"}:
                yield first, line, " ".join(text.split())
                text = ""


def _targets(node: nodes.Node) -> frozenset[str]:
    names = [n.name for n in node.find_all(nodes.Name)]
    if isinstance(node, nodes.Name):
        names.append(node.name)
    return frozenset(names)


def _imported(node: nodes.Node) -> frozenset[str]:
    match node:
        case nodes.Import():
            return frozenset({node.target})
        case nodes.FromImport():
            return frozenset(name if isinstance(name, str) else name[1] for name in node.names)
        case _:
            return frozenset()


def _bare_call(node: nodes.Node) -> nodes.Call | None:
    return node if isinstance(node, nodes.Call) else None


def _constant(node: nodes.Node) -> JsonText | None:
    """A literal's value; arithmetic is not evaluated, because a stranger may write it to cost time or memory."""
    if not all(isinstance(part, _LITERALS) for part in (node, *node.find_all(nodes.Expr))):
        return None
    try:
        value = node.as_const() if isinstance(node, nodes.Expr) else None
        return dump(value)
    except (nodes.Impossible, TypeError):
        return None


def _keyword(node: nodes.Call, name: str) -> JsonText | None:
    return next((_constant(pair.value) for pair in node.kwargs if pair.key == name), None)
