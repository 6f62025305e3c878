"""The store's tables of requests for more of a budget, decisions, and raises."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from tollkeeper.storage.store.schema_parts import (
    BUDGET_LIMIT_MAX,
    EMAIL_CHARS_MAX,
    ID_CHARS,
    NAME_CHARS_MAX,
    REASON_CHARS_MAX,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
    one_of,
)

ONCE_CHARS_MAX: Final = 300

budget_requests = Table(
    "budget_requests",
    metadata,
    Column("request_id", String(ID_CHARS), primary_key=True),
    Column("budget_id", ForeignKey("budgets.budget_id"), nullable=False, index=True),
    Column("entity", String(NAME_CHARS_MAX), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_at_us", BigInteger, nullable=False),
    Column("asked_by", String(EMAIL_CHARS_MAX), nullable=False),
    Column("asked_by_id", String(ID_CHARS), nullable=False),
    Index("ix_budget_requests_asked_at_us", "asked_at_us"),
    bounded("amount", BUDGET_LIMIT_MAX, 1),
    bounded("until_us", TIME_US_MAX),
    bounded("asked_at_us", TIME_US_MAX),
    length("reason", REASON_CHARS_MAX),
    length("asked_by", EMAIL_CHARS_MAX),
)
"""Rows are only added here and in the two tables below; none is changed or deleted."""

budget_decisions = Table(
    "budget_decisions",
    metadata,
    Column("request_id", ForeignKey("budget_requests.request_id"), primary_key=True),
    Column("approved", Boolean(create_constraint=True, name="approved"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("decided_at_us", BigInteger, nullable=False),
    Column("decided_by", String(EMAIL_CHARS_MAX), nullable=False),
    Column("via", String(16), nullable=False),
    bounded("amount", BUDGET_LIMIT_MAX),
    bounded("until_us", TIME_US_MAX),
    bounded("decided_at_us", TIME_US_MAX),
    length("note", REASON_CHARS_MAX, 0),
    length("decided_by", EMAIL_CHARS_MAX),
)
"""One row for a request at most: who comes second finds it there."""

budget_raises = Table(
    "budget_raises",
    metadata,
    Column("raise_id", String(ID_CHARS), primary_key=True),
    Column("budget_id", ForeignKey("budgets.budget_id"), nullable=False),
    Column("entity", String(NAME_CHARS_MAX), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("made_at_us", BigInteger, nullable=False),
    Column("made_by", String(EMAIL_CHARS_MAX), nullable=False),
    Column("request_id", String(ID_CHARS), nullable=False),
    Column("window_start_us", BigInteger, nullable=True),
    Column("once", String(ONCE_CHARS_MAX), nullable=False, unique=True),
    Index("ix_budget_raises_budget_id", "budget_id", "entity", "until_us"),
    one_of("kind", "approved", "overdraft"),
    bounded("amount", BUDGET_LIMIT_MAX, 1),
    *(bounded(column, TIME_US_MAX) for column in ("from_us", "until_us", "made_at_us")),
    bounded("window_start_us", TIME_US_MAX),
    length("made_by", EMAIL_CHARS_MAX),
)
"""What counts towards a row's limit while it lasts. ``once`` is what there is only one of: a
request's raise, or a window's overdraft."""

budget_raise_ends = Table(
    "budget_raise_ends",
    metadata,
    Column("raise_id", ForeignKey("budget_raises.raise_id"), primary_key=True),
    Column("ended_at_us", BigInteger, nullable=False),
    Column("ended_by", String(EMAIL_CHARS_MAX), nullable=False),
    Column("via", String(16), nullable=False),
    Column("note", Text, nullable=False),
    bounded("ended_at_us", TIME_US_MAX),
    length("ended_by", EMAIL_CHARS_MAX),
    length("note", REASON_CHARS_MAX, 0),
)
"""Raises that were taken back: one row for a raise at most, and none for those that ran out."""

budget_overdrafts = Table(
    "budget_overdrafts",
    metadata,
    Column("budget_id", ForeignKey("budgets.budget_id"), primary_key=True),
    Column("set_at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("set_by", String(EMAIL_CHARS_MAX), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("part_bp", Integer, nullable=False),
    bounded("set_at_us", TIME_US_MAX),
    bounded("amount", BUDGET_LIMIT_MAX),
    bounded("part_bp", 10_000),
    length("set_by", EMAIL_CHARS_MAX),
)
"""What owners may take by themselves: a budget's newest row counts."""
