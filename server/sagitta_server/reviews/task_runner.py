"""Works on background tasks: claims them under a lease, renews the lease, survives a crash of a task."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from sagitta_server.reviews.retention import forget
from sagitta_server.reviews.store import tasks
from sagitta_server.reviews.store.tasks import Task
from sagitta_server.reviews.work import ReviewWork

log = logging.getLogger("sagitta.reviews")
POLL_SECONDS = 1.0
FORGET_SECONDS = 3600.0
RETRY_SECONDS = 5.0
MAX_ATTEMPTS = 5

Perform = Callable[[Task], None]
"""Does the work of a task and finishes it in the transaction that stores its result."""


class TaskRunner:
    """A few threads that take tasks in the order in which they were queued."""

    def __init__(
        self,
        work: ReviewWork,
        perform: Perform,
        abandon: Callable[[Task, str], None],
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._tidy = tidy
        self._perform = perform
        self._abandon = abandon
        self._stopping = threading.Event()
        self._wake = threading.Semaphore(0)
        self._forgot_at = float("-inf")
        self._forgetting = threading.Lock()
        self._threads: list[threading.Thread] = []
        work.on_queued = self.wake

    def start(self) -> None:
        """Starts the threads."""
        for number in range(self._work.settings.workers):
            thread = threading.Thread(target=self._run, name=f"review-worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Takes no further task and waits for the running ones."""
        self._stopping.set()
        for _ in self._threads:
            self._wake.release()
        for thread in self._threads:
            thread.join(timeout_s)

    def wake(self) -> None:
        """Makes a thread look for work now."""
        self._wake.release()

    def run_one(self) -> bool:
        """Claims and performs one task; False when there was none."""
        worker = str(uuid.uuid4())
        task = self._claim(worker)
        if task is None:
            return False
        with _Lease(self._work, task, worker):
            self._attempt(task, worker)
        self._work.notify()
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                worked = self.run_one()
                self._forget()
            except Exception:
                log.exception("the queue of review tasks could not be read")
                worked = False
            if not worked:
                self._wake.acquire(timeout=POLL_SECONDS)

    def _forget(self) -> None:
        """Once an hour, one thread deletes what is out of date."""
        with self._forgetting:
            if time.monotonic() - self._forgot_at < FORGET_SECONDS:
                return
            self._forgot_at = time.monotonic()
        with self._work.database.write() as connection:
            forget(connection, self._work.settings, self._work.clock())
        self._tidy()

    def _claim(self, worker: str) -> Task | None:
        now = self._work.clock()
        lease = timedelta(seconds=self._work.settings.lease_s)
        with self._work.database.write() as connection:
            return tasks.claim(connection, worker, now, now + lease)

    def _attempt(self, task: Task, worker: str) -> None:
        try:
            self._perform(task)
        except Exception as error:
            log.exception("review task %s (%s) failed", task.task_id, task.kind, extra={"session_id": task.session_id})
            if task.attempts >= MAX_ATTEMPTS:
                self._abandon(task, type(error).__name__)
                return
            retry_at = self._work.clock() + timedelta(seconds=RETRY_SECONDS)
            with self._work.database.write() as connection:
                tasks.release(connection, task.task_id, worker, retry_at)


class _Lease:
    """Keeps a task's lease while it is worked on."""

    def __init__(self, work: ReviewWork, task: Task, worker: str) -> None:
        self._work, self._task, self._worker = work, task, worker
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="review-lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        lease = self._work.settings.lease_s
        while not self._done.wait(lease / 3):
            try:
                renewed = self._renew(lease)
            except SQLAlchemyError as error:  # the next attempt comes before the lease ends
                log.warning("the lease of review task %s was not renewed: %s", self._task.task_id, type(error).__name__)
                continue
            if not renewed:
                return

    def _renew(self, lease: float) -> bool:
        with self._work.database.write() as connection:
            until = self._work.clock() + timedelta(seconds=lease)
            return tasks.renew(connection, self._task.task_id, self._worker, until)
