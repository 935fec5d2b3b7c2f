"""Statements about the catalog and the connection, answered from the models alone."""

from __future__ import annotations

from sqlglot import exp

from sagitta_compiler.query.semantic_sql.allowed import check_allowed
from sagitta_compiler.query.semantic_sql.catalog import SqlCatalog, TableKind, table_named
from sagitta_compiler.query.semantic_sql.literals import Values
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.statement import Acknowledgement, CatalogStatement, Translation

PRODUCT = "Sagitta"
INFORMATION_SCHEMA = frozenset({"schemata", "tables", "columns", "views", "table_constraints", "key_column_usage"})
_WRITES = (exp.DML, exp.DDL, exp.Drop, exp.Alter, exp.TruncateTable, exp.Copy, exp.Merge, exp.Attach, exp.Detach)


def translate_command(tree: exp.Expr, catalog: SqlCatalog) -> Translation | None:
    """Returns the answer to a statement that is not a query, or None for a query."""
    match tree:
        case exp.Use():
            name = tree.this.name if isinstance(tree.this, exp.Expr) else str(tree.this)
            if catalog.model(name) is None and name.casefold() != catalog.name.casefold():
                raise refused("UNKNOWN_MODEL", f"There is no model {name!r}.")
            return Acknowledgement("USE", use_schema=name if catalog.model(name) else None)
        case exp.Set():
            return Acknowledgement("SET", settings=tuple(_settings(tree)))
        case exp.Transaction() | exp.Commit() | exp.Rollback():
            return Acknowledgement(type(tree).__name__.upper())
        case exp.Show():
            return _show(str(tree.name or tree.this), catalog)
        case exp.Describe():
            return _describe(tree, catalog)
        case exp.Query():
            return None
        case exp.Command() if str(tree.this).upper() in ("SHOW", "DESCRIBE", "DESC"):
            return _show(_text(tree.expression), catalog)
        case exp.Command() if str(tree.this).upper() in ("RESET", "DISCARD", "SET", "SAVEPOINT", "RELEASE"):
            return Acknowledgement(str(tree.this).upper())
        case _ if isinstance(tree, _WRITES):
            raise refused(
                "WRITE_OPERATION_REJECTED", "Models are read-only.", "Change the data in the warehouse itself."
            )
        case _:
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{tree.sql()[:60]} is not a query.", "Send a SELECT.")


def _text(node: exp.Expr | str | None) -> str:
    return node.name if isinstance(node, exp.Expr) else str(node or "")


def _settings(tree: exp.Set) -> list[tuple[str, str]]:
    found = []
    for item in tree.expressions:
        assignment = item.this if isinstance(item, exp.SetItem) else item
        if isinstance(assignment, exp.EQ):
            found.append((assignment.left.name.lower(), assignment.right.name))
    return found


def _show(what: str, catalog: SqlCatalog) -> CatalogStatement:
    match what.strip().upper():
        case "TABLES" | "ALL TABLES":
            return _select(
                exp.select("table_name").from_("information_schema.tables").where(_in_schema(catalog)), catalog
            )
        case "SCHEMAS" | "DATABASES":
            return _select(exp.select("schema_name").from_("information_schema.schemata"), catalog)
        case other:
            empty = exp.select(exp.alias_(exp.cast(exp.Null(), "text"), other.lower() or "value", quoted=True))
            return CatalogStatement(empty.where("1 = 0"), ())


def _in_schema(catalog: SqlCatalog) -> exp.Expr:
    if catalog.default_schema is None:
        return exp.true()
    return exp.column("table_schema").eq(exp.Literal.string(catalog.default_schema))


def _describe(tree: exp.Describe, catalog: SqlCatalog) -> CatalogStatement:
    table = tree.this
    if not isinstance(table, exp.Table):
        raise refused("UNSUPPORTED_SQL_FEATURE", "DESCRIBE takes a table.")
    known = catalog.table(table.db, table.name)
    if known is None:
        raise refused("UNKNOWN_TABLE", f"There is no table {table.sql()}.")
    query = (
        exp.select("column_name", "data_type", "is_nullable")
        .from_("information_schema.columns")
        .where(exp.column("table_schema").eq(exp.Literal.string(known.schema)))
        .where(exp.column("table_name").eq(exp.Literal.string(known.name)))
        .order_by("ordinal_position")
    )
    return _select(query, catalog)


