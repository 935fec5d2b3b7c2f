"""Artifacts: made once per version and format, kept with their session."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from sagitta_server.reviews.enums import ArtifactFormat, ArtifactType
from sagitta_server.reviews.exports import export_bytes
from sagitta_server.reviews.settle import decided_session, random_id
from sagitta_server.reviews.store import artifacts
from sagitta_server.reviews.store.artifacts import Artifact
from sagitta_server.reviews.values import Review, Run
from sagitta_server.reviews.work import Effects, ReviewWork, session_not_found


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which artifact of a review."""

    kind: ArtifactType
    form: ArtifactFormat
    mask: bool = False
    variant: str = ""
    """What else the bytes depend on."""


class Exporter:
    """Makes and finds artifacts."""

    def __init__(self, work: ReviewWork) -> None:
        self._work = work

    def artifact(
        self, review: Review, kind: ArtifactType, form: ArtifactFormat, user_id: str, *, mask: bool
    ) -> Artifact:
        """The artifact of a review as it is; the same version and format give the same one."""
        wanted = Wanted(kind, form, mask, ("masked." if mask else "") + _state_digest(review))
        return self._find(review, wanted) or self._make(review, wanted, user_id)

    def store_run_summary(self, effects: Effects, review: Review, run: Run) -> None:
        """Keeps what a run did, in the transaction in which it ends."""
        wanted = Wanted(ArtifactType.RUN_SUMMARY, ArtifactFormat.JSON, variant=run.run_context_id)
        made, content = _render(replace(review, run=run), wanted, review.session.owner_id, effects.context.now)
        artifacts.insert_artifact(effects.connection, review.session_id, made, content)

    def mark_reviewed(self, session_id: str) -> Review | None:
        """Notes that the owner has read the documentation: readiness may change, the version does not."""
        with self._work.database.write() as connection:
            review = self._work.store.load(connection, session_id, lock=True)
            if review is None:
                return None
            read = replace(review, session=replace(review.session, reviewed=True))
            decided = decided_session(read, self._work.context())
            self._work.store.mark_reviewed(connection, decided)
        self._work.notify()
        return replace(read, session=decided)

    def _find(self, review: Review, wanted: Wanted) -> Artifact | None:
        with self._work.database.read() as connection:
            return artifacts.find_artifact(
                connection,
                review.session_id,
                wanted.kind,
                wanted.form,
                variant=wanted.variant,
                version=review.session.version,
            )

    def _make(self, review: Review, wanted: Wanted, user_id: str) -> Artifact:
        made, content = _render(review, wanted, user_id, self._work.clock())
        try:
            with self._work.database.write() as connection:
                artifacts.insert_artifact(connection, review.session_id, made, content)
        except IntegrityError:  # somebody else made the same one a moment ago, or the session is gone
            held = self._find(review, wanted)
            if held is None:
                raise session_not_found() from None
            return held
        return made


def _render(review: Review, wanted: Wanted, user_id: str, now: datetime) -> tuple[Artifact, bytes]:
    content, media_type, file_name = export_bytes(review, wanted.kind, wanted.form, now, mask=wanted.mask)
    made = Artifact(
        artifact_id=random_id(),
        artifact_type=wanted.kind,
        format=wanted.form,
        variant=wanted.variant,
        version=review.session.version,
        media_type=media_type,
        file_name=file_name,
        sha256=artifacts.sha256_of(content),
        created_by_user_id=user_id,
        created_at=now,
    )
    return made, content


def _state_digest(review: Review) -> str:
    """What an export shows that changes without a new version: the effective preview and the decision."""
    session, preview = review.session, review.preview
    shown = (session.readiness_state, session.recommended_action, preview.preview_status if preview else "")
    return hashlib.sha256("\x1f".join(shown).encode()).hexdigest()[:12]
