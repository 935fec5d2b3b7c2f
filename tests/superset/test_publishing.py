"""Accepted texts on their way back into a real Superset, which deletes the columns that a write leaves out."""

import uuid

import pytest
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.field_decisions import FieldUpdate
from sagitta_server.reviews.publishing import Wish
from server.reviews.world import ALICE

from superset.reviewing import desk as open_desk
from superset.reviewing import environment_settings

pytestmark = pytest.mark.xdist_group("superset")


@pytest.fixture
def desk(superset, tmp_path):
    """A service that may write back, as the datasets' owner (`writing`) and as somebody else (`foreign`)."""
    more = {
        "writing": environment_settings(superset, write_back=True),
        "foreign": environment_settings(superset, "sam", write_back=True),
    }
    with open_desk(superset, tmp_path, more) as opened:
        yield opened


@pytest.fixture
def number(superset, api):
    """A dataset of this test alone: virtual, with metrics and with labels on some."""
    made = api.dataset(
        superset.fixtures["db_sqlite"],
        f"v_published_{uuid.uuid4().hex[:8]}",
        "SELECT order_id, country, status, amount, order_ts FROM orders",
    )
    api.change_dataset(
        made,
        {"main_dttm_col": "order_ts", "template_params": '{"x": 1}'},
        {"order_id": {"verbose_name": "Order number", "description": "Counts up", "filterable": False}},
        new_metrics=[
            {"metric_name": "revenue", "expression": "SUM(amount)", "warning_text": "gross", "d3format": ",d"}
        ],
    )
    yield made
    api.call("DELETE", f"/api/v1/dataset/{made}")


def read(api, number):
    return api.call("GET", f"/api/v1/dataset/{number}")["result"]


def known(dataset):
    """Everything of a dataset that a person or a chart relies on, without the moments of change."""
    moments = {"changed_on", "created_on", "type_generic", "uuid"}
    listed = {
        (kind, item[name]): {k: v for k, v in item.items() if k not in moments}
        for kind, name in (("columns", "column_name"), ("metrics", "metric_name"))
        for item in dataset[kind]
    }
    own = ("sql", "template_params", "main_dttm_col", "description", "table_name", "kind", "schema", "extra")
    return {**listed, "own": {key: dataset.get(key) for key in own}}


def write(sitting, name, **texts):
    found = next(f for f in sitting.review.fields if f.field_name == name)
    update = FieldUpdate(texts=tuple(texts.items()))
    sitting.service.update_field(ALICE, sitting.session_id, found.field_id, update, None)


def publish(sitting, **wish):
    return sitting.service.publish_semantics(ALICE, sitting.session_id, Wish(**wish), None)[1]


def test_texts_arrive_and_nothing_else_changes(desk, api, number):
    before = known(read(api, number))
    sitting = desk.select(number, "writing")
    write(sitting, "amount", verbose_name="Betrag, brutto €", description="Что стоил заказ")
    write(sitting, "revenue", verbose_name="Revenue", description="All of it", display_format=",.2f")
    told = publish(sitting)
    assert {(c.name, c.attribute) for c in told.changes} == {
        ("amount", "verbose_name"),
        ("amount", "description"),
        ("revenue", "verbose_name"),
        ("revenue", "description"),
        ("revenue", "display_format"),
    }
    expected = {key: dict(value) for key, value in before.items()}
    expected["columns", "amount"] |= {"verbose_name": "Betrag, brutto €", "description": "Что стоил заказ"}
    expected["metrics", "revenue"] |= {"verbose_name": "Revenue", "description": "All of it", "d3format": ",.2f"}
    assert known(read(api, number)) == expected


def test_publishing_again_changes_nothing_and_a_second_text_is_no_conflict(desk, api, number):
    sitting = desk.select(number, "writing")
    write(sitting, "amount", verbose_name="Amount")
    publish(sitting)
    changed_on = read(api, number)["changed_on"]
    assert publish(sitting).changes == ()
    assert read(api, number)["changed_on"] == changed_on
    write(sitting, "status", verbose_name="Status")
    assert [c.name for c in publish(sitting).changes] == ["status"]


def test_a_foreign_change_is_not_overwritten(desk, api, number):
    sitting = desk.select(number, "writing")
    write(sitting, "amount", verbose_name="Amount")
    api.call("PUT", f"/api/v1/dataset/{number}", {"description": "Somebody else was here"})
    before = known(read(api, number))
    with pytest.raises(ReviewError) as refused:
        publish(sitting)
    assert refused.value.code == "dataset_changed"
    assert known(read(api, number)) == before
    assert "DATASET_CHANGED_UPSTREAM" in sitting.codes


def test_an_account_that_does_not_own_the_dataset_is_refused(desk, api, number):
    sitting = desk.select(number, "foreign")
    write(sitting, "amount", verbose_name="Amount")
    before = known(read(api, number))
    with pytest.raises(ReviewError) as refused:
        publish(sitting)
    assert refused.value.code == "publish_forbidden"
    assert known(read(api, number)) == before


def test_a_preview_stays_good_when_only_labels_have_changed(desk, number):
    sitting = desk.select(number, "writing")
    sitting.preview()
    write(sitting, "amount", verbose_name="Amount")
    publish(sitting)
    assert sitting.review.preview.preview_status == "ready"
    assert sitting.launch().launch_status == "success"
