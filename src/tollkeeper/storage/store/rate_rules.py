"""The store's rate limits: set, listed, removed."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from tollkeeper.domain.rate_limits import StoredRateRule
from tollkeeper.storage.store.rate_schema import rate_rules
from tollkeeper.storage.store.stored_rate_rules import RATE_RULE_COLUMNS, rate_rule

_COLUMNS: Final = tuple(rate_rules.c[name] for name in RATE_RULE_COLUMNS)


def set_rule(db: Connection, stored: StoredRateRule) -> None:
    """Keep a rule, in place of the one with its id if there is one."""
    values: dict[str, Any] = dict(zip(RATE_RULE_COLUMNS, stored.rule, strict=True))
    values |= {"set_at_us": stored.set_at_us, "set_by": stored.set_by}
    is_this = rate_rules.c.rule_id == stored.rule.rule_id
    if not db.execute(update(rate_rules).where(is_this).values(**values)).rowcount:
        db.execute(insert(rate_rules).values(**values))


def all_rules(db: Connection) -> list[StoredRateRule]:
    """List the rules by name."""
    wanted = select(*_COLUMNS, rate_rules.c.set_at_us, rate_rules.c.set_by)
    rows = db.execute(wanted.order_by(rate_rules.c.name))
    return [StoredRateRule(rate_rule(row[:-2]), row[-2], row[-1]) for row in rows]


def remove_rule(db: Connection, rule_id: str) -> None:
    """Forget a rule. Raises LookupError where there is none."""
    if not db.execute(delete(rate_rules).where(rate_rules.c.rule_id == rule_id)).rowcount:
        raise LookupError(f"no rate limit {rule_id!r}")
