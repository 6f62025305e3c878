"""Invitations, whose links are kept as keyed hashes.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLE = "invitations"
_TIME_US_MAX = 253_402_300_799_999_999
_TIMES = ("created_at_us", "expires_at_us", "accepted_at_us", "revoked_at_us")
_ROLES = "'admin', 'finance', 'lead', 'member', 'auditor'"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("invitation_id", sa.String(36), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("team_id", sa.String(36), nullable=True),
        sa.Column("invited_by", sa.String(254), nullable=False),
        sa.Column("invited_by_id", sa.String(36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at_us", sa.BigInteger(), nullable=True),
        _check("token_hash", "length(token_hash) BETWEEN 32 AND 32"),
        _check("email", "length(email) BETWEEN 3 AND 254"),
        _check("role", f"role IN ({_ROLES})"),
        *(_check(each, f"{each} BETWEEN 0 AND {_TIME_US_MAX}") for each in _TIMES),
        sa.ForeignKeyConstraint(["team_id"], ["teams.team_id"], name=op.f(f"fk_{_TABLE}_team_id")),
        sa.PrimaryKeyConstraint("invitation_id", name=op.f(f"pk_{_TABLE}")),
        sa.UniqueConstraint("token_hash", name=op.f(f"uq_{_TABLE}_token_hash")),
    )
    op.create_index(f"ix_{_TABLE}_created_at_us", _TABLE, ["created_at_us"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table(_TABLE)


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{_TABLE}_{name}"))
