"""Who is whom at which sign-in provider, and which sign-ins there are over.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLE = "identities"
_SPENT = "spent_states"
_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        _TABLE,
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("used_at_us", sa.BigInteger(), nullable=False),
        _check(_TABLE, "issuer", "length(issuer) BETWEEN 1 AND 500"),
        _check(_TABLE, "subject", "length(subject) BETWEEN 1 AND 255"),
        _check(_TABLE, "provider", "length(provider) BETWEEN 1 AND 40"),
        *(
            _check(_TABLE, column, f"{column} BETWEEN 0 AND {_TIME_US_MAX}")
            for column in ("created_at_us", "used_at_us")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f(f"fk_{_TABLE}_user_id")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f(f"pk_{_TABLE}")),
    )
    op.create_index(op.f(f"ix_{_TABLE}_user_id"), _TABLE, ["user_id"])
    op.create_table(
        _SPENT,
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        _check(_SPENT, "state_hash", "length(state_hash) BETWEEN 32 AND 32"),
        _check(_SPENT, "expires_at_us", f"expires_at_us BETWEEN 0 AND {_TIME_US_MAX}"),
        sa.PrimaryKeyConstraint("state_hash", name=op.f(f"pk_{_SPENT}")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table(_SPENT)
    op.drop_table(_TABLE)


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
