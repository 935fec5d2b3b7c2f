"""Ordinary SQL around questions to models: sub-selects, CTEs, unions and joins of them.

Every SELECT that reads a model's table is translated on its own; what stands around it stays SQL, with its column names
resolved, and runs in the warehouse over the answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from sagitta_compiler.diagnostics import CompileError
from sagitta_compiler.query.query import DimensionItem
from sagitta_compiler.query.semantic_sql.additivity import is_additive
from sagitta_compiler.query.semantic_sql.allowed import check_allowed, check_tables
from sagitta_compiler.query.semantic_sql.catalog import MODEL_TABLE, SqlCatalog, Table, TableKind
from sagitta_compiler.query.semantic_sql.clauses import TRANSLATED, TranslatedSelect
from sagitta_compiler.query.semantic_sql.literals import Values
from sagitta_compiler.query.semantic_sql.names import Names
from sagitta_compiler.query.semantic_sql.predicates import conjuncts
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.select import translate_select
from sagitta_compiler.query.semantic_sql.statement import CatalogStatement, Core, SemanticStatement
from sagitta_compiler.query.semantic_sql.workspace import written
from sagitta_compiler.query.semantic_sql.wrappers import unwrapped

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

    def statement(self, tree: exp.Query) -> SemanticStatement | CatalogStatement:
        """Returns the translated statement; one that asks no model is answered without a warehouse.

        Raises:
            CompileError: it names unknown tables or columns, or means nothing on a model.
        """
        if (single := self._single(tree)) is not None:
            sources = tuple((single.core.alias, s) if s else None for s in single.sources)
            if single.outer is not None:
                written(single.outer)
                check_tables(single.outer, (single.core.alias,))
            return SemanticStatement((single.core,), single.outputs, single.outer, self.values.parameters, sources)
        outer = tree.copy()
        relation = self._query(outer, {})
        written(outer)
        check_allowed(outer)
        check_tables(outer, (core.alias for core in self.cores))
        if not self.cores:
            return CatalogStatement(outer, (), self.values.parameters)
        return SemanticStatement(tuple(self.cores), relation.outputs, outer, self.values.parameters, relation.sources)

    def _single(self, tree: exp.Query) -> TranslatedSelect | None:
        """The statement as one question, when it is one SELECT on a table or on plain wrappers of it."""
        flat = unwrapped(tree, self._is_measured)
        if not isinstance(flat, exp.Select) or flat.args.get("with_") or flat.args.get("joins"):
            return None
        if any(not in_exists(query) for clause in clauses_of(flat) for query in outermost_queries(clause)):
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

    def _is_measured(self, source: exp.Table, column: exp.Column) -> bool:
        """Whether a column of a table of a model has a value per group."""
        table = self._table(source)
        found = self.catalog.model(table.schema)
        item = Names(found[1], table, source.alias_or_name).find(column) if found is not None else None
        return item is not None and item.is_measured

    def _table_of(self, select: exp.Select) -> Table | None:
        source = select.args.get("from_")
        if source is None:
            return self._default_table()
        if not isinstance(source.this, exp.Table):
            return None
        return self._table(source.this)

    def _default_table(self) -> Table:
        schema = self.catalog.default_schema
        found = self.catalog.table(schema, MODEL_TABLE) if schema else None
        if found is None:
            raise self._no_model()
        return found

    def _table(self, node: exp.Table) -> Table:
        """Returns the table that a FROM names: `model`, `m`, `m.table`, `catalog.m.table`."""
        if not isinstance(node.this, exp.Identifier):
            raise refused("UNSUPPORTED_SQL_FEATURE", "Table functions are not possible.")
        catalog, schema, name = node.catalog, node.db, node.name
        if catalog and catalog.casefold() != self.catalog.name.casefold():
            raise refused("UNKNOWN_TABLE", f"There is no catalog {catalog!r}.", f"Use {self.catalog.name!r}.")
        if schema and self.catalog.model(schema) is None:
            raise refused("UNKNOWN_MODEL", f"There is no model {schema!r}.", self._models_hint())
        found = self.catalog.table(schema, name)
        if found is None:
            raise self._unknown_table(f"{schema}.{name}" if schema else name)
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
        return translate_select(select, names, self.values.of(found[1]), f"core_{len(self.cores) + 1}")

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
        reads_table = source is not None and isinstance(source.this, exp.Table) and not _is_cte(source.this, ctes)
        if reads_table and self._narrow_by_joins(select, ctes):
            joins = []
        if reads_table and not joins:
            self._nested(select, ctes)
            return self._leaf(select)
        if (found := self._looked_through(select, ctes)) is not None:
            return found
        relations = {name: relation for node in self._from(select) for name, relation in (self._source(node, ctes),)}
        self._nested(select, ctes)
        _expand_stars(select, relations)
        _resolve(select, relations)
        self._refuse_sums(select, relations)
        self._fill_parameters(select)
        outputs = tuple(_output_name(p) for p in select.expressions)
        return Relation(outputs, tuple(_source_of(p, relations) for p in select.expressions))

    def _looked_through(self, select: exp.Select, ctes: Mapping[str, Relation]) -> Relation | None:
        """A SELECT inside a statement that aggregates a plain wrapper of a table reads the table itself."""
        flat = unwrapped(select, self._is_measured)
        source = flat.args.get("from_")
        if flat is select or not isinstance(flat, exp.Select) or not isinstance(source, exp.From):
            return None
        if not isinstance(source.this, exp.Table) or _is_cte(source.this, ctes) or flat.args.get("joins"):
            return None
        before = len(self.cores)
        try:
            self._nested(flat, ctes)
            relation = self._leaf(flat)
        except CompileError as error:
            del self.cores[before:]
            if error.diagnostics[0].code != "AGGREGATION_MISMATCH":
                raise
            return None
        with_ = select.args.get("with_")
        select.args.clear()
        for name, value in flat.args.items():
            select.set(name, value)
        if with_ is not None:
            select.set("with_", with_)
        return relation

    def _narrow_by_joins(self, select: exp.Select, ctes: Mapping[str, Relation]) -> bool:
        """Reads joins of a model's table to grouped sub-selects as conditions; False when there is any other join.

        `FROM t JOIN (SELECT a AS b, ... GROUP BY a ... LIMIT 5) x ON t.a = x.b` keeps the rows of the five: that is
        how tools limit a chart to its largest series.
        """
        joins = select.args.get("joins") or []
        if not joins or self._table(select.args["from_"].this).kind is TableKind.OBJECT:
            return False
        for join in joins:
            select.where(self._narrowing(join, ctes), copy=False)
        select.set("joins", None)
        return True

    def _narrowing(self, join: exp.Join, ctes: Mapping[str, Relation]) -> exp.Expr:
        if not isinstance(join.this, exp.Subquery) or join.side or join.kind not in ("", "INNER"):
            raise _not_joined(join)
        alias, relation = self._source(join.this, ctes)
        pairs = [_joined_columns(part, alias, relation) for part in conjuncts(join.args.get("on"))]
        own, theirs = [pair[0] for pair in pairs if pair], [pair[1] for pair in pairs if pair]
        if not pairs or None in pairs or not self._is_key(theirs, relation):
            raise _not_joined(join)
        join.this.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
        rows = exp.select(*(exp.column(name, table=alias, quoted=True) for name in theirs)).from_(join.this.copy())
        found = exp.Subquery(this=rows)
        found.meta[TRANSLATED] = True
        return exp.In(this=own[0] if len(own) == 1 else exp.Tuple(expressions=own), query=found)

    def _is_key(self, outputs: list[str], relation: Relation) -> bool:
        """Whether no two rows are equal in these columns: they are all the dimensions of one question's answer."""
        sources = [relation.sources[relation.outputs.index(name)] for name in outputs]
        found = [source for source in sources if source is not None]
        core = next((core for core in self.cores if found and core.alias == found[0][0]), None)
        if core is None or len(found) != len(sources) or any(source[0] != core.alias for source in found):
            return False
        query = core.query
        plain = not query.fields and query.grouping is None
        labels = {d.alias or d.name for d in query.dimensions if isinstance(d, DimensionItem)}
        return plain and len(labels) == len(query.dimensions) and labels <= {source[1] for source in found}

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
        """Translates the sub-selects in the expressions of a SELECT; they cannot refer to it.

        EXISTS on a data object is not one: it is a filter of the question.
        """
        source = select.args.get("from_")
        reads_model = source is not None and isinstance(source.this, exp.Table) and not _is_cte(source.this, ctes)
        for clause in clauses_of(select):
            for query in outermost_queries(clause):
                if query.meta.get(TRANSLATED) or (reads_model and in_exists(query)):
                    continue
                self._query(query, ctes)
                query.meta[TRANSLATED] = True

    def _refuse_sums(self, select: exp.Select, relations: Mapping[str, Relation]) -> None:
        """Adding up values of a measure that do not add up is never what was meant."""
        for total in select.find_all(exp.Sum):
            column = _only_column(total)
            if column is None or total.find_ancestor(exp.Select) is not select:
                continue
            source = _source_of(column, relations)
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


