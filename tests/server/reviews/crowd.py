"""Many owners who edit their reviews at once, and many stored reviews: for tests and benchmarks."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace

from sagitta_server.app import Engine
from sagitta_server.auth import Permission, Principal
from sagitta_server.reviews.enums import DatasetType, SourceKind
from sagitta_server.reviews.field_decisions import FieldUpdate
from sagitta_server.reviews.recovery import end_import, with_dataset
from sagitta_server.reviews.service import ReviewService
from sagitta_server.reviews.settle import random_id, settle
from sagitta_server.reviews.store import ReviewStore
from sagitta_server.reviews.values import Column, Dataset, Profile, Review, Session
from server.reviews.world import selection


def fill(engine: Engine, owner: str, sessions: int, fields: int) -> list[str]:
    """Stores reviews of a wide dataset; returns their ids."""
    service, store = engine.reviews.service, ReviewStore()
    template = _wide_review(service, owner, fields)
    ids = []
    for _ in range(sessions):
        copy = _copy(template)
        ids.append(copy.session_id)
        with engine.database.write() as connection:
            store.insert(connection, copy)
    return ids


def _wide_review(service: ReviewService, owner: str, fields: int) -> Review:
    context = service.work.context(owner)
    session = Session(
        random_id(), owner, "local", SourceKind.DATASET_SELECTION, "model:wide", context.now, context.now, context.now
    )
    columns = tuple(
        Column(f"column_{n}", "string", "text", label=f"Column {n}", description=f"What column {n} means in detail.")
        for n in range(fields)
    )
    dataset = Dataset("model:wide", "wide", "sha256:x", DatasetType.VIRTUAL, columns=columns, certified=True)
    blank = Review(session, Profile(random_id(), context.now, context.now))
    return settle(end_import(with_dataset(blank, dataset, context)), context)


def _copy(review: Review) -> Review:
    """The same review under new ids."""
    return replace(
        review,
        session=replace(review.session, session_id=random_id()),
        fields=tuple(replace(f, field_id=random_id()) for f in review.fields),
        findings=tuple(replace(f, finding_id=random_id()) for f in review.findings),
        questions=tuple(replace(q, question_id=random_id()) for q in review.questions),
    )


def timed(action, rounds: int) -> list[float]:  # type: ignore[no-untyped-def]
    """Milliseconds of each round, sorted."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


@dataclass
class Crowd:
    """What many owners did."""

    edits: int = 0
    errors: list[str] = field(default_factory=list)
    lost: int = 0


def edit_together(service: ReviewService, owners: int, seconds: float) -> Crowd:
    """Each owner starts a review and edits it without a pause; nothing may fail, nothing may get lost."""
    crowd, lock = Crowd(), threading.Lock()

    def work(number: int) -> None:
        owner = Principal(f"owner-{number}", frozenset(Permission))
        try:
            edits, lost = _edit(service, owner, seconds)
        except Exception as error:  # noqa: BLE001 - reported
            with lock:
                crowd.errors.append(f"{type(error).__name__}: {error}")
            return
        with lock:
            crowd.edits += edits
            crowd.lost += lost

    threads = [threading.Thread(target=work, args=(n,)) for n in range(owners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return crowd


def _edit(service: ReviewService, owner: Principal, seconds: float) -> tuple[int, int]:
    """How many edits were made, and how many of them are not there."""
    review = service.start_session(
        owner, SourceKind.DATASET_SELECTION, selection({"first_day": "2024-01-01"}), "local", wait=False
    ).review
    service.work.wait(lambda: service.get_session(owner, review.session_id).session.import_task_id is None, 120)
    review = service.get_session(owner, review.session_id)
    ends, edits, version = time.monotonic() + seconds, 0, review.session.version
    last: dict[str, str] = {}
    while time.monotonic() < ends:
        target = review.fields[edits % 3].field_id
        last[target] = f"edit {edits}"
        update = FieldUpdate(texts=(("description", last[target]),))
        after, _ = service.update_field(owner, review.session_id, target, update, version)
        version = after.session.version
        edits += 1
    shown = {f.field_id: f.description for f in service.get_session(owner, review.session_id).fields}
    missing = sum(shown[target] != text for target, text in last.items())
    return edits, missing + (version - review.session.version != edits)
