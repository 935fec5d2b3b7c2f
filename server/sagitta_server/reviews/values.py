"""The values of a review: what the contract names, frozen. Their enumerations are in `enums.py`.

Every value is immutable; a change makes a new one with `dataclasses.replace`. Times are aware UTC datetimes; values of
open type are canonical JSON text (`JsonText`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sagitta_server.reviews.enums import (
    AnswerKind,
    ApprovalState,
    BusinessSummarySource,
    CandidateStatus,
    ChangedByKind,
    ClarificationStatus,
    ConfidenceState,
    DatasetType,
    FieldKind,
    FieldProvenance,
    FilterConfidenceState,
    FilterRecoveryStatus,
    FilterSource,
    FindingArea,
    FindingSeverity,
    LaunchStatus,
    MappingMethod,
    MappingStatus,
    MappingWarningLevel,
    MatchType,
    PreviewStatus,
    QuestionState,
    ReadinessState,
    RecommendedAction,
    ResolutionState,
    SemanticSourceStatus,
    SemanticSourceType,
    SessionPhase,
    SessionStatus,
    SourceKind,
    TrustLevel,
    VariableKind,
)
from sagitta_server.reviews.json_text import EMPTY_OBJECT, NULL, JsonText


@dataclass(frozen=True, slots=True)
class Session:
    """One review of one dataset by one owner."""

    session_id: str
    owner_id: str
    environment_id: str
    source_kind: SourceKind
    source_input: str
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime
    version: int = 0
    status: SessionStatus = SessionStatus.ACTIVE
    dataset_ref: str = "unresolved:import"
    dataset_id: int | None = None
    dashboard_id: int | None = None
    readiness_state: ReadinessState = ReadinessState.EMPTY
    current_phase: SessionPhase = SessionPhase.INTAKE
    recommended_action: RecommendedAction = RecommendedAction.IMPORT_FROM_SUPERSET
    active_task_id: str | None = None
    import_task_id: str | None = None
    """The import task that is queued or running."""
    imported: bool = False
    """At least one import attempt has ended."""
    reviewed: bool = False
    """The owner has changed something after the import, or exported the documentation."""
    chosen_dataset: str | None = None
    """The dataset that the owner named where the link was ambiguous."""
    main_time_column: str | None = None
    """The temporal column that the owner chose for the time range."""
    run_row_limit: int = 1000


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the dataset as its environment describes it."""

    name: str
    type: str = ""
    """The environment's own name of the type."""
    type_group: str = "other"
    """`number`, `text`, `time`, `boolean` or `other`."""
    expression: str | None = None
    label: str | None = None
    description: str | None = None
    display_format: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the dataset as its environment describes it."""

    name: str
    expression: str | None = None
    label: str | None = None
    description: str | None = None
    display_format: str | None = None
    type_group: str = "number"


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A text that may hold template variables, and where it stands (`sql`, `metric revenue`, ...)."""

    origin: str
    text: str
    shape: str | None = None
    """The shape every variable in it wants; None: the text around a variable tells."""
    is_literal: bool = False
    """Values are bound as literals, so no text in them can change the SQL."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The dataset as it was when it was imported."""

    ref: str
    name: str
    revision: str
    """`sha256:` over everything that shapes the SQL; labels are not in it."""
    dataset_type: DatasetType = DatasetType.UNKNOWN
    schema_name: str | None = None
    database_name: str | None = None
    description: str | None = None
    certified: bool | None = None
    columns: tuple[Column, ...] = ()
    metrics: tuple[Metric, ...] = ()
    main_time_column: str | None = None
    templates: tuple[TemplateText, ...] = ()
    template_params: JsonText = EMPTY_OBJECT
    base_url: str = ""
    """Where the environment lives; part of the fingerprint."""
    launchable: bool = True
    """The environment says that this dataset's database may run it."""
    payload: JsonText = NULL
    """What the environment needs to compile the dataset again; nobody else reads it."""

    @property
    def temporal_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold dates or times."""
        return tuple(c.name for c in self.columns if c.type_group == "time")


@dataclass(frozen=True, slots=True)
class Profile:
    """What the review says about the dataset as a whole."""

    profile_id: str
    created_at: datetime
    updated_at: datetime
    dataset_name: str = ""
    schema_name: str | None = None
    database_name: str | None = None
    business_summary: str = "Dataset not identified yet."
    business_summary_source: BusinessSummarySource = BusinessSummarySource.INFERRED
    description: str | None = None
    dataset_type: DatasetType = DatasetType.UNKNOWN
    is_sqllab_view: bool = False
    completeness_score: float | None = None
    confidence_state: ConfidenceState = ConfidenceState.UNRESOLVED
    has_blocking_findings: bool = False
    has_warning_findings: bool = False
    manual_summary_locked: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement about the session that someone may have to act on; identified by (code, caused_by_ref)."""

    finding_id: str
    area: FindingArea
    severity: FindingSeverity
    code: str
    title: str
    message: str
    resolution_state: ResolutionState = ResolutionState.OPEN
    resolution_note: str | None = None
    caused_by_ref: str | None = None
    cause: str = ""
    """What the owner's decision was about; another cause asks again."""
    created_at: datetime | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that an import or a task noticed and that holds until the next one; it becomes a finding."""

    code: str
    message: str
    ref: str | None = None
    cause: str = ""
    options: tuple[tuple[str, str], ...] = ()
    """Value and label of each answer that the owner may choose from, best first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed meaning of a field."""

    candidate_id: str
    match_type: MatchType
    confidence_score: float
    source_id: str | None = None
    trust_level: TrustLevel = TrustLevel.GENERATED
    candidate_rank: int = 0
    proposed_verbose_name: str | None = None
    proposed_description: str | None = None
    proposed_display_format: str | None = None
    status: CandidateStatus = CandidateStatus.PROPOSED


@dataclass(frozen=True, slots=True)
class Field:
    """A column, metric, static filter or parameter whose meaning is reviewed."""

    field_id: str
    field_name: str
    field_kind: FieldKind
    type_group: str = "other"
    verbose_name: str | None = None
    description: str | None = None
    display_format: str | None = None
    provenance: FieldProvenance = FieldProvenance.UNRESOLVED
    source_id: str | None = None
    confidence_rank: int | None = None
    is_locked: bool = False
    has_conflict: bool = False
    needs_review: bool = False
    last_changed_by: ChangedByKind = ChangedByKind.SYSTEM
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A semantic source that is offered or was applied."""

    source_id: str
    source_type: SemanticSourceType
    source_ref: str
    display_name: str
    trust_level: TrustLevel
    status: SemanticSourceStatus
    created_at: datetime
    schema_overlap_score: float | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A value recovered from the link or the query."""

    filter_id: str
    filter_name: str
    raw_value: JsonText
    source: FilterSource
    confidence_state: FilterConfidenceState
    recovery_status: FilterRecoveryStatus
    normalized_value: JsonText = NULL
    requires_confirmation: bool = False
    display_name: str | None = None
    notes: str | None = None
    operator: str = "=="
    column_name: str | None = None
    dataset_scope: bool = True
    removable: bool = True
    """The owner may drop it; static filters of a model always apply."""
    is_template: bool = False
    """Its value is template text, filled from variables."""
    is_placeholder: bool = False
    """It exists so that a required variable without any filter can be given a value."""
    origin: str = ""
    """Where it was found; with column and operator it is the key by which a new import finds it again."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that the dataset's template reads."""

    variable_id: str
    variable_name: str
    expression_source: str
    variable_kind: VariableKind
    is_required: bool
    default_value: JsonText = NULL
    mapping_status: MappingStatus = MappingStatus.UNMAPPED
    shape: str = "scalar"
    """`list`, `scalar`, `number` or `time`: what the template does with the value."""
    is_escaped: bool = True
    """The environment writes the value as a literal; a plain name is pasted by Superset as it stands."""
    keeps_operator: bool = False
    """The template reads operators too (`get_filters`)."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """A filter that feeds a variable."""

    mapping_id: str
    filter_id: str
    variable_id: str
    mapping_method: MappingMethod
    raw_input_value: JsonText
    effective_value: JsonText = NULL
    transformation_note: str | None = None
    owner_note: str | None = None
    """The owner's own note, shown instead of the generated one."""
    warning_level: MappingWarningLevel | None = None
    requires_explicit_approval: bool = False
    approval_state: ApprovalState = ApprovalState.NOT_REQUIRED
    approved_by_user_id: str | None = None
    approved_at: datetime | None = None
    is_invalid: bool = False
    """The value cannot take the shape that the variable wants."""


