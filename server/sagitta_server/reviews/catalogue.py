"""Every finding that can be raised: its area, severity, title, and whether it holds recovery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sagitta_server.reviews.enums import FindingArea, FindingSeverity


@dataclass(frozen=True, slots=True)
class Kind:
    """What is fixed about all findings of one code."""

    area: FindingArea
    severity: FindingSeverity
    title: str
    holds_recovery: bool = False


_B, _W, _I = FindingSeverity.BLOCKING, FindingSeverity.WARNING, FindingSeverity.INFORMATIONAL
_INTAKE, _PROFILE, _FILTERS = FindingArea.SOURCE_INTAKE, FindingArea.DATASET_PROFILE, FindingArea.FILTER_RECOVERY
_TEMPLATE, _SEMANTIC = FindingArea.TEMPLATE_MAPPING, FindingArea.SEMANTIC_ENRICHMENT
_PREVIEW, _LAUNCH, _AUDIT = FindingArea.COMPILED_PREVIEW, FindingArea.LAUNCH, FindingArea.AUDIT

CATALOGUE: Mapping[str, Kind] = {
    "SOURCE_NOT_FOUND": Kind(_INTAKE, _B, "What the source names does not exist", holds_recovery=True),
    "SUPERSET_UNREACHABLE": Kind(_INTAKE, _B, "Superset cannot be reached", holds_recovery=True),
    "SUPERSET_AUTH_FAILED": Kind(_INTAKE, _B, "Superset refuses the service account", holds_recovery=True),
    "ENVIRONMENT_FAILED": Kind(_INTAKE, _B, "The environment cannot answer", holds_recovery=True),
    "DATASET_AMBIGUOUS": Kind(_INTAKE, _B, "Several datasets are possible", holds_recovery=True),
    "DATASET_UNRESOLVED": Kind(_INTAKE, _B, "No dataset is identified", holds_recovery=True),
    "DATASET_NOT_ACCESSIBLE": Kind(_PROFILE, _B, "The dataset cannot be read", holds_recovery=True),
    "LINK_PARTIALLY_UNDERSTOOD": Kind(_INTAKE, _I, "Parts of the source were ignored"),
    "DATASET_EMPTY_SCHEMA": Kind(_PROFILE, _B, "The dataset has no columns"),
    "DATASET_NOT_CERTIFIED": Kind(_PROFILE, _I, "The dataset is not certified"),
    "DATASET_DESCRIPTION_MISSING": Kind(_PROFILE, _I, "The dataset has no description of its own"),
    "DATASET_LIMIT_EXCEEDED": Kind(_PROFILE, _W, "The dataset is larger than a review"),
    "SERVICE_ACCOUNT_CONTEXT": Kind(_PROFILE, _I, "The template asks who the user is"),
    "REIMPORT_REMOVED_ITEMS": Kind(_PROFILE, _W, "Items vanished upstream"),
    "FILTER_STATE_UNAVAILABLE": Kind(_FILTERS, _W, "The saved filter state is gone", holds_recovery=True),
    "NATIVE_FILTERS_UNPARSABLE": Kind(_FILTERS, _W, "Part of the filters cannot be read", holds_recovery=True),
    "FILTER_VALUE_CONFLICT": Kind(_FILTERS, _W, "Two values for one filter", holds_recovery=True),
    "FILTER_NEEDS_CONFIRMATION": Kind(_FILTERS, _W, "A filter needs confirmation"),
    "FILTER_SQL_EXPRESSION": Kind(_FILTERS, _W, "A filter is free SQL"),
    "FILTER_COLUMN_UNKNOWN": Kind(_FILTERS, _W, "A filter names no column"),
    "FILTERS_LEFT_OUT": Kind(_FILTERS, _B, "Filters of the source are left out"),
    "FILTER_OUT_OF_SCOPE": Kind(_FILTERS, _I, "A filter does not apply to this dataset"),
    "RELATIVE_TIME_RANGE": Kind(_FILTERS, _I, "A time range depends on the day"),
    "TEMPLATE_SYNTAX_ERROR": Kind(_TEMPLATE, _B, "A template cannot be read"),
    "TEMPLATE_DYNAMIC_REFERENCE": Kind(_TEMPLATE, _W, "A template computes what it reads"),
    "TEMPLATE_PROCESSING_DISABLED": Kind(_TEMPLATE, _B, "Templates are switched off"),
    "REQUIRED_VALUE_MISSING": Kind(_TEMPLATE, _B, "A required value is missing"),
    "MAPPING_AMBIGUOUS": Kind(_TEMPLATE, _W, "Several filters fit one variable"),
    "MAPPING_INVALID": Kind(_TEMPLATE, _B, "A value does not fit its variable"),
    "MAPPING_APPROVAL_REQUIRED": Kind(_TEMPLATE, _W, "A mapping needs approval"),
    "UNSAFE_TEMPLATE_VALUE": Kind(_TEMPLATE, _W, "A value is pasted into SQL unescaped"),
    "MAIN_TIME_COLUMN_UNKNOWN": Kind(_TEMPLATE, _W, "No column for the time range"),
    "SEMANTIC_CONFLICT": Kind(_SEMANTIC, _W, "Sources disagree about a field"),
    "SEMANTIC_FIELDS_UNRESOLVED": Kind(_SEMANTIC, _I, "Fields without meaning"),
    "SEMANTIC_REVIEW_PENDING": Kind(_SEMANTIC, _I, "Fields wait for review"),
    "SEMANTIC_SOURCE_NO_OVERLAP": Kind(_SEMANTIC, _I, "A source matched nothing"),
    "SEMANTIC_SOURCE_FAILED": Kind(_SEMANTIC, _W, "A source cannot be read"),
    "SEMANTIC_SOURCE_DUPLICATES": Kind(_SEMANTIC, _I, "A source names fields twice"),
    "SEMANTIC_LOCKED_SKIPPED": Kind(_SEMANTIC, _I, "Locked fields were kept"),
    "AI_PROVIDER_UNAVAILABLE": Kind(_SEMANTIC, _I, "The AI provider did not answer"),
    "CLARIFICATION_PENDING": Kind(FindingArea.CLARIFICATION, _I, "Questions are open"),
    "EXPERT_REVIEW_REQUESTED": Kind(FindingArea.CLARIFICATION, _W, "An expert should look at this"),
    "PREVIEW_STALE": Kind(_PREVIEW, _W, "The preview is out of date"),
    "PREVIEW_FAILED": Kind(_PREVIEW, _W, "The preview could not be compiled"),
    "FILTER_NOT_APPLIED": Kind(_PREVIEW, _W, "A filter does not appear in the SQL"),
    "DATASET_CHANGED_UPSTREAM": Kind(_PREVIEW, _W, "The dataset has changed"),
    "DATABASE_NOT_LAUNCHABLE": Kind(_LAUNCH, _B, "The database cannot run queries"),
    "LAUNCH_FAILED": Kind(_LAUNCH, _W, "The last run failed"),
    "LAUNCH_SQL_DIVERGED": Kind(_AUDIT, _W, "Other SQL ran than was shown"),
    "LAUNCH_OUTCOME_UNKNOWN": Kind(_AUDIT, _W, "What became of a run is unknown"),
}
