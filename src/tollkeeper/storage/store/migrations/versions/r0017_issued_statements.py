"""Statements as they were issued.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TABLE = "issued_statements"
_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("issued_at_us", sa.BigInteger(), nullable=False),
        sa.Column("issued_by", sa.String(254), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        _check("month", "length(month) BETWEEN 7 AND 7"),
        _check("issued_at_us", f"issued_at_us BETWEEN 0 AND {_TIME_US_MAX}"),
        _check("issued_by", "length(issued_by) BETWEEN 1 AND 254"),
        _check("sha256", "length(sha256) BETWEEN 64 AND 64"),
        sa.PrimaryKeyConstraint("month", name=op.f(f"pk_{_TABLE}")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table(_TABLE)


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{_TABLE}_{name}"))
