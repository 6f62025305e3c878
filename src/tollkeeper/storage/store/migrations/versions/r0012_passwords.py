"""Passwords, and with what sessions began.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLE = "passwords"
_HOW = "session_beginnings"
_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        _TABLE,
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("encoded", sa.String(255), nullable=False),
        sa.Column("set_at_us", sa.BigInteger(), nullable=False),
        _check(_TABLE, "encoded", "length(encoded) BETWEEN 1 AND 255"),
        _check(_TABLE, "set_at_us", f"set_at_us BETWEEN 0 AND {_TIME_US_MAX}"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f(f"fk_{_TABLE}_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f(f"pk_{_TABLE}")),
    )
    op.create_table(
        _HOW,
        sa.Column("session_hash", sa.LargeBinary(), nullable=False),
        sa.Column("began_with", sa.String(16), nullable=False),
        _check(_HOW, "began_with", "length(began_with) BETWEEN 1 AND 16"),
        sa.ForeignKeyConstraint(
            ["session_hash"],
            ["sessions.session_hash"],
            name=op.f(f"fk_{_HOW}_session_hash"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_hash", name=op.f(f"pk_{_HOW}")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table(_HOW)
    op.drop_table(_TABLE)


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
