"""The store's tables of SCIM: tokens, and what providers call our people and teams."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table

from tollkeeper.storage.store.schema_parts import (
    EMAIL_CHARS_MAX,
    HASH_BYTES,
    NAME_CHARS_MAX,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
)

_EXTERNAL_ID_CHARS_MAX = 255
_TOKEN_ID_CHARS = 8

scim_tokens = Table(
    "scim_tokens",
    metadata,
    Column("token_id", String(_TOKEN_ID_CHARS), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("created_by", String(EMAIL_CHARS_MAX), nullable=False),
    Column("revoked_at_us", BigInteger, nullable=True),
    length("token_id", _TOKEN_ID_CHARS, _TOKEN_ID_CHARS),
    length("secret_hash", HASH_BYTES, HASH_BYTES),
    length("name", NAME_CHARS_MAX),
    length("created_by", EMAIL_CHARS_MAX),
    bounded("created_at_us", TIME_US_MAX),
    bounded("revoked_at_us", TIME_US_MAX),
)
"""Tokens that are good for SCIM alone; only a keyed hash of each secret is here."""

scim_users = Table(
    "scim_users",
    metadata,
    Column("user_id", ForeignKey("users.user_id"), primary_key=True),
    Column("user_name", String(EMAIL_CHARS_MAX), nullable=True),
    Column("user_name_folded", String(EMAIL_CHARS_MAX * 3), nullable=True, unique=True),
    Column("external_id", String(_EXTERNAL_ID_CHARS_MAX), nullable=True, index=True),
    Column("removed_at_us", BigInteger, nullable=True),
    length("user_name", EMAIL_CHARS_MAX),
    length("external_id", _EXTERNAL_ID_CHARS_MAX),
    bounded("removed_at_us", TIME_US_MAX),
)
"""What a provider calls a person. Folding may make a name up to three times as long."""

scim_groups = Table(
    "scim_groups",
    metadata,
    Column("team_id", ForeignKey("teams.team_id"), primary_key=True),
    Column("external_id", String(_EXTERNAL_ID_CHARS_MAX), nullable=True),
    Column("removed_at_us", BigInteger, nullable=True),
    length("external_id", _EXTERNAL_ID_CHARS_MAX),
    bounded("removed_at_us", TIME_US_MAX),
)
"""What a provider calls a team."""
