"""Alerts, messages, their deliveries, and how channels have done.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME_US_MAX = 253_402_300_799_999_999
_COUNT_MAX = 2**62


def upgrade() -> None:
    """Create the four tables."""
    _create_alerts()
    _create_messages()
    _create_deliveries()
    _create_channels()


def downgrade() -> None:
    """Drop them."""
    for table in ("channels", "deliveries", "messages"):
        op.drop_table(f"alert_{table}")
    op.drop_table("alerts")


def _create_alerts() -> None:
    table = "alerts"
    states = "'fired', 'acknowledged', 'passed', 'recovered', 'ended'"
    op.create_table(
        table,
        sa.Column("alert_id", sa.String(36), nullable=False),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("entity", sa.String(200), nullable=False),
        sa.Column("window_start_us", sa.BigInteger(), nullable=False),
        sa.Column("threshold_bp", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("window_end_us", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("limit_amount", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("fired_at_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_by", sa.String(254), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alerts")),
        sa.UniqueConstraint(
            *("rule", "subject", "entity", "window_start_us", "threshold_bp", "round"),
            name=op.f("uq_alerts_key"),
        ),
        _check(table, "state", f"state IN ({states})"),
        _bounded(table, "threshold_bp", 1_000_000),
        _bounded(table, "round", 1_000_000, 1),
        _bounded(table, "value", _COUNT_MAX),
        _bounded(table, "limit_amount", _COUNT_MAX),
        *_times(table, "window_start_us", "window_end_us", "fired_at_us", "changed_at_us"),
    )
    op.create_index("ix_alerts_state", table, ["state"])
    op.create_index("ix_alerts_fired_at_us", table, ["fired_at_us"])


def _create_messages() -> None:
    table = "alert_messages"
    addressed = sa.Boolean(create_constraint=True, name=op.f(f"ck_{table}_addressed"))
    op.create_table(
        table,
        sa.Column("message_id", sa.String(80), nullable=False),
        sa.Column("event", sa.String(200), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("path", sa.String(200), nullable=False),
        sa.Column("alert_id", sa.String(36), nullable=False),
        sa.Column("addressed", addressed, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f(f"pk_{table}")),
        _check(table, "severity", "severity IN ('good', 'info', 'warning', 'critical')"),
        _length(table, "event", 200),
        _length(table, "title", 200),
        _length(table, "body", 16_000, 0),
        _length(table, "data", 16_000),
        *_times(table, "created_at_us"),
    )
    op.create_index("ix_alert_messages_alert_id", table, ["alert_id"])
    op.create_index("ix_alert_messages_addressed", table, ["addressed", "created_at_us"])


def _create_deliveries() -> None:
    table = "alert_deliveries"
    states = "'waiting', 'gathered', 'digested', 'delivered', 'dead'"
    op.create_table(
        table,
        sa.Column("message_id", sa.String(80), nullable=False),
        sa.Column("channel", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.String(200), nullable=False),
        sa.Column("reply", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "channel", name=op.f(f"pk_{table}")),
        _check(table, "state", f"state IN ({states})"),
        _length(table, "channel", 200),
        _length(table, "fault", 200, 0),
        _length(table, "reply", 200, 0),
        _bounded(table, "attempts", 1_000),
        _bounded(table, "status", 999),
        _bounded(table, "latency_ms", _COUNT_MAX),
        *_times(table, "next_at_us", "changed_at_us"),
    )
    op.create_index("ix_alert_deliveries_state", table, ["state", "next_at_us"])
    op.create_index("ix_alert_deliveries_changed_at_us", table, ["changed_at_us"])


def _create_channels() -> None:
    table = "alert_channels"
    op.create_table(
        table,
        sa.Column("channel", sa.String(200), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("closed_at_us", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.String(200), nullable=False),
        sa.Column("delivered_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("channel", name=op.f(f"pk_{table}")),
        _length(table, "channel", 200),
        _bounded(table, "failures", _COUNT_MAX),
        *_times(table, "closed_at_us", "delivered_at_us"),
    )


def _times(table: str, *columns: str) -> tuple[sa.CheckConstraint, ...]:
    return tuple(_bounded(table, column, _TIME_US_MAX) for column in columns)


def _length(table: str, column: str, most: int, least: int = 1) -> sa.CheckConstraint:
    return _check(table, column, f"length({column}) BETWEEN {least} AND {most}")


def _bounded(table: str, column: str, most: int, least: int = 0) -> sa.CheckConstraint:
    return _check(table, column, f"{column} BETWEEN {least} AND {most}")


def _check(table: str, column: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{column}"))
