"""The store's tables of where people belong: teams within teams, memberships over time."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table

from tollkeeper.storage.store.schema_parts import (
    NAME_CHARS_MAX,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
)

team_parents = Table(
    "team_parents",
    metadata,
    Column("team_id", ForeignKey("teams.team_id"), primary_key=True),
    Column("parent_id", ForeignKey("teams.team_id"), nullable=False, index=True),
)
"""Teams that are part of another one, which is part of none."""

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", ForeignKey("users.user_id"), primary_key=True),
    Column("from_us", BigInteger, primary_key=True, autoincrement=False),
    Column("until_us", BigInteger, nullable=True),
    Column("team_id", ForeignKey("teams.team_id"), nullable=True, index=True),
    Column("team", String(NAME_CHARS_MAX), nullable=False),
    bounded("from_us", TIME_US_MAX),
    bounded("until_us", TIME_US_MAX),
    length("team", NAME_CHARS_MAX, 0),
)
"""Since when, and until when, an account was active, and in which team, by its name of then.
``until_us`` is NULL for what is so now. Stretches of one person do not overlap."""
