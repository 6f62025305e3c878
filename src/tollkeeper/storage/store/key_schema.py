"""The tables of what some keys have: an earlier secret, and networks that they are bound to."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table, Text

from tollkeeper.storage.store.schema_parts import (
    HASH_BYTES,
    NAME_CHARS_MAX,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
)

NETWORKS_CHARS_MAX: Final = 4_000

key_rotations = Table(
    "key_rotations",
    metadata,
    Column("key_id", ForeignKey("virtual_keys.key_id"), primary_key=True),
    Column("earlier_hmac", LargeBinary, nullable=False),
    Column("earlier_until_us", BigInteger, nullable=False),
    Column("rotated_at_us", BigInteger, nullable=False),
    Column("rotated_by", String(NAME_CHARS_MAX), nullable=False),
    length("earlier_hmac", HASH_BYTES, HASH_BYTES),
    bounded("earlier_until_us", TIME_US_MAX),
    bounded("rotated_at_us", TIME_US_MAX),
)
"""The latest rotation of each key that was rotated. ``earlier_hmac`` is of the secret that it
replaced, which was or is good until ``earlier_until_us``."""

key_networks = Table(
    "key_networks",
    metadata,
    Column("key_id", ForeignKey("virtual_keys.key_id"), primary_key=True),
    Column("networks", Text, nullable=False),
    length("networks", NETWORKS_CHARS_MAX),
)
"""``networks`` is a JSON list of those from which the key may be used; no row means all."""
