"""Rate limits that are made by a command or the API.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLE = "rate_rules"
_TIME_US_MAX = 253_402_300_799_999_999
_RATE_MAX = 10**12
_LIMITS = ("requests_per_minute", "tokens_per_minute", "parallel_calls")


def upgrade() -> None:
    """Create the table."""
    each = sa.Boolean(create_constraint=True, name=op.f(f"ck_{_TABLE}_each_value"))
    op.create_table(
        _TABLE,
        sa.Column("rule_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("match_value", sa.String(200), nullable=False),
        sa.Column("each_value", each, nullable=False),
        *(sa.Column(limit, sa.BigInteger(), nullable=True) for limit in _LIMITS),
        sa.Column("set_at_us", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(254), nullable=False),
        _check("name", "length(name) BETWEEN 1 AND 200"),
        _check("match_value", "length(match_value) BETWEEN 1 AND 200"),
        _check("set_by", "length(set_by) BETWEEN 1 AND 254"),
        _check("scope", "scope IN ('key', 'user', 'team', 'model')"),
        *(_check(limit, f"{limit} BETWEEN 1 AND {_RATE_MAX}") for limit in _LIMITS),
        _check("limits", f"COALESCE({', '.join(_LIMITS)}) IS NOT NULL"),
        _check("set_at_us", f"set_at_us BETWEEN 0 AND {_TIME_US_MAX}"),
        sa.PrimaryKeyConstraint("rule_id", name=op.f(f"pk_{_TABLE}")),
        sa.UniqueConstraint("name", name=op.f(f"uq_{_TABLE}_name")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table(_TABLE)


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{_TABLE}_{name}"))
