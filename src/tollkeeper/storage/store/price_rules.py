"""The store's price rules: contracts and own prices that were made on the page."""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from tollkeeper.domain.price_rules import ALWAYS_US, PriceRule, StoredRule
from tollkeeper.storage.store.rows import price_rule
from tollkeeper.storage.store.schema import price_rules

_RULE_COLUMNS: Final = PriceRule._fields


def add_rule(db: Connection, stored: StoredRule) -> None:
    """Keep a new rule."""
    rule = stored.rule
    db.execute(
        insert(price_rules).values(
            rule_id=stored.rule_id,
            name=rule.name,
            provider=rule.provider,
            model=rule.model,
            team=rule.team,
            usd=json.dumps(dict(rule.usd), sort_keys=True),
            discount_bp=rule.discount_bp,
            since_us=rule.since_us if rule.since_us > -ALWAYS_US else None,
            until_us=rule.until_us if rule.until_us < ALWAYS_US else None,
            reason=rule.reason,
            created_at_us=stored.created_at_us,
            created_by=stored.created_by,
        )
    )


def all_rules(db: Connection) -> list[StoredRule]:
    """List the rules, ended ones too, in the order in which they are tried: newest first."""
    order = (price_rules.c.created_at_us.desc(), price_rules.c.rule_id.desc())
    return [_stored(row) for row in db.execute(select(price_rules).order_by(*order)).mappings()]


def end_rule(db: Connection, rule_id: str, until_us: int) -> None:
    """Let a rule hold no longer. Raises LookupError where there is none."""
    changed = db.execute(
        update(price_rules).where(price_rules.c.rule_id == rule_id).values(until_us=until_us)
    )
    if not changed.rowcount:
        raise LookupError(f"no price rule {rule_id!r}")


def _stored(row: Any) -> StoredRule:
    rule = price_rule([row[name] for name in _RULE_COLUMNS])
    return StoredRule(row["rule_id"], rule, row["created_at_us"], row["created_by"])
