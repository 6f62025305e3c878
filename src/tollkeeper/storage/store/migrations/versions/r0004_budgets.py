"""Budgets, their balances, and what is leased and held of them.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME_US_MAX = 253_402_300_799_999_999
_COUNT_MAX = 2**62
_LIMIT_MAX = 4 * 10**18
_ROW_KEY = ("budget_id", "entity", "window_start_us")


def upgrade() -> None:
    """Create the five tables."""
    _create_budgets()
    _create_balances()
    _create_gateways()
    _create_leases()
    _create_holds()


def downgrade() -> None:
    """Drop them."""
    for table in ("holds", "leases", "gateways", "balances"):
        op.drop_table(f"budget_{table}")
    op.drop_table("budgets")


def _create_budgets() -> None:
    table = "budgets"
    each = sa.Boolean(create_constraint=True, name=op.f(f"ck_{table}_each_value"))
    op.create_table(
        table,
        sa.Column("budget_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("limit_amount", sa.BigInteger(), nullable=False),
        sa.Column("window_kind", sa.String(16), nullable=False),
        sa.Column("zone", sa.String(200), nullable=False),
        sa.Column("first_weekday", sa.Integer(), nullable=False),
        sa.Column("first_month", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("match_value", sa.String(200), nullable=False),
        sa.Column("each_value", each, nullable=False),
        sa.Column("tag", sa.String(200), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("sizing", sa.String(16), nullable=False),
        sa.Column("exempt_models", sa.Text(), nullable=False),
        sa.Column("rollover_max", sa.BigInteger(), nullable=False),
        sa.Column("thresholds_bp", sa.Text(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        _check(table, "name", "length(name) BETWEEN 1 AND 200"),
        _check(table, "mode", "mode IN ('hard', 'observe')"),
        _bounded(table, "limit_amount", _LIMIT_MAX),
        _bounded(table, "rollover_max", _LIMIT_MAX),
        *(
            _bounded(table, column, _TIME_US_MAX)
            for column in ("since_us", "until_us", "created_at_us")
        ),
        sa.PrimaryKeyConstraint("budget_id", name=op.f("pk_budgets")),
    )


def _create_balances() -> None:
    table = "budget_balances"
    op.create_table(
        table,
        *_row_columns(),
        sa.Column("window_end_us", sa.BigInteger(), nullable=False),
        sa.Column("posted", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("rolled_in", sa.BigInteger(), nullable=False),
        sa.Column("rolled_on", sa.BigInteger(), nullable=False),
        _bounded(table, "posted", _COUNT_MAX),
        _bounded(table, "held", _COUNT_MAX),
        _bounded(table, "rolled_in", _LIMIT_MAX),
        _bounded(table, "rolled_on", _LIMIT_MAX),
        _bounded(table, "window_start_us", _TIME_US_MAX, -_TIME_US_MAX),
        _bounded(table, "window_end_us", _TIME_US_MAX),
        *_row_keys(table),
    )


def _create_gateways() -> None:
    table = "budget_gateways"
    op.create_table(
        table,
        sa.Column("gateway", sa.String(200), nullable=False),
        sa.Column("seen_at_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=True),
        _bounded(table, "seen_at_us", _TIME_US_MAX),
        _bounded(table, "ended_at_us", _TIME_US_MAX),
        sa.PrimaryKeyConstraint("gateway", name=op.f("pk_budget_gateways")),
    )


def _create_leases() -> None:
    table = "budget_leases"
    op.create_table(
        table,
        sa.Column("gateway", sa.String(200), nullable=False),
        *_row_columns(),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        _bounded(table, "granted", _COUNT_MAX),
        _bounded(table, "spent", _COUNT_MAX),
        _check(table, "state", "state IN ('open', 'expired', 'closed')"),
        _bounded(table, "expires_at_us", _TIME_US_MAX),
        *_row_keys(table, "gateway"),
    )
    op.create_index("ix_budget_leases_budget_id", table, list(_ROW_KEY))


def _create_holds() -> None:
    table = "budget_holds"
    op.create_table(
        table,
        sa.Column("entry_id", sa.String(64), nullable=False),
        *_row_columns(),
        sa.Column("gateway", sa.String(200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        _bounded(table, "amount", _COUNT_MAX),
        _bounded(table, "spent", _COUNT_MAX),
        _check(table, "state", "state IN ('held', 'posted', 'voided', 'estimated')"),
        _bounded(table, "changed_at_us", _TIME_US_MAX),
        *_row_keys(table, "entry_id"),
    )
    op.create_index("ix_budget_holds_changed_at_us", table, ["changed_at_us"])


def _row_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("budget_id", sa.String(36), nullable=False),
        sa.Column("entity", sa.String(200), nullable=False),
        sa.Column("window_start_us", sa.BigInteger(), autoincrement=False, nullable=False),
    )


def _row_keys(table: str, *before: str) -> tuple[sa.Constraint, ...]:
    name = op.f(f"fk_{table}_budget_id")
    return (
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.budget_id"], name=name),
        sa.PrimaryKeyConstraint(*before, *_ROW_KEY, name=op.f(f"pk_{table}")),
    )


def _bounded(table: str, column: str, most: int, least: int = 0) -> sa.CheckConstraint:
    return _check(table, column, f"{column} BETWEEN {least} AND {most}")


def _check(table: str, column: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{column}"))
