"""Semantic sources as their users give them: files of every kind, connected dictionaries, other models."""

import base64
import io
import json

import openpyxl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from sagitta_server.auth import Permission, Principal
from sagitta_server.config import Settings
from sagitta_server.reviews.dictionaries import StoredFile, entries_of, read_rows
from sagitta_server.reviews.enums import SemanticSourceType, SourceKind
from sagitta_server.reviews.errors import ReviewError
from server.reviews.world import ALICE, BOB, settings, world

ROWS = [
    {"Column Name": "Revenue", "Label": "Money", "Description": "All <b>money</b>"},
    {"Column Name": "nothing", "Label": None, "Description": None},
]


def xlsx(rows):
    book = openpyxl.Workbook()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    book.create_sheet("second").append(["x"])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def arrow(rows, stream):
    table = pa.Table.from_pylist(rows)
    sink = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(rows):
    sink = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


FILES = {
    "a.csv": b"Column Name,Label,Description\nRevenue,Money,All <b>money</b>\nnothing,,\n",
    "b.csv": "\ufeffColumn Name;Label;Description\r\nRevenue;Money;All <b>money</b>\r\nnothing;;\r\n".encode(),
    "c.tsv": b"Column Name\tLabel\tDescription\nRevenue\tMoney\tAll <b>money</b>\nnothing\t\t\n",
    "d.json": json.dumps(ROWS).encode(),
    "e.json": json.dumps(
        {"Revenue": {"label": "Money", "description": "All <b>money</b>"}, "nothing": {"label": None}}
    ).encode(),
    "f.yaml": b"- {column_name: Revenue, label: Money, description: All <b>money</b>}\n- {column_name: nothing}\n",
    "g.xlsx": xlsx(ROWS),
    "h.parquet": parquet(ROWS),
    "i.arrow": arrow(ROWS, stream=False),
    "j.arrow": arrow(ROWS, stream=True),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_entries(name):
    entries, rejected, duplicates = entries_of(read_rows(StoredFile(name, "", FILES[name])))
    assert [(e.field_name, e.verbose_name, e.description) for e in entries] == [("Revenue", "Money", "All money")]
    assert (rejected, duplicates) == (1, 0)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"label,description\nx,y\n", "semantic_source_invalid"),
        ("a.csv", b"", "semantic_source_invalid"),
        ("a.csv", b"column,label\n", "semantic_source_invalid"),
        ("a.csv", "column,label\nä,ö\n".encode("latin-1"), "semantic_source_invalid"),
        ("a.json", b"{", "semantic_source_invalid"),
        ("a.json", b"[1, 2]", "semantic_source_invalid"),
        ("a.yaml", b"a: &a [*a, *a]\n", "semantic_source_invalid"),
        ("a.yaml", b"!!python/object/apply:os.system [ls]", "semantic_source_invalid"),
        ("a.xlsx", b"no zip", "semantic_source_invalid"),
        ("a.parquet", b"PAR1", "semantic_source_invalid"),
        ("a.arrow", b"ARROW1xx", "semantic_source_invalid"),
        ("a.exe", b"MZ", "unsupported_media_type"),
        ("a.csv", b"column,label\n" + b"x,y\n" * 50_001, "upload_too_large"),
    ],
)  # fmt: skip
def test_files_that_are_no_dictionary_are_refused_with_a_reason(name, content, code):
    with pytest.raises(ReviewError) as refused:
        entries_of(read_rows(StoredFile(name, "", content)))
    assert refused.value.code == code


