"""The enumerations of a review, in the contract's words."""

from __future__ import annotations

from enum import StrEnum


class SessionStatus(StrEnum):
    """What the owner decided about a session."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"
    CANCELLED = "cancelled"


class SessionPhase(StrEnum):
    """Where in the workflow a session stands."""

    INTAKE = "intake"
    RECOVERY = "recovery"
    REVIEW = "review"
    SEMANTIC_REVIEW = "semantic_review"
    CLARIFICATION = "clarification"
    MAPPING_REVIEW = "mapping_review"
    PREVIEW = "preview"
    LAUNCH = "launch"
    POST_RUN = "post_run"


class ReadinessState(StrEnum):
    """What the facts say about a session."""

    EMPTY = "empty"
    IMPORTING = "importing"
    REVIEW_READY = "review_ready"
    SEMANTIC_SOURCE_REVIEW_NEEDED = "semantic_source_review_needed"
    CLARIFICATION_NEEDED = "clarification_needed"
    CLARIFICATION_ACTIVE = "clarification_active"
    MAPPING_REVIEW_NEEDED = "mapping_review_needed"
    COMPILED_PREVIEW_READY = "compiled_preview_ready"
    PARTIALLY_READY = "partially_ready"
    RUN_READY = "run_ready"
    RUN_IN_PROGRESS = "run_in_progress"
    COMPLETED = "completed"
    RECOVERY_REQUIRED = "recovery_required"


class RecommendedAction(StrEnum):
    """The next step offered to the owner."""

    IMPORT_FROM_SUPERSET = "import_from_superset"
    REVIEW_DOCUMENTATION = "review_documentation"
    APPLY_SEMANTIC_SOURCE = "apply_semantic_source"
    START_CLARIFICATION = "start_clarification"
    ANSWER_NEXT_QUESTION = "answer_next_question"
    APPROVE_MAPPING = "approve_mapping"
    GENERATE_SQL_PREVIEW = "generate_sql_preview"
    COMPLETE_REQUIRED_VALUES = "complete_required_values"
    LAUNCH_DATASET = "launch_dataset"
    RESUME_SESSION = "resume_session"
    EXPORT_OUTPUTS = "export_outputs"


class SourceKind(StrEnum):
    """What a session was started from."""

    SUPERSET_LINK = "superset_link"
    DATASET_SELECTION = "dataset_selection"


class BusinessSummarySource(StrEnum):
    """Who wrote the summary."""

    CONFIRMED = "confirmed"
    IMPORTED = "imported"
    INFERRED = "inferred"
    AI_DRAFT = "ai_draft"
    MANUAL_OVERRIDE = "manual_override"


class ConfidenceState(StrEnum):
    """How sure the documentation of the whole dataset is."""

    CONFIRMED = "confirmed"
    MOSTLY_CONFIRMED = "mostly_confirmed"
    MIXED = "mixed"
    LOW_CONFIDENCE = "low_confidence"
    UNRESOLVED = "unresolved"


class DatasetType(StrEnum):
    """What a dataset is made of."""

    TABLE = "table"
    VIRTUAL = "virtual"
    SQLLAB_VIEW = "sqllab_view"
    UNKNOWN = "unknown"


class FindingArea(StrEnum):
    """The part of the review that a finding belongs to."""

    SOURCE_INTAKE = "source_intake"
    DATASET_PROFILE = "dataset_profile"
    SEMANTIC_ENRICHMENT = "semantic_enrichment"
    CLARIFICATION = "clarification"
    FILTER_RECOVERY = "filter_recovery"
    TEMPLATE_MAPPING = "template_mapping"
    COMPILED_PREVIEW = "compiled_preview"
    LAUNCH = "launch"
    AUDIT = "audit"


class FindingSeverity(StrEnum):
    """How much a finding stands in the way, worst first."""

    BLOCKING = "blocking"
    WARNING = "warning"
    INFORMATIONAL = "informational"


class ResolutionState(StrEnum):
    """What became of a finding."""

    OPEN = "open"
    RESOLVED = "resolved"
    APPROVED = "approved"
    SKIPPED = "skipped"
    DEFERRED = "deferred"
    EXPERT_REVIEW = "expert_review"


class SemanticSourceType(StrEnum):
    """Where descriptions of fields come from."""

    UPLOADED_FILE = "uploaded_file"
    CONNECTED_DICTIONARY = "connected_dictionary"
    REFERENCE_DATASET = "reference_dataset"
    NEIGHBOR_DATASET = "neighbor_dataset"
    AI_GENERATED = "ai_generated"


class TrustLevel(StrEnum):
    """How far a source is trusted, best first."""

    TRUSTED = "trusted"
    RECOMMENDED = "recommended"
    CANDIDATE = "candidate"
    GENERATED = "generated"


class SemanticSourceStatus(StrEnum):
    """What became of a source."""

    AVAILABLE = "available"
    SELECTED = "selected"
    APPLIED = "applied"
    REJECTED = "rejected"
    PARTIAL = "partial"
    FAILED = "failed"


class FieldKind(StrEnum):
    """What a reviewed field is."""

    COLUMN = "column"
    METRIC = "metric"
    FILTER_DIMENSION = "filter_dimension"
    PARAMETER = "parameter"


class FieldProvenance(StrEnum):
    """Where a field's texts come from."""

    DICTIONARY_EXACT = "dictionary_exact"
    REFERENCE_IMPORTED = "reference_imported"
    FUZZY_INFERRED = "fuzzy_inferred"
    AI_GENERATED = "ai_generated"
    MANUAL_OVERRIDE = "manual_override"
    UNRESOLVED = "unresolved"


