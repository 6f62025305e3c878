"""Gateways whose journal is lost for good: what they were granted is charged, and noted as such.

The note is an estimated hold of the row, under a name of its own. So the check of balances knows
why a row is above the sum of its entries, and what was charged can be taken back, once: by an
admin, or by the journal if it is found after all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollkeeper.domain.budgets import BalanceKey
from tollkeeper.domain.errors import Conflict, NotFound
from tollkeeper.domain.holds import HoldState
from tollkeeper.domain.leases import LEASE_US, Charge, OpenGateway, outstanding
from tollkeeper.storage.store import budget_sql as sql
from tollkeeper.storage.store.budget_steps import Database, add_hold, end_holds, move

_CHARGED: Final = HoldState.ESTIMATED
_SECOND_US: Final = 1_000_000


def open_gateways(db: Database) -> list[OpenGateway]:
    """List the gateways that have not ended and have leases open."""
    found: dict[str, OpenGateway] = {}
    for gateway, seen_at_us, *key, granted, spent in db.execute(sql.OPEN_GATEWAYS, {}).fetchall():
        known = found.setdefault(gateway, OpenGateway(gateway, seen_at_us, {}))
        known.held[BalanceKey(*key)] = outstanding(granted, spent)
    return list(found.values())


def abandon(db: Database, gateway: str, now_us: int) -> OpenGateway:
    """End a gateway, and charge all that it was granted. See ``BudgetAuthority.abandon``."""
    name = _name_of(gateway)
    db.execute(sql.TURN, {"gateway": gateway})  # its own exchanges wait, and find it ended
    found = db.execute(sql.SEEN, {"gateway": gateway}).fetchone()
    leases = db.execute(sql.LEASES_OF, {"gateway": gateway}).fetchall()
    if found is None or not leases:
        return _noted(db, gateway, name, 0 if found is None else found[0])
    ended = OpenGateway(gateway, found[0], {})
    if ended.is_alive(now_us):
        seconds = max(now_us - ended.seen_at_us, 0) // _SECOND_US
        raise Conflict(
            f"the gateway {gateway} was heard of {seconds} seconds ago, and may live: "
            f"one that is dead is not heard of for {LEASE_US // _SECOND_US} seconds",
            code="gateway_alive",
        )
    db.execute(sql.END_GATEWAY, {"gateway": gateway, "now_us": now_us})
    for *parts, granted, spent in sorted(leases):
        key, unsaid = BalanceKey(*parts), outstanding(granted, spent)
        values = {**key._asdict(), "gateway": gateway, "spent": max(granted, spent)}
        if db.execute(sql.CLOSE_LEASE, values).rowcount:
            # The lease held it already: the note takes that over, and turns it into spending.
            add_hold(db, name, gateway, Charge(key, 0, unsaid), HoldState.HELD, now_us)
            if unsaid:
                ended.held[key] = unsaid
    end_holds(db, name, _CHARGED, None, now_us)
    return ended


def write_off(db: Database, gateway: str, now_us: int) -> OpenGateway:
    """Take back what was charged for an abandoned gateway. See ``BudgetAuthority.write_off``."""
    name = _name_of(gateway)
    db.execute(sql.TURN, {"gateway": gateway})
    noted = _noted(db, gateway, name, 0)
    for key, amount in sorted(noted.held.items()):
        values = {**key._asdict(), "entry_id": name, "now_us": now_us}
        if db.execute(sql.WRITE_OFF, values).rowcount:
            _correct(db, gateway, key, -amount)
    return noted


def replace(
    db: Database,
    gateway: str,
    spent: Mapping[BalanceKey, int],
    untold: Mapping[BalanceKey, int],
    now_us: int,
) -> int:
    """Put what a journal says that was found after all in place of what was charged, or written
    off, for its gateway. Returns of how many rows."""
    name, replaced = _name_of(gateway), 0
    for *parts, amount, state, _ in sorted(db.execute(sql.HOLDS, {"entry_id": name}).fetchall()):
        key = BalanceKey(*parts)
        values = {**key._asdict(), "entry_id": name, "now_us": now_us}
        if db.execute(sql.REPLACE, values).rowcount:
            where = {**key._asdict(), "gateway": gateway}
            charged: int = db.execute(sql.LEASE, where).fetchone()[1]
            said = charged - (amount if state == _CHARGED else 0)
            in_all = max(spent.get(key, 0), said) + untold.get(key, 0)
            _correct(db, gateway, key, in_all - charged)
            replaced += 1
    return replaced


def _correct(db: Database, gateway: str, key: BalanceKey, more: int) -> None:
    """Change what a closed lease has spent, and with it the row."""
    db.execute(sql.CORRECT_LEASE, {**key._asdict(), "gateway": gateway, "more": more})
    move(db, key, more, 0)


def _name_of(gateway: str) -> str:
    return f"{sql.ABANDONED}{gateway}"


def _noted(db: Database, gateway: str, name: str, seen_at_us: int) -> OpenGateway:
    """Give what was charged for a gateway. Raises NotFound where that is nothing."""
    rows = db.execute(sql.HOLDS, {"entry_id": name}).fetchall()
    held = {BalanceKey(*row[:3]): row[3] for row in rows if row[3] and row[4] == _CHARGED}
    if not held:
        raise NotFound(f"the gateway {gateway!r} holds nothing of any budget", code="no_gateway")
    return OpenGateway(gateway, seen_at_us, held)
