"""Statements of the Flight benchmarks."""

from __future__ import annotations

COLUMNS = {
    "Order Key": "l_orderkey",
    "Part Key": "l_partkey",
    "Supplier Key": "l_suppkey",
    "Line Number": "l_linenumber",
    "Quantity": "l_quantity",
    "Extended Price": "l_extendedprice",
    "Discount": "l_discount",
    "Tax": "l_tax",
    "Return Flag": "l_returnflag",
    "Line Status": "l_linestatus",
    "Ship Date": "l_shipdate",
    "Commit Date": "l_commitdate",
    "Receipt Date": "l_receiptdate",
    "Ship Instruction": "l_shipinstruct",
    "Ship Mode": "l_shipmode",
    "Comment": "l_comment",
}
"""All sixteen columns of lineitem, by label."""


def raw_sql(limit: int | None = None) -> str:
    fields = ", ".join(f'"Line Item"."{label}"' for label in COLUMNS)
    return f"SELECT {fields} FROM tpch" + ("" if limit is None else f" LIMIT {limit}")
