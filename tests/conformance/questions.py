"""Business questions on TPC-H, each asked in three ways that give the same rows in the same order.

As a semantic query, as SQL on the virtual table, and as the SQL that a person would write against the tables.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `query` and `semantic_sql` ask the model, `reference_sql` asks the warehouse."""

    name: str
    query: dict[str, Any]
    semantic_sql: str
    reference_sql: str


def at_least(field: str, value: object) -> dict[str, Any]:
    return {"field": field, "op": "gte", "value": value}


def below(field: str, value: object) -> dict[str, Any]:
    return {"field": field, "op": "lt", "value": value}


def equal(field: str, value: object) -> dict[str, Any]:
    return {"field": field, "op": "equals", "value": value}


def both(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"logic": "and", "filters": list(filters)}


def either(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"logic": "or", "filters": list(filters)}


def by(*fields: str) -> list[dict[str, str]]:
    """The order; a minus before a field means descending."""
    return [{"field": f.lstrip("-"), "direction": "desc" if f.startswith("-") else "asc"} for f in fields]


QUESTIONS = (
    Question(
        name="pricing summary (Q1)",
        query={
            "select": {
                "dimensions": ["Return Flag", "Line Status"],
                "measures": [
                    "Quantity",
                    "Gross Revenue",
                    "Revenue",
                    "Charge",
                    "Average Quantity",
                    "Average Price",
                    "Average Discount",
                    "Line Item Count",
                ],
            },
            "where": [{"field": "Ship Date", "op": "lte", "value": "1998-09-02"}],
            "orderBy": by("Return Flag", "Line Status"),
        },
        semantic_sql="""
            SELECT "Return Flag", "Line Status", "Quantity", "Gross Revenue", "Revenue", "Charge", "Average Quantity",
                   "Average Price", "Average Discount", "Line Item Count"
            FROM tpch WHERE "Ship Date" <= DATE '1998-09-02' ORDER BY 1, 2""",
        reference_sql="""
            SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice),
                   sum(l_extendedprice * (1 - l_discount)), sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)),
                   avg(l_quantity), avg(l_extendedprice), avg(l_discount), count(*)
            FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY
            GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus""",
    ),
    Question(
        name="unshipped orders with most revenue (Q3)",
        query={
            "select": {"dimensions": ["Order Key", "Order Date", "Ship Priority"], "measures": ["Revenue"]},
            "where": [
                equal("Market Segment", "BUILDING"),
                below("Order Date", "1995-03-15"),
                {"field": "Ship Date", "op": "gt", "value": "1995-03-15"},
            ],
            "orderBy": by("-Revenue", "Order Date", "Order Key"),
            "limit": 10,
        },
        semantic_sql="""
            SELECT "Order Key", "Order Date", "Ship Priority", "Revenue" FROM tpch
            WHERE "Market Segment" = 'BUILDING' AND "Order Date" < DATE '1995-03-15' AND "Ship Date" > DATE '1995-03-15'
            ORDER BY "Revenue" DESC, "Order Date", "Order Key" LIMIT 10""",
        reference_sql="""
            SELECT l_orderkey, o_orderdate, o_shippriority, sum(l_extendedprice * (1 - l_discount)) AS revenue
            FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
            WHERE c_mktsegment = 'BUILDING' AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
            GROUP BY l_orderkey, o_orderdate, o_shippriority
            ORDER BY revenue DESC, o_orderdate, l_orderkey LIMIT 10""",
    ),
    Question(
        name="orders of a quarter with a late line, by priority (Q4)",
        query={
            "select": {"dimensions": ["Order Priority"], "measures": ["Order Count"]},
            "where": [
                at_least("Order Date", "1993-07-01"),
                below("Order Date", "1993-10-01"),
                equal("Received Late", True),
            ],
            "orderBy": by("Order Priority"),
        },
        semantic_sql="""
            SELECT "Order Priority", "Order Count" FROM tpch
            WHERE "Order Date" >= DATE '1993-07-01' AND "Order Date" < DATE '1993-10-01' AND "Received Late" = TRUE
            ORDER BY "Order Priority" """,
        reference_sql="""
            SELECT o_orderpriority, count(*) FROM orders
            WHERE o_orderdate >= DATE '1993-07-01' AND o_orderdate < DATE '1993-10-01'
              AND EXISTS (SELECT * FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate)
            GROUP BY o_orderpriority ORDER BY o_orderpriority""",
    ),
    Question(
        name="local supplier volume (Q5)",
        query={
            "select": {"dimensions": ["Supplier Nation"], "measures": ["Revenue"]},
            "where": [
                equal("Customer Region", "ASIA"),
                equal("Local Sale", True),
                at_least("Order Date", "1994-01-01"),
                below("Order Date", "1995-01-01"),
            ],
            "orderBy": by("-Revenue", "Supplier Nation"),
        },
        semantic_sql="""
            SELECT "Supplier Nation", "Revenue" FROM tpch
            WHERE "Customer Region" = 'ASIA' AND "Local Sale" = TRUE
              AND "Order Date" >= DATE '1994-01-01' AND "Order Date" < DATE '1995-01-01'
            ORDER BY "Revenue" DESC, "Supplier Nation" """,
        reference_sql="""
            SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
            FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
              JOIN supplier ON l_suppkey = s_suppkey AND c_nationkey = s_nationkey
              JOIN nation ON s_nationkey = n_nationkey JOIN region ON n_regionkey = r_regionkey
            WHERE r_name = 'ASIA' AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01'
            GROUP BY n_name ORDER BY revenue DESC, n_name""",
    ),
    Question(
        name="revenue to gain without small discounts (Q6)",
        query={
            "select": {"measures": ["Discount Amount"]},
            "where": [
                at_least("Ship Date", "1994-01-01"),
                below("Ship Date", "1995-01-01"),
                {"field": "Line Item.Discount", "op": "between", "value": [0.05, 0.07]},
                below("Line Item.Quantity", 24),
            ],
        },
        semantic_sql="""
            SELECT "Discount Amount" FROM tpch
            WHERE "Ship Date" >= DATE '1994-01-01' AND "Ship Date" < DATE '1995-01-01'
              AND "Line Item"."Discount" BETWEEN 0.05 AND 0.07 AND "Line Item"."Quantity" < 24""",
        reference_sql="""
            SELECT sum(l_extendedprice * l_discount) FROM lineitem
            WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
              AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
    ),
    Question(
        name="trade between two nations, both roles of a nation at once (Q7)",
        query={
            "select": {"dimensions": ["Supplier Nation", "Customer Nation", "Ship Date:year"], "measures": ["Revenue"]},
            "where": [
                {"field": "Ship Date", "op": "between", "value": ["1995-01-01", "1996-12-31"]},
                either(
                    both(equal("Supplier Nation", "FRANCE"), equal("Customer Nation", "GERMANY")),
                    both(equal("Supplier Nation", "GERMANY"), equal("Customer Nation", "FRANCE")),
                ),
            ],
            "orderBy": by("Supplier Nation", "Customer Nation", "Ship Date"),
        },
        semantic_sql="""
            SELECT "Supplier Nation", "Customer Nation", DATE_TRUNC('year', "Ship Date") AS "Ship Date", "Revenue"
            FROM tpch
            WHERE "Ship Date" BETWEEN DATE '1995-01-01' AND DATE '1996-12-31'
              AND (("Supplier Nation" = 'FRANCE' AND "Customer Nation" = 'GERMANY')
                OR ("Supplier Nation" = 'GERMANY' AND "Customer Nation" = 'FRANCE'))
            ORDER BY 1, 2, 3""",
        reference_sql="""
            SELECT s.n_name, c.n_name, date_trunc('year', l_shipdate) AS ship_year,
                   sum(l_extendedprice * (1 - l_discount))
            FROM lineitem JOIN orders ON o_orderkey = l_orderkey JOIN customer ON c_custkey = o_custkey
              JOIN supplier ON s_suppkey = l_suppkey
              JOIN nation AS s ON s.n_nationkey = s_nationkey JOIN nation AS c ON c.n_nationkey = c_nationkey
            WHERE l_shipdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31'
              AND ((s.n_name = 'FRANCE' AND c.n_name = 'GERMANY') OR (s.n_name = 'GERMANY' AND c.n_name = 'FRANCE'))
            GROUP BY s.n_name, c.n_name, ship_year ORDER BY 1, 2, 3""",
    ),
    Question(
        name="profit on green parts by nation and year (Q9)",
        query={
            "select": {"dimensions": ["Supplier Nation", "Order Date:year"], "measures": ["Profit"]},
            "where": [{"field": "Part Name", "op": "contains", "value": "green"}],
            "orderBy": by("Supplier Nation", "-Order Date"),
        },
        semantic_sql="""
            SELECT "Supplier Nation", DATE_TRUNC('year', "Order Date"), "Profit" FROM tpch
            WHERE "Part Name" LIKE '%green%' ORDER BY 1, 2 DESC""",
        reference_sql="""
            SELECT n_name, date_trunc('year', o_orderdate) AS order_year,
                   sum(l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity)
            FROM lineitem JOIN part ON p_partkey = l_partkey JOIN supplier ON s_suppkey = l_suppkey
              JOIN partsupp ON ps_suppkey = l_suppkey AND ps_partkey = l_partkey
              JOIN orders ON o_orderkey = l_orderkey JOIN nation ON s_nationkey = n_nationkey
            WHERE p_name LIKE '%green%' GROUP BY n_name, order_year ORDER BY n_name, order_year DESC""",
    ),
    Question(
        name="customers who returned most (Q10)",
        query={
            "select": {
                "dimensions": [
                    "Customer Key",
                    "Customer Name",
                    "Customer Balance",
                    "Customer Nation",
                    "Customer Address",
                    "Customer Phone",
                ],
                "measures": ["Revenue"],
            },
            "where": [
                at_least("Order Date", "1993-10-01"),
                below("Order Date", "1994-01-01"),
                equal("Return Flag", "R"),
            ],
            "orderBy": by("-Revenue", "Customer Key"),
            "limit": 20,
        },
        semantic_sql="""
            SELECT "Customer Key", "Customer Name", "Customer Balance", "Customer Nation", "Customer Address",
                   "Customer Phone", "Revenue"
            FROM tpch
            WHERE "Order Date" >= DATE '1993-10-01' AND "Order Date" < DATE '1994-01-01' AND "Return Flag" = 'R'
            ORDER BY "Revenue" DESC, "Customer Key" LIMIT 20""",
        reference_sql="""
            SELECT c_custkey, c_name, c_acctbal, n_name, c_address, c_phone,
                   sum(l_extendedprice * (1 - l_discount)) AS revenue
            FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
              JOIN nation ON c_nationkey = n_nationkey
            WHERE o_orderdate >= DATE '1993-10-01' AND o_orderdate < DATE '1994-01-01' AND l_returnflag = 'R'
            GROUP BY ALL ORDER BY revenue DESC, c_custkey LIMIT 20""",
    ),
    Question(
        name="priority of late lines by ship mode (Q12)",
        query={
            "select": {"dimensions": ["Ship Mode"], "measures": ["High Priority Lines", "Low Priority Lines"]},
            "where": [
                {"field": "Ship Mode", "op": "inlist", "value": ["MAIL", "SHIP"]},
                equal("Received Late", True),
                equal("Shipped in Time", True),
                at_least("Receipt Date", "1994-01-01"),
                below("Receipt Date", "1995-01-01"),
            ],
            "orderBy": by("Ship Mode"),
        },
        semantic_sql="""
            SELECT "Ship Mode", "High Priority Lines", "Low Priority Lines" FROM tpch
            WHERE "Ship Mode" IN ('MAIL', 'SHIP') AND "Received Late" = TRUE AND "Shipped in Time" = TRUE
              AND "Receipt Date" >= DATE '1994-01-01' AND "Receipt Date" < DATE '1995-01-01'
            ORDER BY "Ship Mode" """,
        reference_sql="""
            SELECT l_shipmode, count(*) FILTER (o_orderpriority IN ('1-URGENT', '2-HIGH')),
                   count(*) FILTER (o_orderpriority NOT IN ('1-URGENT', '2-HIGH'))
            FROM orders JOIN lineitem ON o_orderkey = l_orderkey
            WHERE l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate
              AND l_receiptdate >= DATE '1994-01-01' AND l_receiptdate < DATE '1995-01-01'
            GROUP BY l_shipmode ORDER BY l_shipmode""",
    ),
    Question(
        name="share of promotions in a month (Q14)",
        query={
            "select": {"measures": ["Promo Share"]},
            "where": [at_least("Ship Date", "1995-09-01"), below("Ship Date", "1995-10-01")],
        },
        semantic_sql="""
            SELECT "Promo Share" FROM tpch
            WHERE "Ship Date" >= DATE '1995-09-01' AND "Ship Date" < DATE '1995-10-01'""",
        reference_sql="""
            SELECT CAST(100 * sum(l_extendedprice * (1 - l_discount)) FILTER (p_type LIKE 'PROMO%')
                     / sum(l_extendedprice * (1 - l_discount)) AS DECIMAL(18, 6))
            FROM lineitem JOIN part ON l_partkey = p_partkey
            WHERE l_shipdate >= DATE '1995-09-01' AND l_shipdate < DATE '1995-10-01'""",
    ),
    Question(
        name="suppliers who can deliver a kind of part (Q16)",
        query={
            "select": {"dimensions": ["Brand", "Part Type", "Part Size"], "measures": ["Stocking Suppliers"]},
            "where": [
                {"field": "Brand", "op": "notequals", "value": "Brand#45"},
                {"field": "Part Type", "op": "notlike", "value": "MEDIUM POLISHED%"},
                {"field": "Part Size", "op": "inlist", "value": [49, 14, 23, 45, 19, 3, 36, 9]},
                {"field": "Supplier.Comment", "op": "notlike", "value": "%Customer%Complaints%"},
            ],
            "orderBy": by("-Stocking Suppliers", "Brand", "Part Type", "Part Size"),
        },
        semantic_sql="""
            SELECT "Brand", "Part Type", "Part Size", "Stocking Suppliers" FROM tpch
            WHERE "Brand" <> 'Brand#45' AND "Part Type" NOT LIKE 'MEDIUM POLISHED%'
              AND "Part Size" IN (49, 14, 23, 45, 19, 3, 36, 9)
              AND "Supplier"."Comment" NOT LIKE '%Customer%Complaints%'
            ORDER BY "Stocking Suppliers" DESC, "Brand", "Part Type", "Part Size" """,
        reference_sql="""
            SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS suppliers
            FROM partsupp JOIN part ON p_partkey = ps_partkey
            WHERE p_brand <> 'Brand#45' AND p_type NOT LIKE 'MEDIUM POLISHED%'
              AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9)
              AND ps_suppkey NOT IN (SELECT s_suppkey FROM supplier WHERE s_comment LIKE '%Customer%Complaints%')
            GROUP BY p_brand, p_type, p_size ORDER BY suppliers DESC, p_brand, p_type, p_size""",
    ),
    Question(
        name="orders of very many pieces, with the order's own value (Q18)",
        query={
            "select": {
                "dimensions": ["Customer Name", "Customer Key", "Order Key", "Order Date"],
                "measures": ["Order Value", "Quantity"],
            },
            "having": [{"field": "Quantity", "op": "gt", "value": 250}],
            "orderBy": by("-Order Value", "Order Date", "Order Key"),
            "limit": 100,
        },
        semantic_sql="""
            SELECT "Customer Name", "Customer Key", "Order Key", "Order Date", "Order Value", "Quantity" FROM tpch
            HAVING "Quantity" > 250 ORDER BY "Order Value" DESC, "Order Date", "Order Key" LIMIT 100""",
        reference_sql="""
            SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity)
            FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON o_orderkey = l_orderkey
            WHERE o_orderkey IN (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 250)
            GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
            ORDER BY o_totalprice DESC, o_orderdate, o_orderkey LIMIT 100""",
    ),
    Question(
        name="revenue of three kinds of parts, alternatives of conditions (Q19)",
        query={
            "select": {"measures": ["Revenue", "Line Item Count"]},
            "where": [
                {"field": "Ship Mode", "op": "inlist", "value": ["AIR", "REG AIR"]},
                either(
                    both(equal("Brand", "Brand#12"), {"field": "Part Size", "op": "between", "value": [1, 25]}),
                    both(equal("Brand", "Brand#23"), {"field": "Container", "op": "starts_with", "value": "MED"}),
                    both(equal("Brand", "Brand#34"), at_least("Line Item.Quantity", 20)),
                ),
            ],
        },
        semantic_sql="""
            SELECT "Revenue", "Line Item Count" FROM tpch
            WHERE "Ship Mode" IN ('AIR', 'REG AIR')
              AND (("Brand" = 'Brand#12' AND "Part Size" BETWEEN 1 AND 25)
                OR ("Brand" = 'Brand#23' AND "Container" LIKE 'MED%')
                OR ("Brand" = 'Brand#34' AND "Line Item"."Quantity" >= 20))""",
        reference_sql="""
            SELECT sum(l_extendedprice * (1 - l_discount)), count(*) FROM lineitem JOIN part ON p_partkey = l_partkey
            WHERE l_shipmode IN ('AIR', 'REG AIR')
              AND ((p_brand = 'Brand#12' AND p_size BETWEEN 1 AND 25)
                OR (p_brand = 'Brand#23' AND p_container LIKE 'MED%')
                OR (p_brand = 'Brand#34' AND l_quantity >= 20))""",
    ),
    Question(
        name="sales beside stock and suppliers, three facts in one row",
        query={
            "select": {
                "dimensions": ["Supplier Region", "Supplier Nation"],
                "measures": ["Revenue", "Stock Value", "Supplier Count"],
            },
            "orderBy": by("Supplier Region", "Supplier Nation"),
        },
        semantic_sql="""
            SELECT "Supplier Region", "Supplier Nation", "Revenue", "Stock Value", "Supplier Count"
            FROM tpch ORDER BY 1, 2""",
        reference_sql="""
            WITH home AS (
              SELECT s_suppkey, n_name, r_name FROM supplier JOIN nation ON s_nationkey = n_nationkey
                JOIN region ON n_regionkey = r_regionkey),
            sold AS (SELECT l_suppkey AS k, sum(l_extendedprice * (1 - l_discount)) AS v FROM lineitem GROUP BY k),
            stock AS (SELECT ps_suppkey AS k, sum(ps_supplycost * ps_availqty) AS v FROM partsupp GROUP BY k)
            SELECT r_name, n_name, sum(sold.v), sum(stock.v), count(*)
            FROM home LEFT JOIN sold ON sold.k = s_suppkey LEFT JOIN stock ON stock.k = s_suppkey
            GROUP BY r_name, n_name ORDER BY 1, 2""",
    ),
    Question(
        name="orders by supplier region, an order of two suppliers counts once in each",
        query={
            "select": {
                "dimensions": ["Supplier Region"],
                "measures": ["Order Count", "Order Value", "Revenue per Order"],
            },
            "orderBy": by("Supplier Region"),
        },
        semantic_sql="""
            SELECT "Supplier Region", "Order Count", "Order Value", "Revenue per Order"
            FROM tpch ORDER BY "Supplier Region" """,
        reference_sql="""
            WITH line AS (
              SELECT r_name, l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue
              FROM lineitem JOIN supplier ON l_suppkey = s_suppkey JOIN nation ON s_nationkey = n_nationkey
                JOIN region ON n_regionkey = r_regionkey GROUP BY r_name, l_orderkey)
            SELECT r_name, count(*), sum(o_totalprice), CAST(sum(revenue) / count(*) AS DECIMAL(18, 6))
            FROM line JOIN orders ON o_orderkey = l_orderkey GROUP BY r_name ORDER BY r_name""",
    ),
    Question(
        name="customers, those who order, and their orders by segment",
        query={
            "select": {
                "dimensions": ["Market Segment"],
                "measures": ["Customer Count", "Ordering Customers", "Order Count", "Median Order Value"],
            },
            "orderBy": by("Market Segment"),
        },
        semantic_sql="""
            SELECT "Market Segment", "Customer Count", "Ordering Customers", "Order Count", "Median Order Value"
            FROM tpch ORDER BY 1""",
        reference_sql="""
            SELECT c_mktsegment, count(DISTINCT c_custkey), count(DISTINCT o_custkey), count(o_orderkey),
                   median(CAST(o_totalprice AS DOUBLE))
            FROM customer LEFT JOIN orders ON o_custkey = c_custkey GROUP BY c_mktsegment ORDER BY c_mktsegment""",
    ),
    Question(
        name="each region's share of the whole",
        query={
            "select": {"dimensions": ["Customer Region"], "measures": ["Revenue", "Total Revenue", "Revenue Share"]},
            "where": [at_least("Order Date", "1996-01-01")],
            "orderBy": by("-Revenue", "Customer Region"),
            "limit": 3,
        },
        semantic_sql="""
            SELECT "Customer Region", "Revenue", "Total Revenue", "Revenue Share" FROM tpch
            WHERE "Order Date" >= DATE '1996-01-01' ORDER BY "Revenue" DESC, 1 LIMIT 3""",
        reference_sql="""
            WITH sold AS (
              SELECT r_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
              FROM lineitem JOIN orders ON l_orderkey = o_orderkey JOIN customer ON o_custkey = c_custkey
                JOIN nation ON c_nationkey = n_nationkey JOIN region ON n_regionkey = r_regionkey
              WHERE o_orderdate >= DATE '1996-01-01' GROUP BY r_name)
            SELECT r_name, revenue, (SELECT sum(revenue) FROM sold),
                   CAST(revenue / (SELECT sum(revenue) FROM sold) AS DECIMAL(18, 6))
            FROM sold ORDER BY revenue DESC, r_name LIMIT 3""",
    ),
    Question(
        name="growth of monthly revenue, compared with months before the filter",
        query={
            "select": {"dimensions": ["Order Date:month"], "measures": ["Revenue", "Revenue Growth"]},
            "where": [at_least("Order Date", "1995-01-01"), below("Order Date", "1996-01-01")],
            "orderBy": by("Order Date"),
        },
        semantic_sql="""
            SELECT DATE_TRUNC('month', "Order Date"), "Revenue", "Revenue Growth" FROM tpch
            WHERE "Order Date" >= DATE '1995-01-01' AND "Order Date" < DATE '1996-01-01' ORDER BY 1""",
        reference_sql="""
            WITH months AS (
              SELECT date_trunc('month', o_orderdate) AS m, sum(l_extendedprice * (1 - l_discount)) AS revenue
              FROM lineitem JOIN orders ON l_orderkey = o_orderkey GROUP BY m)
            SELECT now.m, now.revenue, CAST(now.revenue / past.revenue - 1 AS DECIMAL(18, 6))
            FROM months AS now LEFT JOIN months AS past ON past.m = now.m - INTERVAL 1 YEAR
            WHERE now.m >= DATE '1995-01-01' AND now.m < DATE '1996-01-01' ORDER BY now.m""",
    ),
    Question(
        name="running revenue of a year",
        query={
            "select": {"dimensions": ["Order Date:quarter"], "measures": ["Revenue", "Running Revenue"]},
            "where": [at_least("Order Date", "1997-01-01"), below("Order Date", "1998-01-01")],
            "orderBy": by("Order Date"),
        },
        semantic_sql="""
            SELECT DATE_TRUNC('quarter', "Order Date"), "Revenue", "Running Revenue" FROM tpch
            WHERE "Order Date" >= DATE '1997-01-01' AND "Order Date" < DATE '1998-01-01' ORDER BY 1""",
        reference_sql="""
            SELECT q, revenue, sum(revenue) OVER (ORDER BY q) FROM (
              SELECT date_trunc('quarter', o_orderdate) AS q, sum(l_extendedprice * (1 - l_discount)) AS revenue
              FROM lineitem JOIN orders ON l_orderkey = o_orderkey
              WHERE o_orderdate >= DATE '1997-01-01' AND o_orderdate < DATE '1998-01-01' GROUP BY q)
            ORDER BY q""",
    ),
    Question(
        name="nations by rank, the best five",
        query={
            "select": {"dimensions": ["Customer Nation"], "measures": ["Revenue", "Revenue Rank"]},
            "having": [{"field": "Revenue Rank", "op": "lte", "value": 5}],
            "orderBy": by("Revenue Rank"),
        },
        semantic_sql="""
            SELECT "Customer Nation", "Revenue", "Revenue Rank" FROM tpch
            HAVING "Revenue Rank" <= 5 ORDER BY "Revenue Rank" """,
        reference_sql="""
            SELECT n_name, revenue, rank() OVER (ORDER BY revenue DESC) AS r FROM (
              SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
              FROM lineitem JOIN orders ON l_orderkey = o_orderkey JOIN customer ON o_custkey = c_custkey
                JOIN nation ON c_nationkey = n_nationkey GROUP BY n_name)
            QUALIFY r <= 5 ORDER BY r""",
    ),
)
