"""The Arrow schemas of the metadata commands, exactly as the standard names them (clients compare)."""

from __future__ import annotations

import pyarrow as pa


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_TEXT = pa.string()

CATALOGS = pa.schema([_required("catalog_name", _TEXT)])
DB_SCHEMAS = pa.schema([("catalog_name", _TEXT), _required("db_schema_name", _TEXT)])
TABLES = pa.schema(
    [
        ("catalog_name", _TEXT),
        ("db_schema_name", _TEXT),
        _required("table_name", _TEXT),
        _required("table_type", _TEXT),
    ]
)
TABLES_WITH_SCHEMA = TABLES.append(_required("table_schema", pa.binary()))
TABLE_TYPES = pa.schema([_required("table_type", _TEXT)])
PRIMARY_KEYS = pa.schema(
    [
        ("catalog_name", _TEXT),
        ("db_schema_name", _TEXT),
        _required("table_name", _TEXT),
        _required("column_name", _TEXT),
        _required("key_sequence", pa.int32()),
        ("key_name", _TEXT),
    ]
)
"""The order of the last two columns is that of the implementations, not of the standard's comment."""

FOREIGN_KEYS = pa.schema(
    [
        ("pk_catalog_name", _TEXT),
        ("pk_db_schema_name", _TEXT),
        _required("pk_table_name", _TEXT),
        _required("pk_column_name", _TEXT),
        ("fk_catalog_name", _TEXT),
        ("fk_db_schema_name", _TEXT),
        _required("fk_table_name", _TEXT),
        _required("fk_column_name", _TEXT),
        _required("key_sequence", pa.int32()),
        ("fk_key_name", _TEXT),
        ("pk_key_name", _TEXT),
        _required("update_rule", pa.uint8()),
        _required("delete_rule", pa.uint8()),
    ]
)

SQL_INFO_VALUE = pa.dense_union(
    [
        pa.field("string_value", _TEXT),
        pa.field("bool_value", pa.bool_()),
        pa.field("bigint_value", pa.int64()),
        pa.field("int32_bitmask", pa.int32()),
        pa.field("string_list", pa.list_(pa.field("item", _TEXT))),
        pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.field("value", pa.list_(pa.int32())))),
    ],
    type_codes=[0, 1, 2, 3, 4, 5],
)
SQL_INFO = pa.schema([_required("info_name", pa.uint32()), _required("value", SQL_INFO_VALUE)])

TYPE_INFO = pa.schema(
    [
        _required("type_name", _TEXT),
        _required("data_type", pa.int32()),
        ("column_size", pa.int32()),
        ("literal_prefix", _TEXT),
        ("literal_suffix", _TEXT),
        ("create_params", pa.list_(_required("item", _TEXT))),
        _required("nullable", pa.int32()),
        _required("case_sensitive", pa.bool_()),
        _required("searchable", pa.int32()),
        ("unsigned_attribute", pa.bool_()),
        _required("fixed_prec_scale", pa.bool_()),
        ("auto_increment", pa.bool_()),
        ("local_type_name", _TEXT),
        ("minimum_scale", pa.int32()),
        ("maximum_scale", pa.int32()),
        _required("sql_data_type", pa.int32()),
        ("datetime_subcode", pa.int32()),
        ("num_prec_radix", pa.int32()),
        ("interval_precision", pa.int32()),
    ]
)
