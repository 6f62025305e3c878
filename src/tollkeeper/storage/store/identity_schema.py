"""The store's tables of single sign-on: who is whom at which provider, and what is over."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table

from tollkeeper.storage.store.schema_parts import (
    HASH_BYTES,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
)

ISSUER_CHARS_MAX: Final = 500
SUBJECT_CHARS_MAX: Final = 255
PROVIDER_CHARS_MAX: Final = 40

identities = Table(
    "identities",
    metadata,
    Column("issuer", String(ISSUER_CHARS_MAX), primary_key=True),
    Column("subject", String(SUBJECT_CHARS_MAX), primary_key=True),
    Column("user_id", ForeignKey("users.user_id"), nullable=False, index=True),
    Column("provider", String(PROVIDER_CHARS_MAX), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("used_at_us", BigInteger, nullable=False),
    length("issuer", ISSUER_CHARS_MAX),
    length("subject", SUBJECT_CHARS_MAX),
    length("provider", PROVIDER_CHARS_MAX),
    bounded("created_at_us", TIME_US_MAX),
    bounded("used_at_us", TIME_US_MAX),
)
"""Subjects of issuers, and who of our people each is. ``provider`` is what the issuer was called
in the configuration file when they first came."""

spent_states = Table(
    "spent_states",
    metadata,
    Column("state_hash", LargeBinary, primary_key=True),
    Column("expires_at_us", BigInteger, nullable=False),
    length("state_hash", HASH_BYTES, HASH_BYTES),
    bounded("expires_at_us", TIME_US_MAX),
)
"""Sign-ins at a provider that were brought to an end, for as long as they could be repeated."""
