"""The first schema: inspections, marks, settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the three tables and their indices."""
    op.create_table(
        "inspections",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("searched", sa.Text, nullable=False),
        sa.Column("path", sa.LargeBinary),
        sa.Column("kept", sa.Text),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("gauge", sa.Float, nullable=False),
        sa.Column("boundary", sa.Float, nullable=False),
        sa.Column("boundary_kind", sa.String(16), nullable=False),
        sa.Column("pixel_threshold", sa.Float, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("p_value", sa.Float, nullable=False),
        sa.Column("regions", sa.Integer, nullable=False),
        sa.Column("errors", sa.JSON, nullable=False),
        sa.Column("contributions", sa.JSON, nullable=False),
        sa.Column("milliseconds", sa.Float, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("deleted", sa.DateTime),
        sa.PrimaryKeyConstraint("id", name="pk_inspections"),
        sa.CheckConstraint("verdict IN ('normal', 'anomalous')", name=op.f("ck_inspections_verdict")),
    )
    for column in ("created", "sha256", "kept", "model", "score", "verdict", "deleted"):
        op.create_index(f"ix_inspections_{column}", "inspections", [column])
    op.create_table(
        "marks",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("inspection_id", sa.Integer, nullable=False),
        sa.Column("mark", sa.String(16)),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_marks"),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspections.id"], name="fk_marks_inspection_id", ondelete="CASCADE"),
        sa.CheckConstraint("mark IS NULL OR mark IN ('normal', 'anomalous')", name=op.f("ck_marks_mark")),
    )
    op.create_index("ix_marks_latest", "marks", ["inspection_id", "id"])
    op.create_table(
        "settings",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("retention_days", sa.Integer),
        sa.Column("keep_copies", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_settings"),
        sa.CheckConstraint("id = 1", name=op.f("ck_settings_single")),
    )


def downgrade() -> None:
    """Back to nothing."""
    for table in ("settings", "marks", "inspections"):
        op.drop_table(table)
