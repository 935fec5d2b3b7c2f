"""What the review service asks of the place where a dataset lives.

An environment resolves sources, describes datasets, compiles and runs. It does I/O and may be slow; the service calls
it outside of transactions. The embedded `local` environment is one implementation; others plug in behind this protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sagitta_server.reviews.candidates import Entry
from sagitta_server.reviews.enums import FieldKind, SemanticSourceType, SourceKind, TrustLevel
from sagitta_server.reviews.json_text import EMPTY_OBJECT, JsonText
from sagitta_server.reviews.values import Condition, Dataset, Filter


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What a session was started from, and for whom."""

    source_kind: SourceKind
    source_input: str
    user_id: str
    chosen_dataset: str | None = None
    """The dataset that the owner named where the source was ambiguous."""


@dataclass(frozen=True, slots=True)
class Identified:
    """What a source names: one dataset, several possible ones, or none."""

    dataset_key: str | None = None
    """The environment's own key of the dataset; None while it is not known which."""
    dataset_ref: str = "unresolved:source"
    dataset_id: int | None = None
    dashboard_id: int | None = None
    conditions: tuple[Condition, ...] = ()
    """What stands in the way, e.g. `DATASET_AMBIGUOUS` with its options."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Filters found in a source; their ids are given by the service."""

    filters: tuple[Filter, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class OfferedSource:
    """A semantic source worth offering."""

    source_type: SemanticSourceType
    source_ref: str
    display_name: str
    trust_level: TrustLevel
    overlap: float | None = None


@dataclass(frozen=True, slots=True)
class DatasetTexts:
    """What another dataset says about its fields."""

    display_name: str
    trust_level: TrustLevel
    entries: tuple[Entry, ...]
    overlap: float | None = None


@dataclass(frozen=True, slots=True)
class CompileRequest:
    """The dataset as the source shows it, with a value for every variable that has one."""

    dataset: Dataset
    values: dict[str, JsonText]
    """Variable name to value, JSON null where there is none."""
    filters: tuple[Filter, ...]
    time_column: str | None
    row_limit: int
    user_id: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled text and how it came about."""

    sql: str
    dialect: str | None
    strategy: str
    kind: str = "local"
    executed_rows: int = 0
    warnings: tuple[str, ...] = ()
    """Filters that the text does not mention."""


class CompilationError(Exception):
    """The environment refused to compile; a preview fails with this code and message.

    `conditions` become findings until the next preview, e.g. `TEMPLATE_PROCESSING_DISABLED`.
    """

    def __init__(self, code: str, message: str, conditions: tuple[Condition, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.conditions = conditions


class EnvironmentUnavailableError(Exception):
    """The environment cannot be reached or refuses its account; `code` is a finding's code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class LiveState:
    """What a launch learns about the dataset right before it."""

    revision: str
    launchable: bool


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A previewed text to run."""

    session_id: str
    run_context_id: str
    owner_id: str
    sql: str
    dialect: str | None
    dataset: Dataset
    row_limit: int
    template_params: JsonText = EMPTY_OBJECT
    redirect_url: str = ""
    """Where the run can be looked at, as `RunStart` said; empty while the run is being prepared."""
    age_s: float = 0.0
    """Seconds since the run was launched."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """Where a run can be looked at, known before it ends."""

    sql_lab_session_ref: str
    redirect_url: str
    flight_ticket: str | None = None
    flight_endpoints: tuple[str, ...] = ()
    flight_schema: str | None = None
    flight_expires_s: int | None = None
    error: str | None = None
    """Why nothing was or will be sent; the run is on record as failed."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended."""

    error: str | None = None
    row_count: int | None = None
    truncated: bool = False
    executed_sql: str | None = None
    diverged: bool = False
    outcome_unknown: bool = False
    sql_lab_session_ref: str | None = None
    """Replaces that of `RunStart`, where the environment names the run only once it has taken it."""
    redirect_url: str | None = None
    """Replaces that of `RunStart`, likewise."""


@dataclass(frozen=True, slots=True)
class FieldTexts:
    """What a field shall be called and described as; None leaves what the environment has."""

    kind: FieldKind
    name: str
    verbose_name: str | None = None
    description: str | None = None
    display_format: str | None = None


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """Accepted texts on their way back to the dataset."""

    dataset: Dataset
    fields: tuple[FieldTexts, ...]
    description: str | None = None
    """The dataset's own description; None leaves it."""
    dry_run: bool = False
    """Tells what would be written, and writes nothing."""


@dataclass(frozen=True, slots=True)
class TextChange:
    """A text of a dataset that is another one now."""

    kind: FieldKind | None
    """None: the dataset's own description."""
    name: str
    attribute: str
    """`verbose_name`, `description` or `display_format`."""
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class PublishOutcome:
    """What was written."""

    changes: tuple[TextChange, ...]
    skipped: tuple[str, ...] = ()
    """What could not be written, in words: fields that the dataset does not have, formats of columns."""
    dataset: Dataset | None = None
    """The dataset as it now is, so that our own change is not taken for a foreign one; None when its SQL is another."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an environment can be used."""

    reachable: bool
    message: str = ""
    features: tuple[str, ...] = ()


class Environment(Protocol):
    """One configured environment; every method may be called from any thread."""

    @property
    def environment_id(self) -> str:
        """Its configured name."""
        ...

    @property
    def kind(self) -> str:
        """`local` or `superset`."""
        ...

    @property
    def base_url(self) -> str:
        """Where it lives; empty for the embedded one."""
        ...

    @property
    def run_row_limit(self) -> int:
        """Rows of a launched run."""
        ...

    def check_source(self, request: SourceRequest) -> None:
        """Parses a source without any network.

        Raises:
            ReviewError: it cannot be understood; no session is made.
        """
        ...

    def identify(self, request: SourceRequest) -> Identified:
        """Finds what the source names.

        Raises:
            EnvironmentUnavailableError: it could not be asked.
        """
        ...

    def describe(self, request: SourceRequest, dataset_key: str) -> Dataset:
        """Reads the dataset.

        Raises:
            EnvironmentUnavailableError: it could not be read.
        """
        ...

    def filters(self, request: SourceRequest, dataset: Dataset) -> Recovered:
        """Reads the filters of the source."""
        ...

    def offered_sources(self, request: SourceRequest, dataset: Dataset) -> tuple[OfferedSource, ...]:
        """Reference datasets and neighbours whose texts may help."""
        ...

    def dataset_texts(self, source_type: SemanticSourceType, ref: str, dataset: Dataset, user_id: str) -> DatasetTexts:
        """What a reference or neighbour dataset says about its fields.

        Raises:
            ReviewError: `semantic_source_not_found`.
        """
        ...

    def compile(self, request: CompileRequest) -> Compiled:
        """Compiles without executing.

        Raises:
            CompilationError: the attempt failed; that is a result.
        """
        ...

    def live_state(self, request: SourceRequest, dataset: Dataset) -> LiveState:
        """The dataset's revision and whether it may be run, asked right now.

        Raises:
            EnvironmentUnavailableError: it could not be asked.
        """
        ...

    def prepare_run(self, request: RunRequest) -> RunStart:
        """Makes the places where a run can be looked at; called once per run."""
        ...

    def execute_run(self, request: RunRequest, *, first: bool, cancelled: Callable[[], bool]) -> RunOutcome:
        """Runs the text to its end, or adopts what an earlier attempt of the same run did (`first` is False then)."""
        ...

    def forget_runs(self, run_context_ids: tuple[str, ...]) -> None:
        """Removes what is kept here of runs whose session was removed."""
        ...

    def tidy(self) -> None:
        """Removes what is kept here for too long; called once in a while."""
        ...

    @property
    def writes_back(self) -> bool:
        """Owners may publish accepted texts to their dataset here."""
        ...

    def publish(self, request: PublishRequest) -> PublishOutcome:
        """Writes texts into the dataset, and nothing else; the same request again changes nothing.

        Raises:
            ReviewError: `publish_disabled`, `publish_forbidden`, `dataset_changed`, `semantics_overwritten`,
                `superset_unreachable`, `superset_timeout`, `superset_error`.
        """
        ...

    def health(self) -> Health:
        """Whether it can be used."""
        ...
