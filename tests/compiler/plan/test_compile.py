"""What the compiler promises beside the right rows: plain SQL, explanations, every mistake in one run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest
import yaml
from sagitta_compiler import CompileContext, CompiledQuery, CompileError, load_model, read_query
from sagitta_compiler.compile import compile_query
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.types import FilterOperator
from sagitta_compiler.query.query import Filter

SHOP = Path(__file__).parents[2] / "golden" / "shop"
BASE = yaml.safe_load((SHOP / "model.yaml").read_text(encoding="utf-8"))


def model_with(**sections: dict[str, Any]) -> ResolvedModel:
    whole = {key: dict(value) if isinstance(value, dict) else value for key, value in BASE.items()}
    for section, names in sections.items():
        whole[section] = {**whole.get(section, {}), **names} if isinstance(names, dict) else names
    loaded = load_model(whole)
    assert loaded.model is not None, loaded.diagnostics
    return loaded.model


def ask(model: ResolvedModel, query: dict[str, Any], context: CompileContext | None = None) -> CompiledQuery:
    bound, diagnostics = read_query(query)
    assert bound is not None, diagnostics
    return compile_query(model, bound, context)


@pytest.fixture(scope="module")
def shop() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute((SHOP / "data.sql").read_text(encoding="utf-8"))
    return connection


def select(*dimensions: Any, measures: tuple[Any, ...] = (), **rest: Any) -> dict[str, Any]:
    return {"select": {"dimensions": list(dimensions), "measures": list(measures)}, **rest}


def codes(error: pytest.ExceptionInfo[CompileError]) -> list[str]:
    return [diagnostic.code for diagnostic in error.value.diagnostics if diagnostic.is_error]


class TestSql:
    def test_one_fact_is_the_select_a_person_would_write(self) -> None:
        answer = ask(model_with(), select("Country", measures=("Orders N",)))
        assert answer.sql == (
            'SELECT "Customers"."country" AS "Country", COUNT("Orders"."id") AS "Orders N" '
            'FROM "main"."orders" AS "Orders" '
            'LEFT JOIN "main"."customers" AS "Customers" ON "Orders"."customer_id" = "Customers"."id" '
            'GROUP BY "Customers"."country"'
        )

    def test_a_join_that_nothing_needs_is_not_there(self) -> None:
        assert "JOIN" not in ask(model_with(), select("Status", measures=("Revenue",))).sql

    def test_a_quote_in_a_value_stays_a_value(self, shop: duckdb.DuckDBPyConnection) -> None:
        where = [{"field": "Customer", "op": "=", "value": "x' OR '1'='1"}]
        answer = ask(model_with(), select("Customer", measures=("Revenue",), where=where))
        assert shop.sql(answer.sql).fetchall() == []

    @pytest.mark.parametrize("text", ["%", "_", "!", "100%!", "a{}b"])
    def test_wildcards_and_the_escape_are_literal(self, shop: duckdb.DuckDBPyConnection, text: str) -> None:
        for operator in ("contains", "starts_with", "ends_with"):
            where = [{"field": "Customer", "op": operator, "value": text}]
            assert shop.sql(ask(model_with(), select("Customer", where=where)).sql).fetchall() == []


class TestExplain:
    def test_one_leg_is_a_star(self) -> None:
        explain = ask(model_with(), select("Country", measures=("Revenue",))).explain
        assert (explain.planner, explain.base_object) == ("Star Schema", "Orders")
        assert [(step.from_object, step.to_object) for step in explain.joins] == [("Orders", "Customers")]
        assert explain.joins[0].columns == (("Cust", "Id"),)
        assert explain.joins[0].codes == (("customer_id", "id"),)

    def test_facts_without_a_common_root_are_legs(self) -> None:
        answer = ask(model_with(), select("Country", measures=("Revenue", "Returned")))
        assert answer.explain.planner == "CFL"
        assert [leg.home for leg in answer.explain.legs] == ["Orders", "Returns"]
        assert answer.fact_tables == ("Orders", "Returns")

    def test_every_table_that_is_read_is_named_also_in_a_semi_join(self) -> None:
        where = [{"field": "Orders.Status", "op": "=", "value": "paid"}]
        answer = ask(model_with(), select("Country", measures=("Credit",), where=where))
        assert answer.physical_tables == ("main.customers", "main.orders")

    def test_a_shifted_leg_says_so(self) -> None:
        legs = ask(model_with(), select("Order Month", measures=("YoY",))).explain.legs
        assert [leg.shift for leg in legs] == [None, "-1 year"]


class TestMistakes:
    def test_one_run_reports_all_of_them(self) -> None:
        query = select("Contry", measures=("Revenu",), where=[{"field": "Nope", "op": "=", "value": 1}])
        with pytest.raises(CompileError) as error:
            ask(model_with(), query)
        assert codes(error) == ["UNKNOWN_DIMENSION", "UNKNOWN_MEASURE", "UNKNOWN_FILTER_FIELD"]
        assert error.value.diagnostics[0].suggestions == ("Country",)

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            (select("Country", where=[{"field": "Revenue", "op": ">", "value": 1}]), "UNKNOWN_FILTER_FIELD"),
            (select("Order Day", where=[{"field": "Order Day", "op": "=", "value": "soon"}]), "INVALID_FILTER_VALUE"),
            (select("Country", measures=("Running",)), "CUMULATIVE_TIME_DIMENSION_NOT_IN_SELECT"),
            (select("Country", measures=("YoY",)), "POP_TIME_DIMENSION_NOT_IN_SELECT"),
            (select("Return Day", measures=("Revenue",)), "UNREACHABLE_REQUIRED_OBJECT"),
            (select("Status:month", measures=("Revenue",)), "INVALID_TIME_GRAIN"),
            (select("Order Day:fortnight"), "INVALID_TIME_GRAIN"),
            (select("Country", orderBy=[{"field": "3"}]), "INVALID_ORDER_BY_POSITION"),
            (select("Country", {"dimension": "Customer", "as": "Country"}), "DUPLICATE_OUTPUT_LABEL"),
            (
                select("Country", usePathNames=[{"source": "Orders", "target": "Customers", "pathName": "x"}]),
                "UNKNOWN_PATH_NAME",
            ),
        ],
    )
    def test_each_has_its_code(self, query: dict[str, Any], code: str) -> None:
        with pytest.raises(CompileError) as error:
            ask(model_with(), query)
        assert codes(error) == [code]

    def test_two_equally_short_paths_are_refused(self) -> None:
        joins = [
            {"joinType": "many-to-one", "joinTo": "Customers", "columnsFrom": [column], "columnsTo": ["Id"], **rest}
            for column, rest in (("Cust", {}), ("Ship", {"secondary": True, "pathName": "ship_to"}))
        ]
        orders = {**BASE["dataObjects"]["Orders"], "joins": joins}
        model = model_with(dataObjects={**BASE["dataObjects"], "Orders": orders})
        paths = [{"source": "Orders", "target": "Customers", "pathName": "ship_to"}]
        answer = ask(model, select("Country", measures=("Revenue",), usePathNames=paths))
        assert '"ship_to_id" = "Customers"."id"' in answer.sql

    def test_an_unknown_dialect_names_the_known_ones(self) -> None:
        with pytest.raises(CompileError, match="UNSUPPORTED_DIALECT") as error:
            ask(model_with(), select("Country"), CompileContext(dialect="oracle8"))
        assert "duckdb" in str(error.value.diagnostics[0].hint)

    def test_a_static_filter_that_cannot_be_applied_is_an_error(self) -> None:
        model = model_with(filters=[{"dataObject": "Returns", "column": "Id", "operator": "gt", "value": 0}])
        with pytest.raises(CompileError) as error:
            ask(model, select("Status", measures=("Revenue",)))
        assert codes(error) == ["UNREACHABLE_REQUIRED_OBJECT"]


class TestExtensions:
    def test_a_query_time_measure_is_narrowed_alone(self, shop: duckdb.DuckDBPyConnection) -> None:
        narrowed = {"measure": "Revenue", "filter": [{"field": "Country", "op": "=", "value": "US"}], "as": "US"}
        answer = ask(model_with(), select(measures=("Revenue", narrowed)))
        assert [[float(cell) for cell in row] for row in shop.sql(answer.sql).fetchall()] == [[380.0, 150.0]]

    def test_a_measure_of_a_measure(self, shop: duckdb.DuckDBPyConnection) -> None:
        per_customer = {"aggregation": "avg", "expression": "{[Revenue]}", "over": ["Customer"]}
        model = model_with(measures={"Revenue per Customer": per_customer})
        rows = shop.sql(ask(model, select(measures=("Revenue per Customer",))).sql).fetchall()
        assert float(rows[0][0]) == pytest.approx((150 + 200 + 30) / 3, abs=0.01)

    def test_a_metric_over_running_and_compared_metrics(self, shop: duckdb.DuckDBPyConnection) -> None:
        model = model_with(metrics={"Mixed": {"expression": "{[Running]} - COALESCE({[YoY]}, 0) + {[Rank]}"}})
        query = select("Order Month", measures=("Mixed",), having=[{"field": "Mixed", "op": ">", "value": 375}])
        rows = shop.sql(ask(model, query).sql).fetchall()
        assert {str(month): float(value) for month, value in rows} == {"2025-01-01": 412.0, "2025-02-01": 404.0}

    def test_a_row_filtered_by_an_aggregate(self, shop: duckdb.DuckDBPyConnection) -> None:
        tier = {"expression": "CASE WHEN {[Revenue]} > 160 THEN 'gold' ELSE 'basic' END", "abstractType": "string"}
        customers = BASE["dataObjects"]["Customers"]
        customers = {**customers, "columns": {**customers["columns"], "Tier": tier}}
        model = model_with(
            dataObjects={**BASE["dataObjects"], "Customers": customers},
            dimensions={"Tier": {"dataObject": "Customers", "column": "Tier", "resultType": "string"}},
        )
        rows = shop.sql(ask(model, select("Tier", measures=("Credit",))).sql).fetchall()
        assert sorted((tier, float(credit)) for tier, credit in rows) == [("basic", 1700.0), ("gold", 500.0)]

    def test_a_derived_object_is_aggregated_again(self, shop: duckdb.DuckDBPyConnection) -> None:
        monthly = {
            "query": {"select": {"dimensions": ["Customer", "Order Month"], "measures": ["Revenue"]}},
            "columns": {
                "When": {"code": "Order Month", "abstractType": "date"},
                "Spend": {"code": "Revenue", "abstractType": "float"},
            },
        }
        model = model_with(
            dataObjects={**BASE["dataObjects"], "Monthly": monthly},
            measures={"Best": {"aggregation": "max", "columns": [{"dataObject": "Monthly", "column": "Spend"}]}},
        )
        answer = ask(model, select(measures=("Best",)))
        assert [float(row[0]) for row in shop.sql(answer.sql).fetchall()] == [120.0]
        assert answer.physical_tables == ("main.customers", "main.orders")

    def test_a_union_tells_its_members_apart(self, shop: duckdb.DuckDBPyConnection) -> None:
        members = [
            {"dataObject": name, "value": name.lower(), "columns": {"Amount": "Amount"}}
            for name in ("Orders", "Returns")
        ]
        moves = {
            "unionOf": members,
            "discriminator": "Kind",
            "columns": {
                "Kind": {"code": "kind", "abstractType": "string"},
                "Amount": {"code": "amount", "abstractType": "float"},
            },
        }
        model = model_with(
            dataObjects={**BASE["dataObjects"], "Moves": moves},
            dimensions={"Kind": {"dataObject": "Moves", "column": "Kind", "resultType": "string"}},
            measures={"Moved": {"aggregation": "sum", "columns": [{"dataObject": "Moves", "column": "Amount"}]}},
        )
        rows = shop.sql(ask(model, select("Kind", measures=("Moved",))).sql).fetchall()
        assert sorted((kind, float(amount)) for kind, amount in rows) == [("orders", 380.0), ("returns", 15.0)]

    def test_facts_that_share_a_key_alone_are_brought_to_its_grain(self, shop: duckdb.DuckDBPyConnection) -> None:
        net = {"expression": "{[Orders].[Amount]} - {[Returns].[Amount]}", "aggregation": "sum"}
        answer = ask(model_with(measures={"Net": net}), select("Country", measures=("Net",)))
        rows = dict(shop.sql(answer.sql).fetchall())
        assert float(rows["US"]) == 140.0
        assert rows["DE"] is None
        assert [warning.code for warning in answer.warnings] == ["CONFORMED_GRAIN_ASSUMED"]

    def test_a_filter_on_a_conformed_fact_is_refused(self) -> None:
        net = {"expression": "{[Orders].[Amount]} - {[Returns].[Amount]}", "aggregation": "sum"}
        where = [{"field": "Status", "op": "=", "value": "paid"}]
        with pytest.raises(CompileError) as error:
            ask(model_with(measures={"Net": net}), select("Country", measures=("Net",), where=where))
        assert codes(error) == ["FILTER_ON_CONFORMED_OBJECT"]

    def test_nested_arrays_are_rows(self) -> None:
        connection = duckdb.connect()
        connection.execute(
            "CREATE TABLE baskets AS SELECT 1 AS id, [{'sku': 'a', 'n': 2}, {'sku': 'b', 'n': 3}] AS items "
            "UNION ALL SELECT 2, [] UNION ALL SELECT 3, [{'sku': 'a', 'n': 5}]"
        )
        columns = {
            "Id": {"code": "id", "abstractType": "int", "primaryKey": True},
            "Items": {"code": "items", "abstractType": "json"},
        }
        nested = {
            "nestedIn": {"dataObject": "Baskets", "column": "Items"},
            "columns": {"Sku": {"code": "sku", "abstractType": "string"}, "N": {"code": "n", "abstractType": "int"}},
        }
        pieces = {"aggregation": "sum", "columns": [{"dataObject": "Items", "column": "N"}], "resultType": "int"}
        model = load_model(
            {
                "version": 1.0,
                "dataObjects": {"Baskets": {"code": "baskets", "schema": "main", "columns": columns}, "Items": nested},
                "dimensions": {"Sku": {"dataObject": "Items", "column": "Sku", "resultType": "string"}},
                "measures": {"Pieces": pieces},
            }
        ).model
        assert model is not None
        answer = ask(model, select("Sku", measures=("Pieces", "Baskets Count")))
        assert set(connection.sql(answer.sql).fetchall()) == {("a", 7, 2), ("b", 3, 1), (None, None, 1)}
        where = [{"field": "Sku", "op": "=", "value": "b"}]
        assert connection.sql(ask(model, select(measures=("Baskets Count",), where=where)).sql).fetchall() == [(1,)]
        assert answer.physical_tables == ("main.baskets",)


class TestHaving:
    def test_a_member_may_be_asked_for_related_rows(self, shop: duckdb.DuckDBPyConnection) -> None:
        sub = {"dataObject": "Returns", "filter": [{"field": "Amount", "op": ">", "value": 6}]}
        found = {}
        for operator in ("exists", "nonexists"):
            having = [{"field": "Customer", "op": operator, "subquery": sub}]
            answer = ask(model_with(), select("Customer", measures=("Revenue", "Rank"), having=having))
            found[operator] = {row[0]: (float(row[1]), row[2]) for row in shop.sql(answer.sql).fetchall()}
        assert found == {"exists": {"Ann": (150.0, 2)}, "nonexists": {"Bob": (200.0, 1), None: (30.0, 3)}}

    def test_related_rows_may_be_asked_for_at_every_level(self, shop: duckdb.DuckDBPyConnection) -> None:
        having = [{"field": "Customer", "op": "exists", "subquery": {"dataObject": "Returns"}}]
        query = select("Customer", measures=("Revenue",), having=having, grouping="rollup")
        rows = shop.sql(ask(model_with(), query).sql).fetchall()
        assert [(row[0], float(row[1]), row[2]) for row in rows] == [("Ann", 150.0, 0)]

    def test_windows_are_filtered_after_they_are_computed(self, shop: duckdb.DuckDBPyConnection) -> None:
        having = [{"field": "Rank", "op": ">=", "value": 2}, {"field": "Country", "op": "set"}]
        answer = ask(model_with(), select("Country", measures=("Rank",), having=having))
        assert shop.sql(answer.sql).fetchall() == [("US", 2)]


class TestCaller:
    def test_a_row_policy_binds_every_leg_that_sees_its_object(self, shop: duckdb.DuckDBPyConnection) -> None:
        policy = {"Customers": (Filter("Country", FilterOperator.EQUALS, ("US",)),)}
        query = select("Country", measures=("Revenue", "Credit", "Grand Revenue"))
        rows = shop.sql(ask(model_with(), query, CompileContext(row_policies=policy)).sql).fetchall()
        assert [[row[0], *map(float, row[1:])] for row in rows] == [["US", 150.0, 1700.0, 150.0]]

    def test_a_row_policy_holds_inside_a_semi_join(self, shop: duckdb.DuckDBPyConnection) -> None:
        policy = {"Orders": (Filter("Status", FilterOperator.EQUALS, ("open",)),)}
        where = [{"field": "Orders.Amount", "op": ">", "value": 0}]
        query = select("Customer", where=where)
        rows = shop.sql(ask(model_with(), query, CompileContext(row_policies=policy)).sql).fetchall()
        assert rows == [("Bob",)]

    def test_relative_dates_are_bound_to_the_clock_given(self, shop: duckdb.DuckDBPyConnection) -> None:
        where = [{"field": "Order Day", "op": "relative", "value": {"unit": "month", "count": 1}}]
        now = dt.datetime(2025, 2, 10, tzinfo=dt.UTC)
        query = select(measures=("Revenue",), where=where)
        rows = shop.sql(ask(model_with(), query, CompileContext(now=now)).sql).fetchall()
        assert [float(row[0]) for row in rows] == [150.0]
        assert "CURRENT_DATE" in ask(model_with(), query).sql

    @pytest.mark.parametrize(("zone", "today"), [("UTC", "2025-02-09"), ("Pacific/Kiritimati", "2025-02-10")])
    def test_the_models_zone_decides_what_day_it_is(self, zone: str, today: str) -> None:
        where = [{"field": "Order Day", "op": "relative", "value": {"unit": "day", "count": 1, "direction": "future"}}]
        now = dt.datetime(2025, 2, 9, 10, 1, tzinfo=dt.UTC)
        model = model_with(settings={"defaultTimezone": zone})
        sql = ask(model, select(measures=("Revenue",), where=where), CompileContext(now=now)).sql
        assert f">= CAST('{today}' AS DATE)" in sql


class TestTime:
    """Zones, weeks that start on Sunday and fiscal years are settings of the model."""

    MODEL: ClassVar[dict[str, Any]] = {
        "version": 1.0,
        "settings": {
            "queryTimezone": "Europe/Berlin",
            "defaultTimezone": "UTC",
            "fiscalYearStart": 4,
            "weekStart": "sunday",
        },
        "dataObjects": {
            "Events": {
                "code": "events",
                "schema": "main",
                "columns": {
                    "At": {"code": "happened", "abstractType": "timestamp"},
                    "Seen": {"code": "seen", "abstractType": "timestamp_tz"},
                    "Day": {"code": "day", "abstractType": "date"},
                },
            }
        },
        "dimensions": {
            "At": {"dataObject": "Events", "column": "At", "resultType": "timestamp"},
            "Seen": {"dataObject": "Events", "column": "Seen", "resultType": "timestamp_tz"},
            "Day": {"dataObject": "Events", "column": "Day", "resultType": "date"},
        },
    }

    @pytest.mark.parametrize(
        ("dimension", "wanted"),
        [
            ("At:day", dt.datetime(2024, 4, 1)),  # noqa: DTZ001
            ("Seen:day", dt.datetime(2024, 4, 1)),  # noqa: DTZ001
            ("Day:week", dt.date(2024, 3, 31)),
            ("Day:fiscal_year", dt.date(2023, 4, 1)),
            ("Day:fiscal_quarter", dt.date(2024, 1, 1)),
            ("Day:day", dt.date(2024, 3, 31)),
        ],
    )
    def test_a_period_is_that_of_the_model(self, dimension: str, wanted: dt.date) -> None:
        connection = duckdb.connect()
        connection.execute(
            "CREATE TABLE events AS SELECT TIMESTAMP '2024-03-31 22:30:00' AS happened, "
            "TIMESTAMPTZ '2024-03-31 22:30:00+00' AS seen, DATE '2024-03-31' AS day"
        )
        model = load_model(self.MODEL).model
        assert model is not None
        rows = connection.sql(ask(model, select(dimension, measures=("Events Count",))).sql).fetchall()
        assert rows == [(wanted, 1)]


class TestTheLaw:
    """The value of a measure depends on the model, the row and the filters, and on nothing else."""

    @pytest.mark.parametrize("neighbour", ["Revenue", "Returned", "Grand Revenue", "Credit", "Buyers", "Mid", "AOV"])
    def test_neighbours_do_not_matter(self, shop: duckdb.DuckDBPyConnection, neighbour: str) -> None:
        for measure in ("Revenue", "Returned", "Credit", "Country Revenue", "Rank"):
            alone = dict(shop.sql(ask(model_with(), select("Country", measures=(measure,))).sql).fetchall())
            both = ask(model_with(), select("Country", measures=tuple(dict.fromkeys((measure, neighbour)))))
            beside = {row[0]: row[1] for row in shop.sql(both.sql).fetchall()}
            assert all(beside[member] == value for member, value in alone.items() if measure != "Rank")

    def test_a_limit_changes_no_total(self, shop: duckdb.DuckDBPyConnection) -> None:
        answer = ask(model_with(), select("Country", measures=("Share",), limit=1))
        assert float(shop.sql(answer.sql).fetchall()[0][1]) == pytest.approx(200 / 380, abs=1e-6)
