"""A review service with Superset environments, and reviews as their owner works on them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sagitta_server.reviews.answers import Answer
from sagitta_server.reviews.enums import AnswerKind, QuestionState, SourceKind
from sagitta_server.reviews.json_text import dump, load
from sagitta_server.reviews.mapping_decisions import MappingUpdate
from sagitta_server.reviews.questions import next_question
from sagitta_server.reviews.service import ReviewService
from sagitta_server.reviews.values import Filter, Mapping, Preview, Question, Review, Run
from server.reviews.world import ALICE, world

from superset.server import Superset

USERS = ("admin", "sam", "gina")
PATIENT = {"intake_wait_ms": 60_000, "preview_wait_ms": 60_000, "launch_wait_ms": 60_000}


def environment_settings(superset: Superset, user: str = "admin", **changes: Any) -> dict[str, Any]:
    """A Superset environment of the review service, as a file of settings holds it."""
    return {
        "base_url": superset.base_url,
        "username_env": f"SUPERSET_{user.upper()}_USER",
        "password_env": f"SUPERSET_{user.upper()}_PASSWORD",
        "reference_datasets": [superset.fixtures["ds_countries_ref"], superset.fixtures["ds_orders"]],
        "trusted_datasets": [superset.fixtures["ds_orders"]],
        **changes,
    }


def set_secrets(patch: pytest.MonkeyPatch) -> None:
    """The service accounts' names and passwords, where the settings look for them."""
    for user in USERS:
        patch.setenv(f"SUPERSET_{user.upper()}_USER", user)
        patch.setenv(f"SUPERSET_{user.upper()}_PASSWORD", user)


@dataclass
class Desk:
    """Alice at work."""

    service: ReviewService

    def start(self, source: str, environment: str = "bi", kind: SourceKind = SourceKind.SUPERSET_LINK) -> Sitting:
        """A review of a link, or of a selected dataset."""
        return Sitting(self.service, self.service.start_session(ALICE, kind, source, environment).review.session_id)

    def select(self, dataset: str | int, environment: str = "bi") -> Sitting:
        return self.start(str(dataset), environment, SourceKind.DATASET_SELECTION)


@dataclass
class Sitting:
    """Alice's work on one review."""

    service: ReviewService
    session_id: str

    @property
    def review(self) -> Review:
        """The review as it now is, once its import has ended."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            review = self.service.get_session(ALICE, self.session_id)
            if review.session.import_task_id is None:
                return review
            time.sleep(0.05)
        raise TimeoutError("the import does not end")

    @property
    def readiness(self) -> str:
        return self.review.session.readiness_state.value

    @property
    def codes(self) -> set[str]:
        """Codes of the findings that someone has to act on."""
        return {f.code for f in self.review.findings if f.resolution_state.value == "open"}

    @property
    def filters(self) -> set[tuple[str, str, Any, str]]:
        """Name, operator, value and source of every filter that has a value."""
        return {
            (f.filter_name, f.operator, _plain(f), f.source.value)
            for f in self.review.filters
            if f.recovery_status.value != "missing"
        }

    def mapping(self, variable: str) -> Mapping:
        review = self.review
        wanted = next(v.variable_id for v in review.variables if v.variable_name == variable)
        return next(m for m in review.mappings if m.variable_id == wanted)

    def give(self, variable: str, value: Any) -> None:
        """Writes a variable's value by hand."""
        update = MappingUpdate(dump(value))
        self.service.update_mapping(ALICE, self.session_id, self.mapping(variable).mapping_id, update, None)

    def approve(self, variable: str) -> None:
        self.service.approve_mapping(ALICE, self.session_id, self.mapping(variable).mapping_id, None, None)

    def question(self, topic: str) -> Question:
        return next(q for q in self.review.questions if q.topic_ref == topic and q.state is QuestionState.OPEN)

    def answer(self, question: Question, value: str, kind: AnswerKind = AnswerKind.SELECTED) -> None:
        """Answers the question that is asked next."""
        assert next_question(self.review.questions) == question
        self.service.resume_clarification(ALICE, self.session_id, None)
        self.service.submit_answer(ALICE, self.session_id, Answer(question.question_id, kind, value), None)

    def preview(self) -> Preview:
        return self.service.request_preview(ALICE, self.session_id, None).preview

    def launch(self) -> Run:
        return self.service.launch(ALICE, self.session_id, None).run


@contextmanager
def desk(superset: Superset, folder: Path, more: dict[str, Any] | None = None, **changes: Any) -> Iterator[Desk]:
    """A service with the environments `bi` (all rights), `five` (5 rows), `careful` (no probe), `sam` and `gina`."""
    environments = {
        "bi": environment_settings(superset),
        "five": environment_settings(superset, run_row_limit=5),
        "careful": environment_settings(superset, allow_probe=False),
        "sam": environment_settings(superset, "sam"),
        "gina": environment_settings(superset, "gina"),
        **(more or {}),
    }
    with pytest.MonkeyPatch.context() as patch:
        set_secrets(patch)
        with world(folder, environments=environments, **{**PATIENT, **changes}) as engine:
            yield Desk(engine.reviews.service)


def _plain(item: Filter) -> Any:
    value = load(item.normalized_value)
    return json.dumps(value) if isinstance(value, list | dict) else value
