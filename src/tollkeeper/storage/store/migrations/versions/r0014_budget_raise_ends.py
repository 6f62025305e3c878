"""Raises of budgets that were taken back before their time was over.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TABLE = "budget_raise_ends"
_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("raise_id", sa.String(36), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.String(254), nullable=False),
        sa.Column("via", sa.String(16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        _check("ended_at_us", f"ended_at_us BETWEEN 0 AND {_TIME_US_MAX}"),
        _check("ended_by", "length(ended_by) BETWEEN 1 AND 254"),
        _check("note", "length(note) BETWEEN 0 AND 1000"),
        sa.ForeignKeyConstraint(
            ["raise_id"], ["budget_raises.raise_id"], name=op.f(f"fk_{_TABLE}_raise_id")
        ),
        sa.PrimaryKeyConstraint("raise_id", name=op.f(f"pk_{_TABLE}")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table(_TABLE)


def _check(column: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{_TABLE}_{column}"))
