"""Which key file a store was made with, so that no server uses it with another.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLE = "key_file"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("row_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        _check("row_number", "row_number BETWEEN 1 AND 1"),
        _check("fingerprint", "length(fingerprint) BETWEEN 8 AND 8"),
        sa.PrimaryKeyConstraint("row_number", name=op.f(f"pk_{_TABLE}")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table(_TABLE)


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{_TABLE}_{name}"))
