"""SCIM: its tokens, and what providers call our people and teams.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TOKENS = "scim_tokens"
_USERS = "scim_users"
_GROUPS = "scim_groups"
_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        _TOKENS,
        sa.Column("token_id", sa.String(8), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.Column("revoked_at_us", sa.BigInteger(), nullable=True),
        _check(_TOKENS, "token_id", "length(token_id) BETWEEN 8 AND 8"),
        _check(_TOKENS, "secret_hash", "length(secret_hash) BETWEEN 32 AND 32"),
        _check(_TOKENS, "name", "length(name) BETWEEN 1 AND 200"),
        _check(_TOKENS, "created_by", "length(created_by) BETWEEN 1 AND 254"),
        _time(_TOKENS, "created_at_us"),
        _time(_TOKENS, "revoked_at_us"),
        sa.PrimaryKeyConstraint("token_id", name=op.f(f"pk_{_TOKENS}")),
    )
    op.create_table(
        _USERS,
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("user_name", sa.String(254), nullable=True),
        sa.Column("user_name_folded", sa.String(762), nullable=True),
        sa.Column("external_id", sa.String(255), nullable=True),
        sa.Column("removed_at_us", sa.BigInteger(), nullable=True),
        _check(_USERS, "user_name", "length(user_name) BETWEEN 1 AND 254"),
        _check(_USERS, "external_id", "length(external_id) BETWEEN 1 AND 255"),
        _time(_USERS, "removed_at_us"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f(f"fk_{_USERS}_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f(f"pk_{_USERS}")),
        sa.UniqueConstraint("user_name_folded", name=op.f(f"uq_{_USERS}_user_name_folded")),
    )
    op.create_index(op.f(f"ix_{_USERS}_external_id"), _USERS, ["external_id"])
    op.create_table(
        _GROUPS,
        sa.Column("team_id", sa.String(36), nullable=False),
        sa.Column("external_id", sa.String(255), nullable=True),
        sa.Column("removed_at_us", sa.BigInteger(), nullable=True),
        _check(_GROUPS, "external_id", "length(external_id) BETWEEN 1 AND 255"),
        _time(_GROUPS, "removed_at_us"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.team_id"], name=op.f(f"fk_{_GROUPS}_team_id")),
        sa.PrimaryKeyConstraint("team_id", name=op.f(f"pk_{_GROUPS}")),
    )


def downgrade() -> None:
    """Drop them."""
    for table in (_GROUPS, _USERS, _TOKENS):
        op.drop_table(table)


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _time(table: str, column: str) -> sa.CheckConstraint:
    return _check(table, column, f"{column} BETWEEN 0 AND {_TIME_US_MAX}")