def _is_cte(node: exp.Table, ctes: Mapping[str, Relation]) -> bool:
    return not node.db and node.name.casefold() in ctes


def clauses_of(select: exp.Select) -> Iterator[exp.Expr]:
    """Yields the parts of a SELECT in which expressions stand."""
    for name in ("expressions", "where", "having", "group", "order", "qualify"):
        clause = select.args.get(name)
        for part in clause if isinstance(clause, list) else [clause]:
            if isinstance(part, exp.Expr):
                yield part


def in_exists(query: exp.Expr) -> bool:
    """Whether a sub-select is the one of an EXISTS in WHERE."""
    return query.find_ancestor(exp.Exists) is not None and query.find_ancestor(exp.Where) is not None


def _only_column(total: exp.Sum) -> exp.Column | None:
    """The one column that a SUM adds up; None where CASE or a second column decides what is added."""
    if total.find(exp.Case, exp.If) is not None:
        return None
    columns = {column.sql(): column for column in total.find_all(exp.Column)}
    return next(iter(columns.values())) if len(columns) == 1 else None


def _joined_columns(part: exp.Expr, alias: str, relation: Relation) -> tuple[exp.Expr, str] | None:
    """The model's column and the sub-select's column of an equality in ON."""
    if not isinstance(part, exp.EQ) or not isinstance(part.left, exp.Column) or not isinstance(part.right, exp.Column):
        return None
    for own, other in ((part.left, part.right), (part.right, part.left)):
        name = _spelled(other, {alias: relation})
        is_other = other.table.casefold() == alias or (not other.table and _spelled(own, {alias: relation}) is None)
        if name is not None and is_other and own.table.casefold() != alias:
            return own.copy(), name
    return None


def _not_joined(join: exp.Join) -> CompileError:
    return refused(
        "UNSUPPORTED_SQL_FEATURE",
        f"{join.this.alias_or_name!r} cannot be joined: a model already joins all its data objects.",
        "Select the labels that you need from one table. Only an inner join to all groups of a sub-select narrows.",
    )


def outermost_queries(tree: exp.Expr) -> Iterator[exp.Query]:
    """Yields the sub-selects of a tree that lie in no other one."""
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
        star = projection.this if is_qualified else projection
        if star.args.get("replace") or star.args.get("rename"):
            raise refused("UNSUPPORTED_SQL_FEATURE", "A star can leave columns out, but not replace or rename them.")
        left_out = {column.name.casefold() for column in star.args.get("except_") or ()}
        for name, relation in relations.items():
            if is_qualified and projection.table.casefold() != name:
                continue
            shown = [output for output in relation.outputs if output.casefold() not in left_out]
            expanded.extend(exp.column(output, table=name or None, quoted=True) for output in shown)
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
