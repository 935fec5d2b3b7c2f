"""SELECT on the rows of data objects: raw fields, with whatever ordinary SQL is written around them."""

from __future__ import annotations

from sqlglot import exp

from sagitta_compiler.diagnostics import CompileError
from sagitta_compiler.query.query import FieldItem, FilterNode, Query
from sagitta_compiler.query.semantic_sql.allowed import check_allowed
from sagitta_compiler.query.semantic_sql.catalog import ColumnKind, TableKind
from sagitta_compiler.query.semantic_sql.clauses import TranslatedSelect, order_item, own_columns, row_count
from sagitta_compiler.query.semantic_sql.literals import Values
from sagitta_compiler.query.semantic_sql.names import Item, Names
from sagitta_compiler.query.semantic_sql.predicates import conjuncts, predicate
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.statement import Core
from sagitta_compiler.query.semantic_sql.workspace import ITEM, readable


class RowsSelect:
    """A Query of fields when that says it all, else the fields that are used and the SELECT around them."""

    def __init__(
        self,
        select: exp.Select,
        projections: list[tuple[str | None, exp.Expr]],
        names: Names,
        values: Values,
        alias: str,
    ) -> None:
        self._select = select
        self._projections = projections
        self._names = names
        self._values = values
        self._alias = alias

    def translate(self) -> TranslatedSelect:
        self._refuse_mixture()
        simple = self._simple()
        return simple if simple is not None else self._wrapped()

    def _refuse_mixture(self) -> None:
        others = [c.meta[ITEM] for c in self._columns() if c.meta[ITEM].kind is not ColumnKind.FIELD]
        if others:
            raise refused(
                "MIXED_RAW_AND_AGGREGATE_MODE",
                f"{others[0].name!r} is a {others[0].kind.value} of the model, the other columns are raw fields.",
                "Select either labels of the model or Object.Column fields.",
            )

    def _columns(self) -> list[exp.Column]:
        found = [column for _, tree in self._projections for column in own_columns(tree)]
        for clause in ("where", "group", "having", "order"):
            if node := self._select.args.get(clause):
                found.extend(own_columns(node))
        return found

    def _simple(self) -> TranslatedSelect | None:
        """The Query that says it all, or None."""
        select = self._select
        if select.args.get("group") or select.args.get("having"):
            return None
        if not all(isinstance(tree, exp.Column) for _, tree in self._projections):
            return None
        outputs = [(alias or self._label(tree.meta[ITEM]), tree.meta[ITEM]) for alias, tree in self._projections]
        labels = {item: name for name, item in outputs}
        keys = list(select.args["order"].expressions) if select.args.get("order") else []
        names = [name for name, _ in outputs]
        if len(set(names)) != len(names) or len(labels) != len(outputs):
            return None
        if any(not isinstance(k.this, exp.Column) or k.this.meta[ITEM] not in labels for k in keys):
            return None
        filters = self._filters()
        if filters is None:
            return None
        where, is_empty = filters
        query = Query(
            fields=tuple(FieldItem(item.object, item.column, name) for name, item in outputs),
            distinct=bool(select.args.get("distinct")),
            where=where,
            order_by=tuple(order_item(key, labels[key.this.meta[ITEM]]) for key in keys),
            limit=0 if is_empty else row_count(select, "limit", self._values),
            offset=row_count(select, "offset", self._values),
        )
        core = Core(self._alias, self._names.table.schema, self._names.model, query, tuple(names))
        return TranslatedSelect(core, tuple(names), tuple(names), None)

    def _filters(self) -> tuple[tuple[FilterNode, ...], bool] | None:
        """WHERE as filters and whether it is never true; None when some part has no filter that says it."""
        where, nodes = self._select.args.get("where"), list[FilterNode]()
        for part in conjuncts(where.this if where is not None else None):
            try:
                found = predicate(part, self._operand, self._values)
            except CompileError:
                return None
            if found is False:
                return (), True
            if found is not True:
                nodes.append(found)
        return tuple(nodes), False

    def _operand(self, tree: exp.Expr) -> Item:
        tree = tree.unnest()
        if not isinstance(tree, exp.Column):
            raise refused("UNSUPPORTED_SQL_FEATURE", f"{readable(tree)} is not a field.")
        item: Item = tree.meta[ITEM]
        return item

    def _label(self, item: Item) -> str:
        return item.column if self._names.table.kind is TableKind.OBJECT else item.name

    def _wrapped(self) -> TranslatedSelect:
        used = list(dict.fromkeys(column.meta[ITEM] for column in self._columns()))
        if not used:
            used = [self._first_field()]
        query = Query(fields=tuple(FieldItem(i.object, i.column, i.name) for i in used))
        core = Core(self._alias, self._names.table.schema, self._names.model, query, tuple(i.name for i in used))
        outer = self._outer()
        check_allowed(outer)
        outputs = tuple(projection.alias for projection in outer.expressions)
        sources = tuple(tree.meta[ITEM].name if isinstance(tree, exp.Column) else None for _, tree in self._projections)
        return TranslatedSelect(core, outputs, sources, outer)

    def _first_field(self) -> Item:
        column = self._names.table.columns[0]
        return self._names.item(exp.column(column.name, table=self._names.table.name, quoted=True))

    def _outer(self) -> exp.Select:
        outer = self._select.copy()
        outer.set(
            "expressions",
            [
                exp.alias_(tree.copy(), alias or self._output_name(tree), quoted=True)
                for alias, tree in self._projections
            ],
        )
        outer.set("from_", exp.From(this=exp.to_table(self._alias)))
        for column in own_columns(outer):
            item: Item = column.meta[ITEM]
            column.replace(exp.column(item.name, quoted=True))
        for node in list(outer.find_all(exp.Placeholder)):
            node.replace(exp.convert(self._values.parameter(node, None, None)))
        return outer

    def _output_name(self, tree: exp.Expr) -> str:
        return self._label(tree.meta[ITEM]) if isinstance(tree, exp.Column) else readable(tree)
