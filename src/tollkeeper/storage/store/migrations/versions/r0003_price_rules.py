"""Price rules that are made on the page.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLE = "price_rules"
_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("rule_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("team", sa.String(200), nullable=False),
        sa.Column("usd", sa.Text(), nullable=False),
        sa.Column("discount_bp", sa.Integer(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=True),
        sa.Column("until_us", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        *(_length(column, 200) for column in ("name", "provider", "model", "team")),
        _length("usd", 4_000),
        _length("reason", 1_000, 0),
        _length("created_by", 254),
        _bounded("discount_bp", 10_000, -10_000),
        *(_bounded(column, _TIME_US_MAX) for column in ("since_us", "until_us", "created_at_us")),
        sa.PrimaryKeyConstraint("rule_id", name=op.f(f"pk_{_TABLE}")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table(_TABLE)


def _bounded(column: str, most: int, least: int = 0) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"{column} BETWEEN {least} AND {most}", name=op.f(f"ck_{_TABLE}_{column}")
    )


def _length(column: str, most: int, least: int = 1) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"length({column}) BETWEEN {least} AND {most}", name=op.f(f"ck_{_TABLE}_{column}")
    )
