"""The price rules of a SQLite store, read with the standard library alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from tollkeeper.domain.price_rules import PriceRule
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.rows import price_rule
from tollkeeper.storage.store.schema_check import schema_is_current

_RULES: Final = """
    SELECT name, provider, model, team, usd, discount_bp, since_us, until_us, reason
    FROM price_rules ORDER BY created_at_us DESC, rule_id DESC
"""


def rules_in(connection: sqlite3.Connection) -> tuple[PriceRule, ...]:
    """Read all rules, in the order in which they are tried."""
    return tuple(price_rule(row) for row in connection.execute(_RULES))


def stored_rules(path: Path) -> tuple[PriceRule, ...]:
    """Read the rules of a store; none where it is not there yet, or is not current."""
    if not schema_is_current(path):
        return ()
    with closing(sqlite_file.connect_read_only(path)) as connection:
        return rules_in(connection)