@dataclass(frozen=True, slots=True)
class Option:
    """A ready answer to a question."""

    option_id: str
    label: str
    value: str
    is_recommended: bool
    display_order: int


@dataclass(frozen=True, slots=True)
class Question:
    """Something that only the owner can decide; identified by (topic_ref, cause)."""

    question_id: str
    topic_ref: str
    topic: str
    """Which rule asked it, e.g. `variable.required`."""
    cause: str
    question_text: str
    why_it_matters: str
    priority: int
    created_at: datetime
    blocking: bool = False
    current_guess: str | None = None
    state: QuestionState = QuestionState.OPEN
    options: tuple[Option, ...] = ()
    answer_kind: AnswerKind | None = None
    answer_value: str | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clarification:
    """The questions of a session as one conversation."""

    clarification_session_id: str
    status: ClarificationStatus = ClarificationStatus.PENDING
    current_question_id: str | None = None
    summary_delta: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """One attempt to compile the dataset as the link shows it."""

    preview_id: str
    preview_status: PreviewStatus
    preview_fingerprint: str
    created_at: datetime
    task_id: str | None = None
    compiled_sql: str | None = None
    dialect: str | None = None
    error_code: str | None = None
    error_details: str | None = None
    compiled_at: datetime | None = None
    compiler_kind: str = "local"
    """`superset` or `local`: who compiled, where the contract's enum can only say `superset`."""
    strategy: str = "local"
    """How it was compiled; empty while the environment has not chosen, or where it failed."""
    executed_rows: int = 0
    revision: str = ""
    uses_relative_time: bool = False
    stale_reason: str | None = None
    """Set when something other than fingerprint or age made it stale."""
    warnings: tuple[str, ...] = ()
    """Columns of filters that the compiled text does not mention."""