class ChangedByKind(StrEnum):
    """Who changed a field last."""

    SYSTEM = "system"
    USER = "user"
    AGENT = "agent"


class MatchType(StrEnum):
    """How a candidate was found, best first."""

    EXACT = "exact"
    REFERENCE = "reference"
    FUZZY = "fuzzy"
    GENERATED = "generated"


class CandidateStatus(StrEnum):
    """What became of a candidate."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class FilterSource(StrEnum):
    """Where a filter was found."""

    SUPERSET_NATIVE = "superset_native"
    SUPERSET_URL = "superset_url"
    MANUAL = "manual"
    INFERRED = "inferred"


class FilterConfidenceState(StrEnum):
    """How sure a filter's value is."""

    CONFIRMED = "confirmed"
    IMPORTED = "imported"
    INFERRED = "inferred"
    AI_DRAFT = "ai_draft"
    UNRESOLVED = "unresolved"


class FilterRecoveryStatus(StrEnum):
    """How much of a filter was recovered."""

    RECOVERED = "recovered"
    PARTIAL = "partial"
    MISSING = "missing"
    CONFLICTED = "conflicted"


class VariableKind(StrEnum):
    """What a template variable is fed by."""

    NATIVE_FILTER = "native_filter"
    PARAMETER = "parameter"
    DERIVED = "derived"
    UNKNOWN = "unknown"


class MappingStatus(StrEnum):
    """State of a variable's value."""

    UNMAPPED = "unmapped"
    PROPOSED = "proposed"
    APPROVED = "approved"
    OVERRIDDEN = "overridden"
    INVALID = "invalid"


class MappingMethod(StrEnum):
    """How a filter was linked to a variable, best first."""

    DIRECT_MATCH = "direct_match"
    HEURISTIC_MATCH = "heuristic_match"
    SEMANTIC_MATCH = "semantic_match"
    MANUAL_OVERRIDE = "manual_override"


class MappingWarningLevel(StrEnum):
    """How much a mapping deserves a second look."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ApprovalState(StrEnum):
    """The owner's word on a mapping."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    NOT_REQUIRED = "not_required"


class ClarificationStatus(StrEnum):
    """State of the questions of a session."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class QuestionState(StrEnum):
    """What became of a question."""

    OPEN = "open"
    ANSWERED = "answered"
    SKIPPED = "skipped"
    EXPERT_REVIEW = "expert_review"
    SUPERSEDED = "superseded"


class AnswerKind(StrEnum):
    """How a question was answered."""

    SELECTED = "selected"
    CUSTOM = "custom"
    SKIPPED = "skipped"
    EXPERT_REVIEW = "expert_review"


class PreviewStatus(StrEnum):
    """State of a compiled preview."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    STALE = "stale"


class LaunchStatus(StrEnum):
    """State of a run."""

    STARTED = "started"
    SUCCESS = "success"
    FAILED = "failed"


class ArtifactType(StrEnum):
    """What an exported artifact holds."""

    DOCUMENTATION = "documentation"
    VALIDATION_REPORT = "validation_report"
    RUN_SUMMARY = "run_summary"


class ArtifactFormat(StrEnum):
    """How an exported artifact is written."""

    JSON = "json"
    MARKDOWN = "markdown"
    CSV = "csv"
    PDF = "pdf"
