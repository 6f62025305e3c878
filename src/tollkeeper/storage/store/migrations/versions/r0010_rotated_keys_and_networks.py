"""Keys that are rotated keep the secret before for a while; keys may be bound to networks.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the tables."""
    table = "key_rotations"
    op.create_table(
        table,
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("earlier_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("earlier_until_us", sa.BigInteger(), nullable=False),
        sa.Column("rotated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("rotated_by", sa.String(200), nullable=False),
        _check(table, "earlier_hmac", "length(earlier_hmac) BETWEEN 32 AND 32"),
        _in_time(table, "earlier_until_us"),
        _in_time(table, "rotated_at_us"),
        _of_a_key(table),
        sa.PrimaryKeyConstraint("key_id", name=op.f(f"pk_{table}")),
    )
    table = "key_networks"
    op.create_table(
        table,
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        _check(table, "networks", "length(networks) BETWEEN 1 AND 4000"),
        _of_a_key(table),
        sa.PrimaryKeyConstraint("key_id", name=op.f(f"pk_{table}")),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("key_networks", "key_rotations"):
        op.drop_table(table)


def _of_a_key(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_key_id")
    return sa.ForeignKeyConstraint(["key_id"], ["virtual_keys.key_id"], name=name)


def _in_time(table: str, column: str) -> sa.CheckConstraint:
    return _check(table, column, f"{column} BETWEEN 0 AND {_TIME_US_MAX}")


def _check(table: str, column: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{column}"))
