"""The store's tables of passwords, one hash for a person at most, and of how sessions began."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table

from tollkeeper.storage.store.schema_parts import TIME_US_MAX, bounded, length, metadata

ENCODED_CHARS_MAX: Final = 255
WORD_CHARS_MAX: Final = 16

passwords = Table(
    "passwords",
    metadata,
    Column("user_id", ForeignKey("users.user_id"), primary_key=True),
    Column("encoded", String(ENCODED_CHARS_MAX), nullable=False),
    Column("set_at_us", BigInteger, nullable=False),
    length("encoded", ENCODED_CHARS_MAX),
    bounded("set_at_us", TIME_US_MAX),
)
"""``encoded`` is an argon2id hash with its salt and parameters, of a keyed hash of the
password."""

session_beginnings = Table(
    "session_beginnings",
    metadata,
    Column(
        "session_hash",
        ForeignKey("sessions.session_hash", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("began_with", String(WORD_CHARS_MAX), nullable=False),
    length("began_with", WORD_CHARS_MAX),
)
"""With what a session began; those that are not here began with a link."""
