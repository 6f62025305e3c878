"""The store's tables of alerts, of messages, and of what became of them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

from tollkeeper.storage.store.schema_parts import (
    COUNT_MAX,
    EMAIL_CHARS_MAX,
    ID_CHARS,
    NAME_CHARS_MAX,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
    one_of,
)

MESSAGE_ID_CHARS: Final = 80
TEXT_CHARS_MAX: Final = 16_000
THRESHOLD_BP_MAX: Final = 1_000_000
ROUNDS_MAX: Final = 1_000_000

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", String(ID_CHARS), primary_key=True),
    Column("rule", String(NAME_CHARS_MAX), nullable=False),
    Column("subject", String(NAME_CHARS_MAX), nullable=False),
    Column("entity", String(NAME_CHARS_MAX), nullable=False),
    Column("window_start_us", BigInteger, nullable=False),
    Column("threshold_bp", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("window_end_us", BigInteger, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("limit_amount", BigInteger, nullable=False),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("title", String(NAME_CHARS_MAX), nullable=False),
    Column("fired_at_us", BigInteger, nullable=False),
    Column("changed_at_us", BigInteger, nullable=False),
    Column("acknowledged_by", String(EMAIL_CHARS_MAX), nullable=False),
    Unique(
        *("rule", "subject", "entity", "window_start_us", "threshold_bp", "round"),
        name="uq_alerts_key",
    ),
    Index("ix_alerts_state", "state"),
    Index("ix_alerts_fired_at_us", "fired_at_us"),
    one_of("state", "fired", "acknowledged", "passed", "recovered", "ended"),
    bounded("threshold_bp", THRESHOLD_BP_MAX),
    bounded("round", ROUNDS_MAX, 1),
    bounded("value", COUNT_MAX),
    bounded("limit_amount", COUNT_MAX),
    *(bounded(column, TIME_US_MAX) for column in ("window_start_us", "window_end_us")),
    *(bounded(column, TIME_US_MAX) for column in ("fired_at_us", "changed_at_us")),
)
"""What was told once, whoever else looked at the same moment: the key has one row a round."""

alert_messages = Table(
    "alert_messages",
    metadata,
    Column("message_id", String(MESSAGE_ID_CHARS), primary_key=True),
    Column("event", String(NAME_CHARS_MAX), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("title", String(NAME_CHARS_MAX), nullable=False),
    Column("body", Text, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("data", Text, nullable=False),
    Column("path", String(NAME_CHARS_MAX), nullable=False),
    Column("alert_id", String(ID_CHARS), nullable=False, index=True),
    Column("addressed", Boolean(create_constraint=True, name="addressed"), nullable=False),
    Index("ix_alert_messages_addressed", "addressed", "created_at_us"),
    one_of("severity", "good", "info", "warning", "critical"),
    length("event", NAME_CHARS_MAX),
    length("title", NAME_CHARS_MAX),
    length("body", TEXT_CHARS_MAX, 0),
    length("data", TEXT_CHARS_MAX),
    bounded("created_at_us", TIME_US_MAX),
)
"""What is to be told. ``addressed`` says that its deliveries are made; ``data`` is JSON."""

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("message_id", String(MESSAGE_ID_CHARS), primary_key=True),
    Column("channel", String(NAME_CHARS_MAX), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at_us", BigInteger, nullable=False),
    Column("changed_at_us", BigInteger, nullable=False),
    Column("status", Integer, nullable=True),
    Column("latency_ms", BigInteger, nullable=True),
    Column("fault", String(NAME_CHARS_MAX), nullable=False),
    Column("reply", String(NAME_CHARS_MAX), nullable=False),
    Index("ix_alert_deliveries_state", "state", "next_at_us"),
    Index("ix_alert_deliveries_changed_at_us", "changed_at_us"),
    one_of("state", "waiting", "gathered", "digested", "delivered", "dead"),
    length("channel", NAME_CHARS_MAX),
    length("fault", NAME_CHARS_MAX, 0),
    length("reply", NAME_CHARS_MAX, 0),
    bounded("attempts", 1_000),
    bounded("status", 999),
    bounded("latency_ms", COUNT_MAX),
    bounded("next_at_us", TIME_US_MAX),
    bounded("changed_at_us", TIME_US_MAX),
)
"""One message for one channel. Whoever takes one moves ``next_at_us`` on first, so nobody else
tries it at the same time, and it is tried again if whoever took it dies."""

alert_channels = Table(
    "alert_channels",
    metadata,
    Column("channel", String(NAME_CHARS_MAX), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("closed_at_us", BigInteger, nullable=True),
    Column("fault", String(NAME_CHARS_MAX), nullable=False),
    Column("delivered_at_us", BigInteger, nullable=True),
    length("channel", NAME_CHARS_MAX),
    bounded("failures", COUNT_MAX),
    bounded("closed_at_us", TIME_US_MAX),
    bounded("delivered_at_us", TIME_US_MAX),
)
"""How channels have done lately; which there are, only the configuration says."""