def test_the_first_row_of_a_field_wins():
    content = b"column,label\nA,first\na,second\nB,x\n"
    entries, _, duplicates = entries_of(read_rows(StoredFile("a.csv", "", content)))
    assert ([e.verbose_name for e in entries], duplicates) == (["first", "x"], 1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    (folder / "glossary").mkdir()
    (folder / "glossary" / "terms.csv").write_text("column,label\nRevenue,From a file\n")
    (folder / "secret.csv").write_text("column,label\nRevenue,Secret\n")
    (folder / "glossary" / "link.csv").symlink_to(folder / "secret.csv")
    base = settings(folder)
    other = folder / "other.yaml"
    other.write_text(
        (folder / "shop.yaml")
        .read_text()
        .replace("name: shop", "name: other")
        .replace("resultType: string}", "resultType: string, description: From the other model}")
    )
    connected = {
        "good": {"query": "SELECT 'revenue' AS column_name, 'From a table' AS description"},
        "broken": {"query": "SELECT * FROM nothing_here"},
        "own": {"query": "SELECT 'status' AS field, 'How far' AS title", "connection": {"uri": "sqlite:///:memory:"}},
    }
    with world(folder, dictionaries=connected, dictionary_dir=folder / "glossary") as running:
        running.models.curated._paths = (*running.models.curated._paths, other)
        running.models.curated.start()
        yield running
    assert isinstance(base, Settings)


@pytest.fixture
def session(engine):
    service = engine.reviews.service
    return service, service.start_session(ALICE, SourceKind.DATASET_SELECTION, "model:shop", "local").review


def field(review, name):
    return next(f for f in review.fields if f.field_name == name)


def test_connected_dictionaries_are_applied_at_import_and_a_broken_one_is_told(session):
    _, review = session
    revenue = field(review, "Revenue")
    assert (revenue.description, revenue.provenance) == ("From a table", "dictionary_exact")
    assert field(review, "Status").verbose_name == "How far"
    states = {s.source_ref: s.status for s in review.sources}
    assert (states["good"], states["own"], states["broken"]) == ("applied", "applied", "available")
    assert "SEMANTIC_SOURCE_FAILED" in {f.code for f in review.findings}


def test_uploads_belong_to_their_owner_and_pasted_files_need_no_upload(session):
    service, review = session
    upload = service.upload(ALICE, "x.csv", "text/csv", b"column,label\nOrder Day,Day of order\n")
    ref = f"upload:{upload.upload_id}"
    after = service.apply_source(ALICE, review.session_id, SemanticSourceType.UPLOADED_FILE, ref, None)
    assert field(after, "Order Day").verbose_name == "Day of order"
    theirs = service.start_session(BOB, SourceKind.DATASET_SELECTION, "model:shop", "local").review
    with pytest.raises(ReviewError, match="no such upload"):
        service.apply_source(BOB, theirs.session_id, SemanticSourceType.UPLOADED_FILE, ref, None)
    pasted = "data:text/csv;base64," + base64.b64encode(b"column,label\nOrder Day,Pasted\n").decode()
    after = service.apply_source(ALICE, review.session_id, SemanticSourceType.UPLOADED_FILE, pasted, None)
    assert field(after, "Order Day").has_conflict
    assert "SEMANTIC_CONFLICT" in {f.code for f in after.findings if f.resolution_state == "open"}


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "link.csv", "nothing.csv", "", "a/../../secret.csv"])
def test_only_files_of_the_dictionary_folder_are_read(session, name):
    service, review = session
    with pytest.raises(ReviewError) as refused:
        service.apply_source(ALICE, review.session_id, SemanticSourceType.UPLOADED_FILE, f"file:{name}", None)
    assert refused.value.code == "semantic_source_not_found"
    after = service.apply_source(ALICE, review.session_id, SemanticSourceType.UPLOADED_FILE, "file:terms.csv", None)
    assert any(c.proposed_verbose_name == "From a file" for c in field(after, "Revenue").candidates)


def test_a_file_that_cannot_be_read_is_on_record(session):
    service, review = session
    with pytest.raises(ReviewError):
        service.apply_source(
            ALICE, review.session_id, SemanticSourceType.UPLOADED_FILE, "data:text/csv;base64,eA==", None
        )
    after = service.get_session(ALICE, review.session_id)
    assert "failed" in {s.status for s in after.sources}


def test_other_models_are_neighbours(session):
    service, review = session
    assert any(s.source_type == "neighbor_dataset" and s.source_ref == "other" for s in review.sources)
    after = service.apply_source(ALICE, review.session_id, SemanticSourceType.NEIGHBOR_DATASET, "auto", None)
    candidate = next(c for c in field(after, "Status").candidates if c.match_type == "reference")
    assert candidate.proposed_description == "From the other model"
    with pytest.raises(ReviewError):
        service.apply_source(ALICE, review.session_id, SemanticSourceType.REFERENCE_DATASET, "nothing", None)


def test_a_source_that_matches_nothing_is_rejected_and_tells_so(session):
    service, review = session
    data = "data:text/csv;base64," + base64.b64encode(b"column,label\nzzz,yyy\n").decode()
    after = service.apply_source(ALICE, review.session_id, SemanticSourceType.UPLOADED_FILE, data, None)
    assert after.sources[-1].status == "rejected"
    assert "SEMANTIC_SOURCE_NO_OVERLAP" in {f.code for f in after.findings}


def test_applying_needs_the_permission(session):
    service, review = session
    reader = Principal("alice", frozenset({Permission.SESSION_READ.value}))
    with pytest.raises(Exception, match="dataset:session:manage"):
        service.apply_source(reader, review.session_id, SemanticSourceType.AI_GENERATED, "default", None)