def _select(query: exp.Select, catalog: SqlCatalog) -> CatalogStatement:
    found = catalog_statement(query, catalog, Values())
    assert found is not None
    return found


def catalog_statement(tree: exp.Query, catalog: SqlCatalog, values: Values) -> CatalogStatement | None:
    """Returns the statement over catalog relations, or None when it reads a model (or nothing that is known)."""
    names = _own_tables(tree)
    relations = [_relation(table, catalog) for table in names]
    if not any(relations) and (names or _names_columns(tree)):
        return None
    copied = tree.copy()
    found: dict[str, str] = {}
    for table in _own_tables(copied):
        relation = _relation(table, catalog)
        if relation is None:
            raise refused("UNSUPPORTED_SQL_FEATURE", "The catalog cannot be combined with a model's data.")
        name = f"catalog_{len(found)}"
        found[name] = relation
        alias = table.alias_or_name
        table.replace(exp.alias_(exp.to_table(name), alias, table=True, quoted=True))
    copied = _with_facts(copied, catalog, values)
    check_allowed(copied)
    return CatalogStatement(copied, tuple(found.items()), values.parameters)


def _own_tables(tree: exp.Query) -> list[exp.Table]:
    ctes = {cte.alias.casefold() for cte in tree.find_all(exp.CTE)}
    return [t for t in tree.find_all(exp.Table) if t.db or t.name.casefold() not in ctes]


def _names_columns(tree: exp.Query) -> bool:
    return any(_fact(column.name) is None or column.table for column in tree.find_all(exp.Column)) or any(
        True for _ in tree.find_all(exp.Star)
    )


def _relation(table: exp.Table, catalog: SqlCatalog) -> str | None:
    schema, name = table.db.casefold(), table.name.casefold()
    if schema == "information_schema":
        if name not in INFORMATION_SCHEMA:
            raise refused("UNKNOWN_TABLE", f"There is no table information_schema.{name}.")
        return f"information_schema.{name}"
    if schema == "pg_catalog" or name.startswith("pg_"):
        raise refused("UNKNOWN_TABLE", f"There is no table {name!r}.", "Use information_schema.")
    found = catalog.model(table.db or catalog.default_schema or "")
    known = table_named(found[0], found[1], table.name) if found else None
    return f"{found[0]}.{known.name}" if found and known and known.kind is TableKind.METADATA else None


def _fact(name: str) -> str | None:
    """The session fact that a bare word means."""
    folded = name.casefold()
    known = ("current_catalog", "current_database", "current_schema", "current_user", "session_user", "user")
    return folded if folded in known else None


def _with_facts(tree: exp.Query, catalog: SqlCatalog, values: Values) -> exp.Query:
    """Writes what the server knows about itself in place of the functions that ask for it."""
    facts: dict[str, str | None] = {
        "current_catalog": catalog.name,
        "current_database": catalog.name,
        "database": catalog.name,
        "current_schema": catalog.default_schema,
        "schema": catalog.default_schema,
        "current_user": None,
        "session_user": None,
        "user": None,
        "version": PRODUCT,
    }

    def written(node: exp.Expr) -> exp.Expr:
        name = _called(node)
        if name in facts:
            value = facts[name]
            literal = exp.Literal.string(value) if value is not None else exp.Null()
            return exp.alias_(literal, name) if isinstance(node.parent, exp.Select) else literal
        if isinstance(node, exp.Placeholder):
            return exp.convert(values.parameter(node, None, None))
        return node

    result = tree.transform(written)
    assert isinstance(result, exp.Query)
    return result


def _called(node: exp.Expr) -> str | None:
    match node:
        case exp.CurrentVersion():
            return "version"
        case exp.CurrentDatabase() | exp.CurrentCatalog():
            return "current_database"
        case exp.CurrentSchema():
            return "current_schema"
        case exp.CurrentUser() | exp.SessionUser():
            return "current_user"
        case exp.Anonymous():
            return str(node.this).lower()
        case exp.Column() if not node.table:
            return _fact(node.name)
        case _:
            return None