@dataclass(frozen=True, slots=True)
class Run:
    """One launch of a previewed text; everything it refers to is copied when it starts."""

    run_context_id: str
    dataset_ref: str
    environment_id: str
    preview_id: str
    sql_lab_session_ref: str
    redirect_url: str
    created_at: datetime
    task_id: str | None = None
    effective_filters: tuple[Filter, ...] = ()
    template_params: JsonText = EMPTY_OBJECT
    approved_mapping_ids: tuple[str, ...] = ()
    semantic_decision_refs: tuple[str, ...] = ()
    open_warning_refs: tuple[str, ...] = ()
    launch_status: LaunchStatus = LaunchStatus.STARTED
    launch_error: str | None = None
    sql: str = ""
    executed_sql: str | None = None
    row_count: int | None = None
    truncated: bool = False
    """More rows existed than `run_row_limit` let through."""
    finished_at: datetime | None = None
    outcome_unknown: bool = False
    diverged: bool = False
    cancel_requested: bool = False
    flight_ticket: str | None = None
    """Base64 of the ticket that fetches the rows, and what a client needs beside it."""
    flight_endpoints: tuple[str, ...] = ()
    flight_schema: str | None = None
    flight_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A session with everything that hangs off it."""

    session: Session
    profile: Profile
    dataset: Dataset | None = None
    conditions: tuple[Condition, ...] = ()
    findings: tuple[Finding, ...] = ()
    sources: tuple[Source, ...] = ()
    fields: tuple[Field, ...] = ()
    filters: tuple[Filter, ...] = ()
    variables: tuple[Variable, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    clarification: Clarification | None = None
    questions: tuple[Question, ...] = ()
    preview: Preview | None = None
    run: Run | None = None
    removed_filters: tuple[str, ...] = field(default=())
    """Natural keys of filters that the owner removed; a new import leaves them out."""
    confirmed_filters: tuple[str, ...] = field(default=())
    """Natural keys of filters that the owner confirmed."""

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.session.session_id

    @property
    def is_resolved(self) -> bool:
        """The dataset is known."""
        return not self.session.dataset_ref.startswith("unresolved:")
