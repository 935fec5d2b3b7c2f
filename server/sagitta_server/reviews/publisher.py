"""Publishes accepted texts: on record before anything is written, and with what came of it afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from sagitta_server.auth import Principal
from sagitta_server.reviews.environment import (
    Environment,
    EnvironmentUnavailableError,
    PublishOutcome,
    PublishRequest,
)
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.events import Event
from sagitta_server.reviews.idempotency import IdempotencyKeys
from sagitta_server.reviews.json_text import JsonText, dump, load
from sagitta_server.reviews.lifecycle import DATASET_CHANGED
from sagitta_server.reviews.publishing import Publication, Wish, audit_body, publish_request
from sagitta_server.reviews.recovery import with_conditions
from sagitta_server.reviews.settle import random_id
from sagitta_server.reviews.store.artifacts import Replay
from sagitta_server.reviews.store.codec import from_plain, to_plain
from sagitta_server.reviews.values import Condition, Review
from sagitta_server.reviews.work import Effects, ReviewWork

_OPERATION = "publish"


class Publisher:
    """Writes back; the network is never called inside a transaction."""

    def __init__(self, work: ReviewWork, environments: Callable[[str], Environment], keys: IdempotencyKeys) -> None:
        self._work = work
        self._environments = environments
        self._keys = keys

    def publish(
        self, principal: Principal, session_id: str, wish: Wish, expected: int | None, key: str
    ) -> tuple[Review, Publication, bool]:
        """Writes what differs and returns what that was; a repeated key brings the first publication back."""
        publication_id = random_id()
        digest = hashlib.sha256(dump([session_id, to_plain(wish)]).encode()).hexdigest()
        with self._work.user_change(principal) as connection:
            review = self._work.owned(connection, principal, session_id, lock=True)
            effects = Effects(connection, self._work.context(principal.user_id))
            again = self._keys.earlier(effects, principal, _OPERATION, key, digest)
            if again is not None:
                return self._work.shown(review), _publication(again), True
            self._work.check_version(review, expected)
            request = publish_request(review, wish)
            if not wish.dry_run:
                self._audit(effects, principal, review, publication_id, "publish.requested", request)
        outcome = self._ask(principal, review, publication_id, request)
        publication = Publication(
            publication_id,
            review.session.dataset_ref,
            self._work.clock(),
            wish.dry_run,
            outcome.changes,
            outcome.skipped,
        )
        if wish.dry_run:
            return self._work.shown(review), publication, False
        replay = Replay(digest, session_id, dump(to_plain(publication)), publication.published_at)
        try:
            return self._keep(principal, publication, outcome, request, key, replay), publication, False
        except IntegrityError:
            earlier = self._earlier(principal, session_id, digest, key)
            if earlier is None:
                raise
            return earlier  # the same key was faster: its answer is the answer

    def _earlier(
        self, principal: Principal, session_id: str, digest: str, key: str
    ) -> tuple[Review, Publication, bool] | None:
        with self._work.database.read() as connection:
            effects = Effects(connection, self._work.context(principal.user_id))
            again = self._keys.earlier(effects, principal, _OPERATION, key, digest)
            review = self._work.owned(connection, principal, session_id)
        return None if again is None else (self._work.shown(review), _publication(again), True)

    def _ask(
        self, principal: Principal, review: Review, publication_id: str, request: PublishRequest
    ) -> PublishOutcome:
        try:
            return self._environments(review.session.environment_id).publish(request)
        except (ReviewError, EnvironmentUnavailableError) as failure:
            error = (
                failure if isinstance(failure, ReviewError) else ReviewError("superset_unreachable", failure.message)
            )
            if not request.dry_run:
                self._note_failure(principal, review.session_id, publication_id, request, error)
            raise error from failure

    def _note_failure(
        self,
        principal: Principal,
        session_id: str,
        publication_id: str,
        request: PublishRequest,
        error: ReviewError,
    ) -> None:
        def mutation(review: Review, effects: Effects) -> Review:
            self._audit(effects, principal, review, publication_id, "publish.failed", request, error=error)
            if error.code != DATASET_CHANGED:
                return review
            condition = Condition("DATASET_CHANGED_UPSTREAM", error.message, "dataset")
            return with_conditions(review, [condition])  # so that it can be imported again

        self._work.system_change(session_id, mutation)

    def _keep(
        self,
        principal: Principal,
        publication: Publication,
        outcome: PublishOutcome,
        request: PublishRequest,
        key: str,
        replay: Replay,
    ) -> Review:
        """The review knowing the dataset as it now is: our own change is no foreign one."""

        def mutation(review: Review, effects: Effects) -> Review:
            self._audit(
                effects, principal, review, publication.publication_id, "publish.finished", request, outcome=outcome
            )
            self._keys.remember(effects, principal, _OPERATION, key, replay)
            effects.events.append(Event("semantics.published", note=_told(publication)))
            same = review.session.dataset_ref == publication.dataset_ref
            return replace(review, dataset=outcome.dataset) if outcome.dataset is not None and same else review

        assert replay.session_id is not None
        with self._work.database.write() as connection:
            review = self._work.owned(connection, principal, replay.session_id, lock=True)
            context = self._work.context(principal.user_id)
            after = self._work.apply(connection, review, mutation, context, user_change=True)
        self._work.notify()
        return self._work.shown(after)

    def _audit(
        self,
        effects: Effects,
        principal: Principal,
        review: Review,
        publication_id: str,
        kind: str,
        request: PublishRequest,
        *,
        outcome: PublishOutcome | None = None,
        error: ReviewError | None = None,
    ) -> None:
        keep = self._work.settings.audit_keep_values
        body = audit_body(review, request, keep_values=keep)
        if outcome is not None:
            body["changes"] = [asdict(c) if keep else f"{c.name} {c.attribute}".strip() for c in outcome.changes]
            body["skipped"] = list(outcome.skipped)
        if error is not None:
            body["error"] = {"code": error.code, "message": error.message}
        self._work.store.audit(
            effects.connection,
            session_id=review.session_id,
            run_context_id=publication_id,
            at=effects.context.now,
            kind=kind,
            actor=principal.user_id,
            token_id=principal.token_id,
            body=body,
        )


def _publication(text: str) -> Publication:
    held: Any = load(JsonText(text))
    return from_plain(Publication, held)


def _told(publication: Publication) -> str:
    count = len(publication.changes)
    return f"{count} text{'' if count == 1 else 's'} written to {publication.dataset_ref}"
