"""Memberships over time, filled with what is so now, and teams within teams.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the tables. Whoever is active has been in the team of now since they were added."""
    _create_parents()
    _create_memberships()
    op.execute(
        "INSERT INTO memberships (user_id, from_us, until_us, team_id, team)"
        " SELECT u.user_id, u.created_at_us, NULL, u.team_id, coalesce(t.name, '')"
        " FROM users u LEFT JOIN teams t ON t.team_id = u.team_id WHERE u.active"
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("memberships")
    op.drop_table("team_parents")


def _create_parents() -> None:
    table = "team_parents"
    op.create_table(
        table,
        sa.Column("team_id", sa.String(36), nullable=False),
        sa.Column("parent_id", sa.String(36), nullable=False),
        _reference(table, "team_id", "teams.team_id"),
        _reference(table, "parent_id", "teams.team_id"),
        sa.PrimaryKeyConstraint("team_id", name=op.f(f"pk_{table}")),
    )
    op.create_index(f"ix_{table}_parent_id", table, ["parent_id"])


def _create_memberships() -> None:
    table = "memberships"
    op.create_table(
        table,
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("from_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=True),
        sa.Column("team_id", sa.String(36), nullable=True),
        sa.Column("team", sa.String(200), nullable=False),
        _check(table, "from_us", f"from_us BETWEEN 0 AND {_TIME_US_MAX}"),
        _check(table, "until_us", f"until_us BETWEEN 0 AND {_TIME_US_MAX}"),
        _check(table, "team", "length(team) BETWEEN 0 AND 200"),
        _reference(table, "user_id", "users.user_id"),
        _reference(table, "team_id", "teams.team_id"),
        sa.PrimaryKeyConstraint("user_id", "from_us", name=op.f(f"pk_{table}")),
    )
    op.create_index(f"ix_{table}_team_id", table, ["team_id"])


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"))


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
