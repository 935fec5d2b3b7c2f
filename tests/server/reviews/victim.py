"""A process that reviews and launches, and that ends itself, without any goodbye, at a given write transaction.

It does what a patient client does: looks at the session, takes the next step, and repeats requests with their keys. So
a second run of it finishes whatever the first one began.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from sagitta_server.app import Engine
from sagitta_server.reviews.enums import ApprovalState, LaunchStatus, PreviewStatus, SourceKind
from sagitta_server.reviews.service import ReviewService
from sagitta_server.reviews.values import Review
from server.reviews.world import ALICE, selection, settings
from sqlalchemy import event

KILLED = 137
DEADLINE_S = 60.0


def run(folder: str, state_url: str, point: int) -> None:
    """Reviews to the end, or ends the process at the `point`th beginning or ending of a write transaction."""
    engine = Engine(settings(Path(folder), state_url, workers=1, lease_s=1.0))
    _arm(engine.database.engine, point)
    engine.models.curated.start()
    engine.reviews.start()
    try:
        _review(engine.reviews.service)
    finally:
        engine.stop()


def _arm(engine: Any, point: int) -> None:
    count = 0

    def tick(connection: Any) -> None:
        nonlocal count
        if connection.get_execution_options().get("sagitta_write"):
            count += 1
            if count == point:
                os._exit(KILLED)

    event.listen(engine, "begin", tick)
    event.listen(engine, "commit", tick)


def serve() -> None:
    """Runs a fresh process for every line of standard input, and says how each ended.

    Forking a process that has imported everything, and has no thread yet, saves the imports of the many.
    """
    for line in sys.stdin:
        folder, state_url, point = line.split()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run(folder, state_url, int(point))
                code = 0
            except BaseException:  # noqa: BLE001 - told to the parent
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _review(service: ReviewService) -> None:
    source = selection({"firstDay": "2024-02-01"})
    started = service.start_session(ALICE, SourceKind.DATASET_SELECTION, source, "local", key="start")
    session_id = started.review.session_id
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        review = service.get_session(ALICE, session_id)
        if review.run is not None and review.run.launch_status is not LaunchStatus.STARTED:
            return
        _step(service, review)
        time.sleep(0.02)
    raise TimeoutError(f"still {review.session.readiness_state} with task {review.session.active_task_id}")


def _step(service: ReviewService, review: Review) -> None:
    if review.session.active_task_id is not None:
        return
    pending = [m for m in review.mappings if m.approval_state is ApprovalState.PENDING]
    if pending:
        service.approve_mapping(ALICE, review.session_id, pending[0].mapping_id, None, None)
    elif review.preview is None or review.preview.preview_status is not PreviewStatus.READY:
        service.request_preview(ALICE, review.session_id, None, key="preview")
    else:
        service.launch(ALICE, review.session_id, None, key="launch")


if __name__ == "__main__":
    serve()
