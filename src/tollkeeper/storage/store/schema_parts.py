"""What the store's tables are made of: bounds, checks, and the one set of tables."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, MetaData

COUNT_MAX: Final = 2**62
BUDGET_LIMIT_MAX: Final = 4 * 10**18
TIME_US_MAX: Final = 253_402_300_799_999_999  # the end of the year 9999
HASH_BYTES: Final = 32
FINGERPRINT_BYTES: Final = 8
ID_CHARS: Final = 36
NAME_CHARS_MAX: Final = 200
EMAIL_CHARS_MAX: Final = 254
PRICES_CHARS_MAX: Final = 4_000
REASON_CHARS_MAX: Final = 1_000

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def bounded(column: str, most: int, least: int = 0) -> CheckConstraint:
    """Give the check that a number lies between two."""
    return CheckConstraint(f"{column} BETWEEN {least} AND {most}", name=column)


def length(column: str, most: int, least: int = 1) -> CheckConstraint:
    """Give the check that a text has so many characters."""
    return CheckConstraint(f"length({column}) BETWEEN {least} AND {most}", name=column)


def one_of(column: str, *values: str) -> CheckConstraint:
    """Give the check that a text is one of some words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
