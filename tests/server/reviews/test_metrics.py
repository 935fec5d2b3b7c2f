"""What an operator sees of reviews."""

from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sagitta_server.observability.metrics import engine_registry
from sagitta_server.reviews.enums import SourceKind
from sagitta_server.reviews.metrics import ReviewCollector
from server.reviews.world import ALICE, selection, world

DOCS = Path(__file__).parents[3] / "docs" / "observability.md"


def seen(engine):
    text = generate_latest(engine_registry(ReviewCollector(engine.database))).decode()
    return {
        (s.name, *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.name.startswith(("sagitta_review", "sagitta_superset"))
    }


def test_imports_previews_and_launches_are_counted(tmp_path):
    with world(tmp_path) as engine:
        before = seen(engine)
        service = engine.reviews.service
        given = selection({"first_day": "2024-02-01"})
        review = service.start_session(ALICE, SourceKind.DATASET_SELECTION, given, "local").review
        service.request_preview(ALICE, review.session_id, None)
        service.launch(ALICE, review.session_id, None)
        after = seen(engine)
    grown = {key for key, value in after.items() if value > before.get(key, 0)}
    assert {
        ("sagitta_review_sessions", "completed"),
        ("sagitta_review_import_seconds_count", "local"),
        ("sagitta_review_preview_seconds_count", "local", "ready"),
        ("sagitta_review_launches_total", "local", "success"),
    } <= grown


def test_every_metric_is_documented(tmp_path):
    page = DOCS.read_text(encoding="utf-8")
    with world(tmp_path) as engine:
        names = {f.name for f in engine_registry(ReviewCollector(engine.database)).collect()}
    ours = {name for name in names if name.startswith(("sagitta_review", "sagitta_superset"))}
    assert {name for name in ours if f"`{name}" not in page} == set()
    assert len(ours) == 6
