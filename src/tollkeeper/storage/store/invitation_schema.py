"""The store's table of invitations."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, Table

from tollkeeper.storage.store.schema_parts import (
    EMAIL_CHARS_MAX,
    HASH_BYTES,
    ID_CHARS,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
    one_of,
)

invitations = Table(
    "invitations",
    metadata,
    Column("invitation_id", String(ID_CHARS), primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("email", String(EMAIL_CHARS_MAX), nullable=False),
    Column("role", String(16), nullable=False),
    Column("team_id", ForeignKey("teams.team_id"), nullable=True),
    Column("invited_by", String(EMAIL_CHARS_MAX), nullable=False),
    Column("invited_by_id", String(ID_CHARS), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Column("accepted_at_us", BigInteger, nullable=True),
    Column("revoked_at_us", BigInteger, nullable=True),
    length("token_hash", HASH_BYTES, HASH_BYTES),
    length("email", EMAIL_CHARS_MAX, 3),
    one_of("role", "admin", "finance", "lead", "member", "auditor"),
    *(
        bounded(column, TIME_US_MAX)
        for column in ("created_at_us", "expires_at_us", "accepted_at_us", "revoked_at_us")
    ),
    Index("ix_invitations_created_at_us", "created_at_us"),
)
"""Who may join. Of a link's token only a keyed hash is here."""
