"""Closed months, and when calls without a price were tried again.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME_US_MAX = 253_402_300_799_999_999
_COUNT_MAX = 2**62


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "closed_months",
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("zone", sa.String(200), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("closed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.String(254), nullable=False),
        _length("closed_months", "month", 7, 7),
        _length("closed_months", "zone", 200),
        _bounded("closed_months", "start_us", _TIME_US_MAX),
        _bounded("closed_months", "end_us", _TIME_US_MAX),
        _bounded("closed_months", "closed_at_us", _TIME_US_MAX),
        _length("closed_months", "closed_by", 254),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_closed_months")),
    )
    op.create_table(
        "pricing_runs",
        sa.Column("began_at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=True),
        sa.Column("price_version", sa.String(200), nullable=False),
        sa.Column("priced", sa.BigInteger(), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        _bounded("pricing_runs", "began_at_us", _TIME_US_MAX),
        _bounded("pricing_runs", "ended_at_us", _TIME_US_MAX),
        _bounded("pricing_runs", "priced", _COUNT_MAX),
        _bounded("pricing_runs", "unpriced", _COUNT_MAX),
        sa.PrimaryKeyConstraint("began_at_us", name=op.f("pk_pricing_runs")),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("pricing_runs")
    op.drop_table("closed_months")


def _bounded(table: str, column: str, most: int, least: int = 0) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"{column} BETWEEN {least} AND {most}", name=op.f(f"ck_{table}_{column}")
    )


def _length(table: str, column: str, most: int, least: int = 1) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"length({column}) BETWEEN {least} AND {most}", name=op.f(f"ck_{table}_{column}")
    )
