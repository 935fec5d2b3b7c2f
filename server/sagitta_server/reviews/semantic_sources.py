"""Semantic sources as a caller gives them: dictionaries uploaded, sources read and applied."""

from __future__ import annotations

from datetime import timedelta

from sagitta_server.auth import Permission, Principal
from sagitta_server.reviews.dictionaries import StoredFile, new_source
from sagitta_server.reviews.enums import SemanticSourceType, TrustLevel
from sagitta_server.reviews.errors import ReviewError, Violation, validation_error
from sagitta_server.reviews.lifecycle import require_active, require_dataset
from sagitta_server.reviews.semantics import with_failed_source
from sagitta_server.reviews.settle import random_id
from sagitta_server.reviews.sourcing import SourceResolver, apply_resolved
from sagitta_server.reviews.store import artifacts
from sagitta_server.reviews.store.artifacts import Upload
from sagitta_server.reviews.values import Review
from sagitta_server.reviews.work import Effects, ReviewWork, as_reader


class SemanticSources:
    """The operations on semantic sources; how they are read is in `sourcing.py`."""

    def __init__(self, work: ReviewWork, resolver: SourceResolver) -> None:
        self._work = work
        self._settings = work.settings
        self._resolver = resolver

    def apply(
        self, principal: Principal, session_id: str, kind: SemanticSourceType, ref: str, expected: int | None
    ) -> Review:
        """Resolves a source, records its candidates and applies what may be applied."""
        principal.require(Permission.SESSION_MANAGE)
        if not ref.strip():
            raise validation_error(Violation("body.source_ref", "must not be empty"))
        review = self._work.read(as_reader(principal), session_id)
        self._work.check_version(review, expected)
        require_active(review)
        require_dataset(review)
        try:
            resolved = self._resolver.resolve(review, kind, ref, lambda key: self._find_upload(principal, key))
        except ReviewError as error:
            if error.code in {"semantic_source_invalid", "upload_too_large", "unsupported_media_type"}:
                self._record_failure(principal, session_id, kind, ref, error)
            raise

        def mutation(current: Review, effects: Effects) -> Review:
            require_dataset(current)
            effects.note = resolved.note
            return apply_resolved(current, kind, resolved, effects.context)

        return self._work.change(principal, session_id, expected, mutation)

    def upload(self, principal: Principal, file_name: str, media_type: str, content: bytes) -> Upload:
        """Stores a dictionary for a while."""
        principal.require(Permission.SESSION_MANAGE)
        if not file_name.strip() or len(file_name) > 255:
            raise validation_error(Violation("file_name", "must have 1 to 255 characters"))
        if len(content) > self._settings.max_upload_bytes:
            raise ReviewError("upload_too_large", f"A dictionary may have {self._settings.max_upload_bytes} bytes.")
        now = self._work.clock()
        upload = Upload(
            upload_id=random_id(),
            owner_id=principal.user_id,
            file_name=file_name.replace("\\", "/").rsplit("/", 1)[-1],
            media_type=media_type[:128],
            content=content,
            created_at=now,
            expires_at=now + timedelta(seconds=self._settings.upload_ttl_s),
        )
        with self._work.user_change(principal) as connection:
            artifacts.insert_upload(connection, upload, keep=self._settings.max_uploads_per_user)
        return upload

    def _find_upload(self, principal: Principal, upload_id: str) -> StoredFile | None:
        with self._work.database.read() as connection:
            upload = artifacts.read_upload(connection, upload_id, principal.user_id, self._work.clock())
        return None if upload is None else StoredFile(upload.file_name, upload.media_type, upload.content)

    def _record_failure(
        self, principal: Principal, session_id: str, kind: SemanticSourceType, ref: str, error: ReviewError
    ) -> None:
        source = new_source(kind, ref[:512], ref[:64], TrustLevel.RECOMMENDED)
        self._work.change(
            principal, session_id, None, lambda review, _: with_failed_source(review, source, error.message)
        )
