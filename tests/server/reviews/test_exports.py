"""Exports: four formats, two kinds, empty, unresolved and full reviews, in any script."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sagitta_server.reviews.enums import (
    ArtifactFormat,
    ArtifactType,
    DatasetType,
    FilterConfidenceState,
    FilterRecoveryStatus,
    FilterSource,
    LaunchStatus,
    PreviewStatus,
    SessionStatus,
    SourceKind,
)
from sagitta_server.reviews.exports import export_bytes
from sagitta_server.reviews.exports.as_markdown import markdown
from sagitta_server.reviews.exports.blocks import Code, Document, Paragraph, Table
from sagitta_server.reviews.json_text import dump
from sagitta_server.reviews.recovery import end_import, with_dataset, with_filters, with_variables
from sagitta_server.reviews.settle import Context, settle
from sagitta_server.reviews.values import (
    Column,
    Dataset,
    Filter,
    Metric,
    Preview,
    Profile,
    Review,
    Run,
    Session,
    TemplateText,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CONTEXT = Context(NOW, "alice")
KINDS = (ArtifactType.DOCUMENTATION, ArtifactType.VALIDATION_REPORT)


def blank():
    session = Session("s", "alice", "local", SourceKind.DATASET_SELECTION, "model:x", NOW, NOW, NOW)
    return settle(Review(session, Profile("p", NOW, NOW)), CONTEXT)


def unresolved():
    return settle(end_import(blank()), CONTEXT)


def full():
    dataset = Dataset(
        "model:продажи",
        "Продажи",
        "sha256:x",
        DatasetType.VIRTUAL,
        description="Заказы | небольшого <b>магазина</b>",
        columns=(
            Column("country", "string", "text", label="Страна", description="=HYPERLINK('x')"),
            Column("订单日期", "date", "time", label="注文日", description="주문 날짜"),
            Column("شحن", "string", "text", label="تاريخ", description="𓀀 unbekannt"),
        ),
        metrics=(Metric("revenue", "SUM(amount)", "+Выручка", "-1 | 2"),),
        templates=(TemplateText("sql", "{{ filter_values('country') | where_in }}"),),
    )
    filters = [
        Filter("", "country", dump(["Россия", "FR"]), FilterSource.MANUAL, FilterConfidenceState.CONFIRMED,
               FilterRecoveryStatus.RECOVERED, dump(["Россия", "FR"]), operator="IN", column_name="country")
    ]  # fmt: skip
    review = with_filters(with_dataset(blank(), dataset, CONTEXT), filters, CONTEXT)
    review = end_import(with_variables(review, CONTEXT))
    preview = Preview(
        "pv", PreviewStatus.READY, "sha256:1", NOW, compiled_sql="SELECT 'Россия', '```'", compiled_at=NOW
    )
    return settle(replace(review, preview=preview), CONTEXT)


@pytest.mark.parametrize("review", [blank(), unresolved(), full()], ids=["blank", "unresolved", "full"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ArtifactFormat)
def test_every_review_exports_in_every_format(review, kind, form):
    content, media_type, name = export_bytes(review, kind, form, NOW, mask=False)
    assert content == export_bytes(review, kind, form, NOW, mask=False)[0] or form is ArtifactFormat.PDF
    assert name.endswith({"json": ".json", "markdown": ".md", "csv": ".csv", "pdf": ".pdf"}[form])
    match form:
        case ArtifactFormat.JSON:
            assert json.loads(content)["format_version"] == 1
        case ArtifactFormat.CSV:
            assert content.startswith(b"\xef\xbb\xbf")
            assert "csv" in media_type
        case ArtifactFormat.MARKDOWN:
            assert content.decode().startswith("# ")
        case ArtifactFormat.PDF:
            assert content.startswith(b"%PDF-")


def test_cells_that_a_spreadsheet_would_run_are_neutralised():
    content, _, _ = export_bytes(full(), ArtifactType.DOCUMENTATION, ArtifactFormat.CSV, NOW, mask=False)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows[0]["description"] == "'=HYPERLINK('x')"
    metric = next(row for row in rows if row["field_name"] == "revenue")
    assert (metric["verbose_name"], metric["description"]) == ("'+Выручка", "'-1 | 2")


def test_texts_cannot_become_markup():
    table = Table(("a",), (("x | y\n# z <b> *q*",),), (1,))
    text = markdown(Document("# t", "_s_", (table, Paragraph("- item\n1. one"), Code("``` x", "sql"))))
    assert "| x \\| y \\# z \\<b\\> \\*q\\* |" in text
    assert "\\- item\n1\\. one" in text
    assert "````sql" in text


def test_formats_and_dates_stand_as_they_are():
    table = Table(("a", "b"), (("0.0%", "2024-01-01"), ("-1", "= 2")), (1, 1))
    text = markdown(Document("t", "s", (table, Paragraph("2024-01-01"), Paragraph("0.5 of all"))))
    assert "| 0.0% | 2024-01-01 |\n| -1 | = 2 |" in text
    assert "\n2024-01-01\n" in text
    assert "\n0.5 of all\n" in text


def test_a_review_that_was_launched_says_so():
    run = Run(
        "r", "dataset:1", "local", "p", "x", "/x", NOW, launch_status=LaunchStatus.SUCCESS, row_count=5, finished_at=NOW
    )
    review = full()
    done = replace(review, run=run, session=replace(review.session, status=SessionStatus.COMPLETED))
    text = export_bytes(done, ArtifactType.VALIDATION_REPORT, ArtifactFormat.MARKDOWN, NOW, mask=False)[0].decode()
    assert "**Launched " in text
    assert "5 rows" in text


def test_masking_hides_every_value():
    for kind in KINDS:
        for form in (ArtifactFormat.JSON, ArtifactFormat.MARKDOWN, ArtifactFormat.CSV):
            content = export_bytes(full(), kind, form, NOW, mask=True)[0].decode()
            assert "Россия" not in content
    assert "<list 2>" in export_bytes(full(), KINDS[0], ArtifactFormat.JSON, NOW, mask=True)[0].decode()


def test_the_verdict_names_what_blocks():
    text = export_bytes(unresolved(), ArtifactType.VALIDATION_REPORT, ArtifactFormat.MARKDOWN, NOW, mask=False)[
        0
    ].decode()
    assert "Not ready to launch: blocked by G2" in text
