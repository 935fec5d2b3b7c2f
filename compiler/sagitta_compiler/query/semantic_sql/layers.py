"""Ordinary SQL around questions to models: sub-selects, CTEs, unions and joins of them.

Every SELECT that reads a model's table is translated on its own; what stands around it stays SQL, with its column names
resolved, and runs in the warehouse over the answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from sagitta_compiler.diagnostics import CompileError
from sagitta_compiler.query.semantic_sql.additivity import is_additive
from sagitta_compiler.query.semantic_sql.allowed import check_allowed, check_tables
from sagitta_compiler.query.semantic_sql.catalog import SqlCatalog, Table, TableKind, table_named
from sagitta_compiler.query.semantic_sql.clauses import TranslatedSelect
from sagitta_compiler.query.semantic_sql.literals import Values
from sagitta_compiler.query.semantic_sql.names import Names
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.select import translate_select
from sagitta_compiler.query.semantic_sql.statement import Core, SemanticStatement

Source = tuple[str, str] | None
"""The core and the label that an output repeats as it is."""


@dataclass(frozen=True)
class Relation:
    """Something that a FROM names: its columns and where they come from."""

    outputs: tuple[str, ...]
    sources: tuple[Source, ...]


@dataclass
class Layers:
    """Translates the SELECTs of one statement, innermost first."""

    catalog: SqlCatalog
    values: Values
    cores: list[Core] = field(default_factory=list)

    def statement(self, tree: exp.Query) -> SemanticStatement:
        """Returns the translated statement.

        Raises:
            CompileError: it names unknown tables or columns, or means nothing on a model.
        """
        if (single := self._single(tree)) is not None:
            sources = tuple((single.core.alias, s) if s else None for s in single.sources)
            if single.outer is not None:
                check_tables(single.outer, (single.core.alias,))
            return SemanticStatement((single.core,), single.outputs, single.outer, self.values.parameters, sources)
        outer = tree.copy()
        relation = self._query(outer, {})
        check_allowed(outer)
        check_tables(outer, (core.alias for core in self.cores))
        return SemanticStatement(tuple(self.cores), relation.outputs, outer, self.values.parameters, relation.sources)

    def _single(self, tree: exp.Query) -> TranslatedSelect | None:
        """The statement as one question, when it is one SELECT on a table or on plain wrappers of it."""
        flat = unwrapped(tree)
        if not isinstance(flat, exp.Select) or flat.args.get("with_") or flat.args.get("joins"):
            return None
        if flat.args.get("from_") is None and any(True for p in flat.expressions for _ in _outermost_queries(p)):
            return None
        table = self._table_of(flat)
        if table is None:
            return None
        try:
            return self._translate(flat, table)
        except CompileError as error:
            stays_sql = flat is not tree and error.diagnostics[0].code == "AGGREGATION_MISMATCH"
            if not stays_sql:
                raise
            return None

    def _table_of(self, select: exp.Select) -> Table | None:
        source = select.args.get("from_")
        if source is None:
            return self._default_table()
        if not isinstance(source.this, exp.Table):
            return None
        return self._table(source.this)

    def _default_table(self) -> Table:
        schema = self.catalog.default_schema
        if schema is None or self.catalog.model(schema) is None:
            raise self._no_model()
        return self._named(schema, "model")

    def _table(self, node: exp.Table) -> Table:
        """Returns the table that a FROM names: `model`, `m`, `m.table`, `catalog.m.table`.

        The name of the schema itself is its virtual table, also when a data object differs from it in case alone.
        """
        if not isinstance(node.this, exp.Identifier):
            raise refused("UNSUPPORTED_SQL_FEATURE", "Table functions are not possible.")
        catalog, schema, name = node.catalog, node.db, node.name
        if catalog and catalog.casefold() != self.catalog.name.casefold():
            raise refused("UNKNOWN_TABLE", f"There is no catalog {catalog!r}.", f"Use {self.catalog.name!r}.")
        if schema:
            return self._named(schema, name)
        if name == self.catalog.default_schema:
            return self._named(name, "model")
        if self.catalog.default_schema and (found := self._find(self.catalog.default_schema, name)):
            return found
        if self.catalog.model(name) is not None:
            return self._named(name, "model")
        raise self._unknown_table(name)

    def _find(self, schema: str, name: str) -> Table | None:
        found = self.catalog.model(schema)
        return table_named(found[0], found[1], name) if found is not None else None

    def _named(self, schema: str, name: str) -> Table:
        if self.catalog.model(schema) is None:
            raise refused("UNKNOWN_MODEL", f"There is no model {schema!r}.", self._models_hint())
        found = self._find(schema, name)
        if found is None:
            raise self._unknown_table(f"{schema}.{name}")
        return found

    def _unknown_table(self, name: str) -> CompileError:
        if not self.catalog.models:
            return self._no_model()
        if self.catalog.default_schema is None:
            return refused("NO_MODEL_SELECTED", f"There is no table {name!r}.", self._models_hint())
        return refused(
            "RAW_SQL_REJECTED",
            f"There is no table {name!r}: only the tables of models can be queried.",
            f"Query {self.catalog.default_schema}.model.",
        )

    def _no_model(self) -> CompileError:
        code = "NO_MODEL_SELECTED" if self.catalog.models else "NO_MODEL_AVAILABLE"
        return refused(code, "The statement does not say which model it asks.", self._models_hint())

    def _models_hint(self) -> str:
        names = ", ".join(f"{name}.model" for name in list(self.catalog.models)[:5])
        return f"Query {names}." if names else "Load a model first."

    def _translate(self, select: exp.Select, table: Table) -> TranslatedSelect:
        if table.kind is TableKind.METADATA:
            raise refused("UNSUPPORTED_SQL_FEATURE", "Metadata views cannot be combined with a model's data.")
        found = self.catalog.model(table.schema)
        assert found is not None
        source = select.args.get("from_")
        names = Names(found[1], table, source.this.alias_or_name if source is not None else "")
        return translate_select(select, names, self.values, f"core_{len(self.cores) + 1}")

    # layers

    def _query(self, tree: exp.Query, ctes: Mapping[str, Relation]) -> Relation:
        scope = dict(ctes)
        if with_ := tree.args.get("with_"):
            if with_.args.get("recursive"):
                raise refused("UNSUPPORTED_SQL_FEATURE", "Recursive CTEs are not possible.")
            for cte in with_.expressions:
                scope[cte.alias.casefold()] = self._named_relation(cte, scope)
        match tree:
            case exp.SetOperation():
                left = self._query(tree.left, scope)
                right = self._query(tree.right, scope)
                if len(left.outputs) != len(right.outputs):
                    raise refused("SQL_SYNTAX_ERROR", "Both sides of a set operation need as many columns.")
                return Relation(left.outputs, (None,) * len(left.outputs))
            case exp.Subquery():
                return self._query(tree.this, scope)
            case exp.Select():
                return self._select(tree, scope)
            case _:
                raise refused("UNSUPPORTED_SQL_FEATURE", f"{type(tree).__name__} is not possible on a model.")

    def _named_relation(self, cte: exp.CTE, scope: Mapping[str, Relation]) -> Relation:
        relation = self._query(cte.this, scope)
        columns = cte.args["alias"].args.get("columns") or ()
        outputs = tuple(column.name for column in columns) or relation.outputs
        return Relation(outputs, relation.sources)

    def _select(self, select: exp.Select, ctes: Mapping[str, Relation]) -> Relation:
        source, joins = select.args.get("from_"), select.args.get("joins") or []
        if source is not None and not joins and isinstance(source.this, exp.Table) and not _is_cte(source.this, ctes):
            return self._leaf(select)
        relations = {name: relation for node in self._from(select) for name, relation in (self._source(node, ctes),)}
        self._nested(select, ctes)
        _expand_stars(select, relations)
        _resolve(select, relations)
        self._refuse_sums(select, relations)
        self._fill_parameters(select)
        outputs = tuple(_output_name(p) for p in select.expressions)
        return Relation(outputs, tuple(_source_of(p, relations) for p in select.expressions))

    def _leaf(self, select: exp.Select) -> Relation:
        """A SELECT that reads a model: replaced by one that reads its answer."""
        table = self._table_of(select)
        assert table is not None
        translated = self._translate(select, table)
        self.cores.append(translated.core)
        alias = translated.core.alias
        inner = translated.outer or exp.select(*(exp.column(name, quoted=True) for name in translated.outputs)).from_(
            exp.to_identifier(alias)
        )
        with_ = select.args.get("with_")
        select.args.clear()
        for name, value in inner.args.items():
            select.set(name, value)
        if with_ is not None:
            select.set("with_", with_)
        return Relation(translated.outputs, tuple((alias, s) if s else None for s in translated.sources))

    def _from(self, select: exp.Select) -> Iterator[exp.Expr]:
        if source := select.args.get("from_"):
            yield source.this
        for join in select.args.get("joins") or ():
            yield join.this

    def _source(self, node: exp.Expr, ctes: Mapping[str, Relation]) -> tuple[str, Relation]:
        if isinstance(node, exp.Subquery):
            relation = self._query(node.this, ctes)
            columns = node.args["alias"].args.get("columns") if node.args.get("alias") else None
            outputs = tuple(column.name for column in columns or ()) or relation.outputs
            return node.alias_or_name.casefold(), Relation(outputs, relation.sources)
        if isinstance(node, exp.Table) and _is_cte(node, ctes):
            return node.alias_or_name.casefold(), ctes[node.name.casefold()]
        if isinstance(node, exp.Table):
            return self._joined_table(node)
        raise refused("UNSUPPORTED_SQL_FEATURE", f"{node.sql(dialect='duckdb')} cannot be read from.")

    def _joined_table(self, node: exp.Table) -> tuple[str, Relation]:
        """A data object in a join: all its rows, as a sub-select."""
        table, alias = self._table(node), node.alias_or_name
        if table.kind is not TableKind.OBJECT:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                f"{table.schema}.{table.name} cannot be joined: a model already joins all its data objects.",
                "Select the labels that you need from one table.",
            )
        every = exp.select("*").from_(node.copy())
        subquery = exp.Subquery(this=every, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
        node.replace(subquery)
        return alias.casefold(), self._leaf(every)

    def _nested(self, select: exp.Select, ctes: Mapping[str, Relation]) -> None:
        """Translates the sub-selects in the expressions of a SELECT; they cannot refer to it."""
        for name in ("expressions", "where", "having", "group", "order", "qualify"):
            clause = select.args.get(name)
            for part in clause if isinstance(clause, list) else [clause]:
                if isinstance(part, exp.Expr):
                    for query in _outermost_queries(part):
                        self._query(query, ctes)

    def _refuse_sums(self, select: exp.Select, relations: Mapping[str, Relation]) -> None:
        """Adding up values of a measure that do not add up is never what was meant."""
        for total in select.find_all(exp.Sum):
            if not isinstance(total.this, exp.Column) or total.find_ancestor(exp.Select) is not select:
                continue
            source = _source_of(total.this, relations)
            core = next((c for c in self.cores if source and c.alias == source[0]), None)
            if core is None or source is None:
                continue
            name = next((m.name for m in core.query.measures if (m.alias or m.name) == source[1]), None)
            if name is None:
                continue
            measure = core.model.measures.get(name)
            dimensions = [d.name for d in core.query.dimensions if hasattr(d, "name")]
            if measure is None or not is_additive(core.model, measure, dimensions):
                raise refused(
                    "NON_ADDITIVE_AGGREGATION",
                    f"The values of {name!r} do not add up over groups.",
                    f'Select MEASURE("{name}") with the dimensions of the outer SELECT.',
                    measure=name,
                )

    def _fill_parameters(self, select: exp.Select) -> None:
        for node in list(select.find_all(exp.Placeholder)):
            node.replace(exp.convert(self.values.parameter(node, None, None)))


def unwrapped(tree: exp.Query) -> exp.Query:
    """Takes away wrappers that change nothing.

    `SELECT ... FROM (SELECT * FROM t [WHERE ...]) x` and `WITH x AS (SELECT * FROM t) SELECT ... FROM x` read `t`;
    so does a wrapper that lists plain columns, whose names then stand for those.
    """
    flat: exp.Query = tree
    while isinstance(flat, exp.Subquery) and not flat.args.get("with_"):
        flat = flat.this
    while isinstance(flat, exp.Select) and (merged := _merged(flat)) is not None:
        flat = merged
    return flat


def _merged(select: exp.Select) -> exp.Select | None:
    inner = _inner(select)
    if inner is None or not _is_plain(inner):
        return None
    names = _plain_names(inner)
    if names is not None and not _aggregates(select):
        return None  # the wrapper's rows are what is asked for
    source: exp.From = inner.args["from_"].copy()
    if not isinstance(source.this, exp.Table | exp.Subquery):
        return None
    merged: exp.Select = select.copy()
    merged.set("with_", None)
    if names is not None and not _rename(merged, names, _inner_alias(select)):
        return None
    merged.set("from_", source)
    if where := inner.args.get("where"):
        merged = merged.where(where.this.copy(), copy=False)
    _drop_qualifiers(merged, _inner_alias(select))
    return merged


def _aggregates(select: exp.Select) -> bool:
    """Whether a SELECT aggregates the columns of its source, other than by counting its rows."""
    counts_rows = any(isinstance(count.this, exp.Star | exp.Literal) for count in select.find_all(exp.Count))
    return not counts_rows and bool(select.args.get("group") or select.find(exp.AggFunc))


def _inner(select: exp.Select) -> exp.Select | None:
    source, with_ = select.args.get("from_"), select.args.get("with_")
    if source is None or select.args.get("joins"):
        return None
    if isinstance(source.this, exp.Subquery) and with_ is None and isinstance(source.this.this, exp.Select):
        return source.this.this
    if isinstance(source.this, exp.Table) and with_ is not None and len(with_.expressions) == 1:
        cte = with_.expressions[0]
        if not source.this.db and cte.alias.casefold() == source.this.name.casefold():
            return cte.this if isinstance(cte.this, exp.Select) else None
    return None


def _inner_alias(select: exp.Select) -> str:
    return str(select.args["from_"].this.alias_or_name)


_ONLY = frozenset({"expressions", "from_", "where"})


def _is_plain(inner: exp.Select) -> bool:
    """A wrapper: columns or a star from one source, perhaps filtered, nothing else."""
    if any(value for name, value in inner.args.items() if name not in _ONLY and name != "kind"):
        return False
    if inner.args.get("from_") is None:
        return False
    return all(_plain_column(projection) is not None for projection in inner.expressions)


def _plain_column(projection: exp.Expr) -> exp.Expr | None:
    inner = projection.this if isinstance(projection, exp.Alias) else projection
    return inner if isinstance(inner, exp.Column | exp.Star) else None


def _plain_names(inner: exp.Select) -> dict[str, exp.Expr] | None:
    """The names that a wrapper gives to columns; None for a star, which renames nothing."""
    if any(isinstance(p, exp.Star) or (isinstance(p, exp.Column) and p.is_star) for p in inner.expressions):
        return None
    return {p.alias_or_name.casefold(): p.this if isinstance(p, exp.Alias) else p for p in inner.expressions}


def _rename(select: exp.Select, names: Mapping[str, exp.Expr], alias: str) -> bool:
    """Replaces the wrapper's names by the columns that they stand for; False when one is not a column of it."""
    if any(isinstance(p, exp.Star) for p in select.expressions):
        expanded: list[exp.Expr] = []
        for projection in select.expressions:
            if isinstance(projection, exp.Star):
                expanded.extend(exp.column(name.alias_or_name, quoted=True) for name in names.values())
            else:
                expanded.append(projection)
        select.set("expressions", expanded)
    aliases = {p.alias.casefold() for p in select.expressions if isinstance(p, exp.Alias)}
    for projection in list(select.expressions):
        if isinstance(projection, exp.Column):
            projection.replace(exp.alias_(projection.copy(), projection.name, quoted=True))
    for column in list(select.find_all(exp.Column)):
        if column.find_ancestor(exp.Subquery, exp.Exists):
            continue
        found = names.get(column.name.casefold()) if column.table.casefold() in ("", alias.casefold()) else None
        if found is not None:
            column.replace(found.copy())
        elif column.name.casefold() not in aliases:
            return False
    return True


