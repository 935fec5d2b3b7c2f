"""A data dictionary that is kept as a dataset of a real Superset."""

import pytest

from superset.reviewing import desk as open_desk

pytestmark = pytest.mark.xdist_group("superset")


def test_the_rows_of_a_dataset_describe_the_fields_of_others(superset, tmp_path):
    dictionaries = {"glossary": {"environment": "bi", "dataset": superset.fixtures["ds_dict"]}}
    with open_desk(superset, tmp_path, dictionaries=dictionaries) as desk:
        review = desk.select(superset.fixtures["ds_v_orders"]).review
    quantity = next(f for f in review.fields if f.field_name == "qty")
    assert (quantity.verbose_name, quantity.description) == ("Quantity", "Units per order")
    assert (quantity.display_format, quantity.provenance, quantity.needs_review) == (",d", "dictionary_exact", False)
