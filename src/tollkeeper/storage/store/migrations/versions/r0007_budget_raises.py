"""Requests for more of a budget, decisions, raises, and what owners may take by themselves.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME_US_MAX = 253_402_300_799_999_999
_LIMIT_MAX = 4 * 10**18


def upgrade() -> None:
    """Create the four tables."""
    _create_requests()
    _create_decisions()
    _create_raises()
    _create_overdrafts()


def downgrade() -> None:
    """Drop them."""
    for table in ("overdrafts", "raises", "decisions", "requests"):
        op.drop_table(f"budget_{table}")


def _create_requests() -> None:
    table = "budget_requests"
    op.create_table(
        table,
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("budget_id", sa.String(36), nullable=False),
        sa.Column("entity", sa.String(200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at_us", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(254), nullable=False),
        sa.Column("asked_by_id", sa.String(36), nullable=False),
        _bounded(table, "amount", _LIMIT_MAX, 1),
        _bounded(table, "until_us", _TIME_US_MAX),
        _bounded(table, "asked_at_us", _TIME_US_MAX),
        _length(table, "reason", 1000),
        _length(table, "asked_by", 254),
        _of_a_budget(table),
        sa.PrimaryKeyConstraint("request_id", name=op.f(f"pk_{table}")),
    )
    op.create_index(f"ix_{table}_budget_id", table, ["budget_id"])
    op.create_index(f"ix_{table}_asked_at_us", table, ["asked_at_us"])


def _create_decisions() -> None:
    table = "budget_decisions"
    approved = sa.Boolean(create_constraint=True, name=op.f(f"ck_{table}_approved"))
    op.create_table(
        table,
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("approved", approved, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("decided_at_us", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(254), nullable=False),
        sa.Column("via", sa.String(16), nullable=False),
        _bounded(table, "amount", _LIMIT_MAX),
        _bounded(table, "until_us", _TIME_US_MAX),
        _bounded(table, "decided_at_us", _TIME_US_MAX),
        _length(table, "note", 1000, 0),
        _length(table, "decided_by", 254),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["budget_requests.request_id"],
            name=op.f(f"fk_{table}_request_id"),
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f(f"pk_{table}")),
    )


def _create_raises() -> None:
    table = "budget_raises"
    op.create_table(
        table,
        sa.Column("raise_id", sa.String(36), nullable=False),
        sa.Column("budget_id", sa.String(36), nullable=False),
        sa.Column("entity", sa.String(200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("made_at_us", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(254), nullable=False),
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("window_start_us", sa.BigInteger(), nullable=True),
        sa.Column("once", sa.String(300), nullable=False),
        _check(table, "kind", "kind IN ('approved', 'overdraft')"),
        _bounded(table, "amount", _LIMIT_MAX, 1),
        *(_bounded(table, each, _TIME_US_MAX) for each in ("from_us", "until_us", "made_at_us")),
        _bounded(table, "window_start_us", _TIME_US_MAX),
        _length(table, "made_by", 254),
        _of_a_budget(table),
        sa.PrimaryKeyConstraint("raise_id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("once", name=op.f(f"uq_{table}_once")),
    )
    op.create_index(f"ix_{table}_budget_id", table, ["budget_id", "entity", "until_us"])


def _create_overdrafts() -> None:
    table = "budget_overdrafts"
    op.create_table(
        table,
        sa.Column("budget_id", sa.String(36), nullable=False),
        sa.Column("set_at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("set_by", sa.String(254), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("part_bp", sa.Integer(), nullable=False),
        _bounded(table, "set_at_us", _TIME_US_MAX),
        _bounded(table, "amount", _LIMIT_MAX),
        _bounded(table, "part_bp", 10000),
        _length(table, "set_by", 254),
        _of_a_budget(table),
        sa.PrimaryKeyConstraint("budget_id", "set_at_us", name=op.f(f"pk_{table}")),
    )


def _of_a_budget(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_budget_id")
    return sa.ForeignKeyConstraint(["budget_id"], ["budgets.budget_id"], name=name)


def _length(table: str, column: str, most: int, least: int = 1) -> sa.CheckConstraint:
    return _check(table, column, f"length({column}) BETWEEN {least} AND {most}")


def _bounded(table: str, column: str, most: int, least: int = 0) -> sa.CheckConstraint:
    return _check(table, column, f"{column} BETWEEN {least} AND {most}")


def _check(table: str, column: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{column}"))
