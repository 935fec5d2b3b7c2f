"""Previews and launches as a caller asks for them: looked up, started, waited for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from sagitta_server.auth import Permission, Principal
from sagitta_server.reviews.enums import PreviewStatus
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.gates import Gate
from sagitta_server.reviews.idempotency import IdempotencyKeys, check_key, digest_of, key_reused
from sagitta_server.reviews.launches import Launcher, blocked_error, with_cancel_requested
from sagitta_server.reviews.lifecycle import is_running
from sagitta_server.reviews.previews import Previewer
from sagitta_server.reviews.store.artifacts import Replay
from sagitta_server.reviews.values import Preview, Review, Run
from sagitta_server.reviews.work import Effects, ReviewWork, as_reader

_LAUNCH_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class PreviewAnswer:
    """A preview as it now is."""

    review: Review
    preview: Preview
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class LaunchAnswer:
    """A run as it now is."""

    review: Review
    run: Run
    replayed: bool = False


class Executions:
    """The operations on previews and runs; what the background does is in `previews.py` and `launches.py`."""

    def __init__(self, work: ReviewWork, previewer: Previewer, launcher: Launcher, keys: IdempotencyKeys) -> None:
        self._work = work
        self._settings = work.settings
        self._previewer = previewer
        self._launcher = launcher
        self._keys = keys

    def request_preview(
        self,
        principal: Principal,
        session_id: str,
        expected: int | None,
        *,
        key: str = "",
        force: bool = False,
        wait: bool = True,
    ) -> PreviewAnswer:
        """Compiles the dataset, or returns the preview that still holds; waits a short while."""
        check_key(key)
        replayed: list[str] = []

        def mutation(review: Review, effects: Effects) -> Review:
            again = self._keys.earlier(effects, principal, "preview", key, digest_of(session_id, force))
            if again is not None:
                replayed.append(again)
                return review
            after = self._previewer.request(review, effects, force=force)
            assert after.preview is not None
            made, now = after.preview.preview_id, effects.context.now
            replay = Replay(digest_of(session_id, force), session_id, made, now)
            self._remember(effects, principal, "preview", key, replay)
            return after

        after = self._work.change(principal, session_id, expected, mutation)
        assert after.preview is not None
        if replayed:
            return PreviewAnswer(after, self._preview_by_id(after, replayed[0]), replayed=True)
        if after.preview.preview_status is PreviewStatus.PENDING and wait:
            self._work.await_task(after.preview.task_id, self._settings.preview_wait_ms / 1000)
            after = self._work.read(as_reader(principal), session_id)
        assert after.preview is not None
        return PreviewAnswer(after, after.preview)

    def launch(
        self, principal: Principal, session_id: str, expected: int | None, *, key: str = "", wait: bool = True
    ) -> LaunchAnswer:
        """Runs exactly the previewed text, once all gates are passed; waits a short while for its end."""
        principal.require(Permission.EXECUTION_LAUNCH, Permission.SESSION_READ)
        check_key(key)
        for attempt in range(_LAUNCH_ATTEMPTS):
            try:
                after, run_id, replayed = self._try_launch(principal, session_id, expected, key)
                break
            except ReviewError as error:
                if error.code != "session_version_conflict" or expected is not None or attempt + 1 == _LAUNCH_ATTEMPTS:
                    raise
        run = self._run(after, run_id)
        if not replayed and wait:
            self._work.await_task(run.task_id, self._settings.launch_wait_ms / 1000)
            after = self._work.read(principal, session_id)
            run = self._run(after, run_id)
        return LaunchAnswer(after, run, replayed)

    def get_run(self, principal: Principal, session_id: str, run_context_id: str) -> tuple[Review, Run]:
        """One run of a session."""
        review = self._work.read(principal, session_id)
        return review, self._run(review, run_context_id)

    def cancel_run(self, principal: Principal, session_id: str, run_context_id: str) -> tuple[Review, Run]:
        """Asks a run to stop and waits a short while for it."""

        def mutation(review: Review, _: Effects) -> Review:
            run = self._run(review, run_context_id)
            if review.run is None or run.run_context_id != review.run.run_context_id or not is_running(review):
                raise ReviewError("run_not_running", "The run has ended already.")
            return with_cancel_requested(review, review.run)

        after = self._work.change(
            principal,
            session_id,
            None,
            mutation,
            permission=Permission.EXECUTION_LAUNCH,
            needs_active=False,
        )
        self._launcher.request_cancel(run_context_id)
        self._work.await_task(after.run.task_id if after.run else None, 2.0)
        return self.get_run(as_reader(principal), session_id, run_context_id)

    def _try_launch(
        self, principal: Principal, session_id: str, expected: int | None, key: str
    ) -> tuple[Review, str, bool]:
        seen = self._work.read(principal, session_id)
        looked = self._launcher.look(principal, seen)
        outcome: list[tuple[Gate, ...]] = []
        replayed: list[str] = []

        def mutation(review: Review, effects: Effects) -> Review:
            again = self._keys.earlier(effects, principal, "launch", key, digest_of(session_id))
            if again is not None:
                replayed.append(again)
                return review
            after, blocked = self._launcher.launch(review, effects, principal, looked)
            outcome.append(blocked)
            if not blocked and after.run is not None:
                replay = Replay(digest_of(session_id), session_id, after.run.run_context_id, effects.context.now)
                self._remember(effects, principal, "launch", key, replay)
            return after

        after = self._work.change(
            principal, session_id, expected, mutation, permission=Permission.EXECUTION_LAUNCH, needs_active=False
        )
        if replayed:
            return after, replayed[0], True
        if outcome[0]:
            raise blocked_error(outcome[0])
        assert after.run is not None
        return after, after.run.run_context_id, False

    def _remember(self, effects: Effects, principal: Principal, operation: str, key: str, replay: Replay) -> None:
        try:
            self._keys.remember(effects, principal, operation, key, replay)
        except IntegrityError:  # the same key was faster for another review; for this one it would have waited
            raise key_reused() from None

    def _run(self, review: Review, run_context_id: str) -> Run:
        if review.run is not None and review.run.run_context_id == run_context_id:
            return review.run
        with self._work.database.read() as connection:
            run = self._work.store.run(connection, review.session_id, run_context_id)
        if run is None:
            raise ReviewError("run_not_found", "This session has no such run.")
        return run

    def _preview_by_id(self, review: Review, preview_id: str) -> Preview:
        if review.preview is not None and review.preview.preview_id == preview_id:
            return review.preview
        with self._work.database.read() as connection:
            found = self._work.store.preview(connection, review.session_id, preview_id)
        assert found is not None  # previews are kept as long as their session
        return found