def _drop_qualifiers(select: exp.Select, alias: str) -> None:
    for column in select.find_all(exp.Column):
        if alias and column.table.casefold() == alias.casefold():
            column.set("table", None)


def _is_cte(node: exp.Table, ctes: Mapping[str, Relation]) -> bool:
    return not node.db and node.name.casefold() in ctes


def _outermost_queries(tree: exp.Expr) -> Iterator[exp.Query]:
    for node in list(tree.walk(prune=lambda n: isinstance(n, exp.Query))):
        if isinstance(node, exp.Query):
            yield node


def _expand_stars(select: exp.Select, relations: Mapping[str, Relation]) -> None:
    expanded: list[exp.Expr] = []
    for projection in select.expressions:
        is_qualified = isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star)
        if not isinstance(projection, exp.Star) and not is_qualified:
            expanded.append(projection)
            continue
        for name, relation in relations.items():
            if is_qualified and projection.table.casefold() != name:
                continue
            expanded.extend(exp.column(output, table=name or None, quoted=True) for output in relation.outputs)
    select.set("expressions", expanded)


def _resolve(select: exp.Select, relations: Mapping[str, Relation]) -> None:
    """Gives every column of a SELECT the spelling under which its source has it."""
    aliases = {p.alias.casefold() for p in select.expressions if isinstance(p, exp.Alias)}
    for node in list(select.walk(prune=lambda n: n is not select and isinstance(n, exp.Query))):
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            continue
        spelled = _spelled(node, relations)
        if spelled is not None:
            node.set("this", exp.to_identifier(spelled, quoted=True))
        elif node.name.casefold() not in aliases:
            known = ", ".join(repr(o) for r in relations.values() for o in r.outputs[:10])
            raise refused("UNKNOWN_SELECT_ITEM", f"There is no column {node.sql()}.", f"There are {known}.")


def _spelled(column: exp.Column, relations: Mapping[str, Relation]) -> str | None:
    qualifier = column.table.casefold()
    for name, relation in relations.items():
        if qualifier and qualifier != name:
            continue
        if column.name in relation.outputs:
            return column.name
        found = [output for output in relation.outputs if output.casefold() == column.name.casefold()]
        if found:
            return found[0]
    return None


def _output_name(projection: exp.Expr) -> str:
    if isinstance(projection, exp.Alias | exp.Column):
        return str(projection.alias_or_name)
    return projection.sql(dialect="duckdb")


def _source_of(projection: exp.Expr, relations: Mapping[str, Relation]) -> Source:
    inner = projection.this if isinstance(projection, exp.Alias) else projection
    if not isinstance(inner, exp.Column):
        return None
    for name, relation in relations.items():
        if inner.table and inner.table.casefold() != name:
            continue
        if inner.name in relation.outputs:
            return relation.sources[relation.outputs.index(inner.name)]
    return None
