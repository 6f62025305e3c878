"""The store's table of rate limits."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, String, Table

from tollkeeper.domain.rate_limits import RATE_MAX, SCOPES
from tollkeeper.storage.store.schema_parts import (
    EMAIL_CHARS_MAX,
    ID_CHARS,
    NAME_CHARS_MAX,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
    one_of,
)

LIMITS = ("requests_per_minute", "tokens_per_minute", "parallel_calls")

rate_rules = Table(
    "rate_rules",
    metadata,
    Column("rule_id", String(ID_CHARS), primary_key=True),
    Column("name", String(NAME_CHARS_MAX), nullable=False, unique=True),
    Column("scope", String(16), nullable=False),
    Column("match_value", String(NAME_CHARS_MAX), nullable=False),
    Column("each_value", Boolean(create_constraint=True, name="each_value"), nullable=False),
    *(Column(limit, BigInteger, nullable=True) for limit in LIMITS),
    Column("set_at_us", BigInteger, nullable=False),
    Column("set_by", String(EMAIL_CHARS_MAX), nullable=False),
    length("name", NAME_CHARS_MAX),
    length("match_value", NAME_CHARS_MAX),
    length("set_by", EMAIL_CHARS_MAX),
    one_of("scope", *SCOPES),
    *(bounded(limit, RATE_MAX, 1) for limit in LIMITS),
    CheckConstraint(f"COALESCE({', '.join(LIMITS)}) IS NOT NULL", name="limits"),
    bounded("set_at_us", TIME_US_MAX),
)
"""Rules that were made by a command or the API. What none needs any more is deleted: rate
limits have no past that anybody could ask for."""
