"""Everything a review keeps: sessions with their parts, events, audit trail, artifacts, tasks."""

import sqlalchemy as sa
from alembic import op

revision = "reviews_0001"
down_revision = None
branch_labels = ("reviews",)
depends_on = None

ID = sa.String(length=64)
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

APPEND_ONLY_SQLITE = """
CREATE TRIGGER review_audit_no_{verb} BEFORE {verb} ON review_audit
BEGIN SELECT RAISE(ABORT, 'audit records are append-only'); END
"""
APPEND_ONLY_POSTGRESQL = (
    """
    CREATE FUNCTION review_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit records are append-only'; END $$
    """,
    """
    CREATE TRIGGER review_audit_append_only BEFORE UPDATE OR DELETE ON review_audit
    FOR EACH ROW EXECUTE FUNCTION review_audit_append_only()
    """,
)


def upgrade() -> None:
    """Creates the tables and makes the audit trail append-only."""
    op.create_table(
        "review_audit",
        sa.Column("audit_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("run_context_id", ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("token_id", sa.String(length=255), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name="pk_review_audit"),
    )
    op.create_index("ix_review_audit_session_id", "review_audit", ["session_id"], unique=False)
    op.create_table(
        "review_idempotency",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("operation", sa.String(length=32), nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=False),
        sa.Column("request_hash", ID, nullable=False),
        sa.Column("session_id", ID, nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "operation", "idempotency_key", name="pk_review_idempotency"),
    )
    op.create_table(
        "review_sessions",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("owner_id", sa.String(length=255), nullable=False),
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_input", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("dataset_ref", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=True),
        sa.Column("dashboard_id", sa.BigInteger(), nullable=True),
        sa.Column("readiness_state", sa.String(length=40), nullable=False),
        sa.Column("current_phase", sa.Text(), nullable=False),
        sa.Column("recommended_action", sa.Text(), nullable=False),
        sa.Column("active_task_id", sa.Text(), nullable=True),
        sa.Column("import_task_id", sa.Text(), nullable=True),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.Column("chosen_dataset", sa.Text(), nullable=True),
        sa.Column("main_time_column", sa.Text(), nullable=True),
        sa.Column("run_row_limit", sa.BigInteger(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("removed_filters", sa.Text(), nullable=False),
        sa.Column("confirmed_filters", sa.Text(), nullable=False),
        sa.Column("preview_id", ID, nullable=True),
        sa.Column("run_context_id", ID, nullable=True),
        sa.Column("stale_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_sequence", COUNTER, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_review_sessions"),
    )
    op.create_index(
        "ix_review_sessions_owner", "review_sessions", ["owner_id", "status", "last_activity_at"], unique=False
    )
    op.create_table(
        "review_uploads",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("owner_id", sa.String(length=255), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(length=128), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", name="pk_review_uploads"),
    )
    op.create_table(
        "review_artifacts",
        sa.Column("artifact_id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("artifact_type", sa.String(length=24), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("variant", ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=128), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", ID, nullable=False),
        sa.Column("created_by_user_id", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_artifacts_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("artifact_id", name="pk_review_artifacts"),
        sa.UniqueConstraint(
            "session_id", "artifact_type", "format", "variant", "version", name="uq_review_artifacts_version"
        ),
    )
    op.create_table(
        "review_changes",
        sa.Column("change_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("attribute", ID, nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_changes_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("change_id", name="pk_review_changes"),
    )
    op.create_index("ix_review_changes_session_id", "review_changes", ["session_id", "version"], unique=False)
    op.create_table(
        "review_clarifications",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("clarification_session_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("current_question_id", sa.Text(), nullable=True),
        sa.Column("summary_delta", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["review_sessions.session_id"],
            name="fk_review_clarifications_session_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_review_clarifications"),
    )
    op.create_table(
        "review_datasets",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("dataset_type", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=True),
        sa.Column("database_name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("certified", sa.Boolean(), nullable=True),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("main_time_column", sa.Text(), nullable=True),
        sa.Column("templates", sa.Text(), nullable=False),
        sa.Column("template_params", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("launchable", sa.Boolean(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_datasets_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_review_datasets"),
    )
    op.create_table(
        "review_events",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("sequence", COUNTER, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("payload_type", sa.String(length=24), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_events_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", "sequence", name="pk_review_events"),
    )
    op.create_table(
        "review_fields",
        sa.Column("field_id", ID, nullable=False),
        sa.Column("field_name", sa.Text(), nullable=False),
        sa.Column("field_kind", sa.Text(), nullable=False),
        sa.Column("type_group", sa.Text(), nullable=False),
        sa.Column("verbose_name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("display_format", sa.Text(), nullable=True),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("confidence_rank", sa.BigInteger(), nullable=True),
        sa.Column("is_locked", sa.Boolean(), nullable=False),
        sa.Column("has_conflict", sa.Boolean(), nullable=False),
        sa.Column("needs_review", sa.Boolean(), nullable=False),
        sa.Column("last_changed_by", sa.Text(), nullable=False),
        sa.Column("candidates", sa.Text(), nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_fields_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("field_id", name="pk_review_fields"),
    )
    op.create_index("ix_review_fields_session_id", "review_fields", ["session_id"], unique=False)
    op.create_table(
        "review_filters",
        sa.Column("filter_id", ID, nullable=False),
        sa.Column("filter_name", sa.Text(), nullable=False),
        sa.Column("raw_value", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("confidence_state", sa.Text(), nullable=False),
        sa.Column("recovery_status", sa.Text(), nullable=False),
        sa.Column("normalized_value", sa.Text(), nullable=False),
        sa.Column("requires_confirmation", sa.Boolean(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=True),
        sa.Column("dataset_scope", sa.Boolean(), nullable=False),
        sa.Column("removable", sa.Boolean(), nullable=False),
        sa.Column("is_template", sa.Boolean(), nullable=False),
        sa.Column("is_placeholder", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_filters_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("filter_id", name="pk_review_filters"),
    )
    op.create_index("ix_review_filters_session_id", "review_filters", ["session_id"], unique=False)
    op.create_table(
        "review_findings",
        sa.Column("finding_id", ID, nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("resolution_state", sa.Text(), nullable=False),
        sa.Column("resolution_note", sa.Text(), nullable=True),
        sa.Column("caused_by_ref", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_findings_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("finding_id", name="pk_review_findings"),
    )
    op.create_index("ix_review_findings_session_id", "review_findings", ["session_id"], unique=False)
    op.create_table(
        "review_mappings",
        sa.Column("mapping_id", ID, nullable=False),
        sa.Column("filter_id", sa.Text(), nullable=False),
        sa.Column("variable_id", sa.Text(), nullable=False),
        sa.Column("mapping_method", sa.Text(), nullable=False),
        sa.Column("raw_input_value", sa.Text(), nullable=False),
        sa.Column("effective_value", sa.Text(), nullable=False),
        sa.Column("transformation_note", sa.Text(), nullable=True),
        sa.Column("owner_note", sa.Text(), nullable=True),
        sa.Column("warning_level", sa.Text(), nullable=True),
        sa.Column("requires_explicit_approval", sa.Boolean(), nullable=False),
        sa.Column("approval_state", sa.Text(), nullable=False),
        sa.Column("approved_by_user_id", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_invalid", sa.Boolean(), nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_mappings_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mapping_id", name="pk_review_mappings"),
    )
    op.create_index("ix_review_mappings_session_id", "review_mappings", ["session_id"], unique=False)
    op.create_table(
        "review_previews",
        sa.Column("preview_id", ID, nullable=False),
        sa.Column("preview_status", sa.Text(), nullable=False),
        sa.Column("preview_fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("compiled_sql", sa.Text(), nullable=True),
        sa.Column("dialect", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_details", sa.Text(), nullable=True),
        sa.Column("compiled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compiler_kind", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("executed_rows", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("uses_relative_time", sa.Boolean(), nullable=False),
        sa.Column("stale_reason", sa.Text(), nullable=True),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_previews_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("preview_id", name="pk_review_previews"),
    )
    op.create_index("ix_review_previews_session_id", "review_previews", ["session_id"], unique=False)
    op.create_table(
        "review_profiles",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dataset_name", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=True),
        sa.Column("database_name", sa.Text(), nullable=True),
        sa.Column("business_summary", sa.Text(), nullable=False),
        sa.Column("business_summary_source", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("dataset_type", sa.Text(), nullable=False),
        sa.Column("is_sqllab_view", sa.Boolean(), nullable=False),
        sa.Column("completeness_score", sa.Float(), nullable=True),
        sa.Column("confidence_state", sa.Text(), nullable=False),
        sa.Column("has_blocking_findings", sa.Boolean(), nullable=False),
        sa.Column("has_warning_findings", sa.Boolean(), nullable=False),
        sa.Column("manual_summary_locked", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_profiles_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_review_profiles"),
    )
    op.create_table(
        "review_questions",
        sa.Column("question_id", ID, nullable=False),
        sa.Column("topic_ref", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("question_text", sa.Text(), nullable=False),
        sa.Column("why_it_matters", sa.Text(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocking", sa.Boolean(), nullable=False),
        sa.Column("current_guess", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("answer_kind", sa.Text(), nullable=True),
        sa.Column("answer_value", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_questions_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("question_id", name="pk_review_questions"),
    )
    op.create_index("ix_review_questions_session_id", "review_questions", ["session_id"], unique=False)
    op.create_table(
        "review_runs",
        sa.Column("run_context_id", ID, nullable=False),
        sa.Column("dataset_ref", sa.Text(), nullable=False),
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("preview_id", sa.Text(), nullable=False),
        sa.Column("sql_lab_session_ref", sa.Text(), nullable=False),
        sa.Column("redirect_url", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("effective_filters", sa.Text(), nullable=False),
        sa.Column("template_params", sa.Text(), nullable=False),
        sa.Column("approved_mapping_ids", sa.Text(), nullable=False),
        sa.Column("semantic_decision_refs", sa.Text(), nullable=False),
        sa.Column("open_warning_refs", sa.Text(), nullable=False),
        sa.Column("launch_status", sa.Text(), nullable=False),
        sa.Column("launch_error", sa.Text(), nullable=True),
        sa.Column("sql", sa.Text(), nullable=False),
        sa.Column("executed_sql", sa.Text(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome_unknown", sa.Boolean(), nullable=False),
        sa.Column("diverged", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("flight_ticket", sa.Text(), nullable=True),
        sa.Column("flight_endpoints", sa.Text(), nullable=False),
        sa.Column("flight_schema", sa.Text(), nullable=True),
        sa.Column("flight_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_runs_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_context_id", name="pk_review_runs"),
    )
    op.create_index("ix_review_runs_session_id", "review_runs", ["session_id"], unique=False)
    op.create_table(
        "review_sources",
        sa.Column("source_id", ID, nullable=False),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("trust_level", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("schema_overlap_score", sa.Float(), nullable=True),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_sources_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source_id", name="pk_review_sources"),
    )
    op.create_index("ix_review_sources_session_id", "review_sources", ["session_id"], unique=False)
    op.create_table(
        "review_tasks",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reference", ID, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", ID, nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_tasks_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", name="pk_review_tasks"),
    )
    op.create_index("ix_review_tasks_state", "review_tasks", ["state", "lease_until"], unique=False)
    op.create_table(
        "review_variables",
        sa.Column("variable_id", ID, nullable=False),
        sa.Column("variable_name", sa.Text(), nullable=False),
        sa.Column("expression_source", sa.Text(), nullable=False),
        sa.Column("variable_kind", sa.Text(), nullable=False),
        sa.Column("is_required", sa.Boolean(), nullable=False),
        sa.Column("default_value", sa.Text(), nullable=False),
        sa.Column("mapping_status", sa.Text(), nullable=False),
        sa.Column("shape", sa.Text(), nullable=False),
        sa.Column("is_escaped", sa.Boolean(), nullable=False),
        sa.Column("keeps_operator", sa.Boolean(), nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["review_sessions.session_id"], name="fk_review_variables_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("variable_id", name="pk_review_variables"),
    )
    op.create_index("ix_review_variables_session_id", "review_variables", ["session_id"], unique=False)
    _protect_audit()


def _protect_audit() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in APPEND_ONLY_POSTGRESQL:
            op.execute(statement)
    else:
        for verb in ("UPDATE", "DELETE"):
            op.execute(APPEND_ONLY_SQLITE.format(verb=verb))


def downgrade() -> None:
    """Drops everything."""
    for table in (
        "review_variables",
        "review_tasks",
        "review_sources",
        "review_runs",
        "review_questions",
        "review_profiles",
        "review_previews",
        "review_mappings",
        "review_findings",
        "review_filters",
        "review_fields",
        "review_events",
        "review_datasets",
        "review_clarifications",
        "review_changes",
        "review_artifacts",
        "review_uploads",
        "review_sessions",
        "review_idempotency",
        "review_audit",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION review_audit_append_only()")
