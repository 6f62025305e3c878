"""What the budget authority says to its database: for SQLite and PostgreSQL alike.

Values are named with a colon in front. Whether there is room is decided by the statement that
takes it, never by a look before.
"""

# ruff: noqa: S608 - the statements are put together from this file's own constants

from __future__ import annotations

from typing import Final

from tollkeeper.domain.budget_raises import Overdraft
from tollkeeper.storage.store.budget_rows import BUDGET_COLUMNS

_KEY: Final = "budget_id = :budget_id AND entity = :entity AND window_start_us = :window_start_us"
_RAISED: Final = """(
    SELECT COALESCE(SUM(g.amount), 0) FROM budget_raises AS g
    WHERE g.budget_id = budget_balances.budget_id AND g.entity = budget_balances.entity
    AND g.from_us <= :now_us AND g.until_us > :now_us
    AND NOT EXISTS (SELECT 1 FROM budget_raise_ends AS e WHERE e.raise_id = g.raise_id)
)"""
_LIMIT_ALONE: Final = """(
    SELECT CASE WHEN b.mode = 'observe' THEN 4611686018427387904 ELSE b.limit_amount END
    FROM budgets AS b WHERE b.budget_id = budget_balances.budget_id
)"""
_LIMIT: Final = f"""(
    SELECT CASE WHEN b.mode = 'observe' THEN 4611686018427387904
        ELSE b.limit_amount + CAST({_RAISED} AS BIGINT) END
    FROM budgets AS b WHERE b.budget_id = budget_balances.budget_id
)"""
_UNSPENT: Final = "CASE WHEN granted > spent THEN granted - spent ELSE 0 END"

ABANDONED: Final = "abandoned~"
"""With this begin the names of holds that note what was charged for a gateway that is lost."""

BUDGETS: Final = f"SELECT {', '.join(BUDGET_COLUMNS)} FROM budgets ORDER BY budget_id"
_CHANGING: Final = (
    *("name", "limit_amount", "mode", "sizing", "rollover_max", "thresholds_bp", "until_us"),
    *("version", "changed_revision"),
)
KEEP_BUDGET: Final = f"""
    INSERT INTO budgets ({", ".join(BUDGET_COLUMNS)}, changed_revision, created_at_us, created_by)
    VALUES ({", ".join(f":{name}" for name in BUDGET_COLUMNS)}, :changed_revision, :now_us, :by)
    ON CONFLICT (budget_id) DO UPDATE SET {", ".join(f"{it} = excluded.{it}" for it in _CHANGING)}
"""
RAISE_REVISION: Final = "UPDATE revisions SET revision = revision + 1"
REVISION: Final = "SELECT revision FROM revisions"
BUDGET: Final = f"SELECT {', '.join(BUDGET_COLUMNS)} FROM budgets WHERE budget_id = :budget_id"

OVERDRAFTS: Final = f"""
    SELECT {", ".join(Overdraft._fields)} FROM budget_overdrafts ORDER BY budget_id, set_at_us
"""
ALLOW_OVERDRAFT: Final = f"""
    INSERT INTO budget_overdrafts ({", ".join(Overdraft._fields)})
    VALUES ({", ".join(f":{name}" for name in Overdraft._fields)})
"""

# ----------------------------------------------------------------------- balances

ROW: Final = f"SELECT 1 FROM budget_balances WHERE {_KEY}"
ADD_ROW: Final = """
    INSERT INTO budget_balances
        (budget_id, entity, window_start_us, window_end_us, posted, held, rolled_in, rolled_on)
    VALUES (:budget_id, :entity, :window_start_us, :window_end_us, 0, 0, 0, 0)
    ON CONFLICT (budget_id, entity, window_start_us) DO NOTHING
"""
TAKE: Final = f"""
    UPDATE budget_balances SET held = held + :amount
    WHERE {_KEY} AND posted + held + :amount <= {_LIMIT} + rolled_in - rolled_on
"""
MOVE: Final = f"""
    UPDATE budget_balances SET posted = posted + :posted, held = held + :held WHERE {_KEY}
"""
ROLL_ON: Final = f"""
    UPDATE budget_balances SET rolled_on = rolled_on + :amount
    WHERE {_KEY} AND posted + held + :amount <= {_LIMIT_ALONE} + rolled_in - rolled_on
"""
ROLL_IN: Final = f"UPDATE budget_balances SET rolled_in = :amount WHERE {_KEY}"
STANDING: Final = f"""
    SELECT posted, held, {_LIMIT} + rolled_in - rolled_on,
        (SELECT COALESCE(SUM({_UNSPENT}), 0) FROM budget_leases AS l
         WHERE l.budget_id = budget_balances.budget_id AND l.entity = budget_balances.entity
         AND l.window_start_us = budget_balances.window_start_us)
    FROM budget_balances WHERE {_KEY}
"""
BALANCES: Final = """
    SELECT r.budget_id, r.entity, r.window_start_us, r.window_end_us, r.posted, r.held,
        COALESCE((SELECT SUM(CASE WHEN granted > spent THEN granted - spent ELSE 0 END)
         FROM budget_leases AS l WHERE l.budget_id = r.budget_id AND l.entity = r.entity
         AND l.window_start_us = r.window_start_us), 0),
        b.limit_amount + r.rolled_in - r.rolled_on
    FROM budget_balances AS r JOIN budgets AS b ON b.budget_id = r.budget_id
    WHERE r.budget_id = COALESCE(:budget_id, r.budget_id)
    ORDER BY r.budget_id, r.entity, r.window_start_us
"""
CORRECT: Final = f"UPDATE budget_balances SET posted = :booked WHERE {_KEY} AND posted = :posted"

# ----------------------------------------------------------------------- leases

SEE_GATEWAY: Final = """
    INSERT INTO budget_gateways (gateway, seen_at_us, ended_at_us)
    VALUES (:gateway, :now_us, NULL)
    ON CONFLICT (gateway) DO UPDATE SET seen_at_us = excluded.seen_at_us
"""
SHARING: Final = "rates~"
"""With this begin the names of gateways in their part as those that share rate limits."""
BEATS: Final = f"""
    SELECT gateway, seen_at_us FROM budget_gateways
    WHERE ended_at_us IS NULL AND substr(gateway, 1, {len(SHARING)}) = '{SHARING}'
"""
TURN: Final = "UPDATE budget_gateways SET seen_at_us = seen_at_us WHERE gateway = :gateway"
ENDED: Final = """
    SELECT 1 FROM budget_gateways WHERE gateway = :gateway AND ended_at_us IS NOT NULL
"""
END_GATEWAY: Final = """
    UPDATE budget_gateways SET ended_at_us = :now_us
    WHERE gateway = :gateway AND ended_at_us IS NULL
"""
ADD_LEASE: Final = """
    INSERT INTO budget_leases
        (gateway, budget_id, entity, window_start_us, granted, spent, epoch, state, expires_at_us)
    VALUES (:gateway, :budget_id, :entity, :window_start_us, 0, 0, 0, :state, :expires_at_us)
    ON CONFLICT (gateway, budget_id, entity, window_start_us) DO NOTHING
"""
LEASE: Final = f"""
    SELECT granted, spent, epoch, state FROM budget_leases WHERE gateway = :gateway AND {_KEY}
"""
REPORT: Final = f"""
    UPDATE budget_leases SET granted = :granted, spent = :spent, epoch = epoch + 1,
        state = CASE WHEN state = 'closed' THEN state ELSE 'open' END,
        expires_at_us = :expires_at_us
    WHERE gateway = :gateway AND {_KEY} AND epoch = :epoch
"""
GRANT: Final = f"""
    UPDATE budget_leases SET granted = granted + :amount WHERE gateway = :gateway AND {_KEY}
"""
LEASES_OF: Final = """
    SELECT budget_id, entity, window_start_us, granted, spent FROM budget_leases
    WHERE gateway = :gateway AND state <> 'closed'
    ORDER BY budget_id, entity, window_start_us
"""
CLOSE_LEASE: Final = f"""
    UPDATE budget_leases SET granted = :spent, spent = :spent, epoch = epoch + 1,
        state = 'closed'
    WHERE gateway = :gateway AND {_KEY} AND state <> 'closed'
"""
CORRECT_LEASE: Final = f"""
    UPDATE budget_leases SET granted = granted + :more, spent = spent + :more
    WHERE gateway = :gateway AND {_KEY} AND state = 'closed'
"""
LATE: Final = """
    SELECT gateway, budget_id, entity, window_start_us, granted, spent FROM budget_leases
    WHERE state = 'open' AND expires_at_us <= :now_us
    ORDER BY gateway, budget_id, entity, window_start_us
"""
OPEN_GATEWAYS: Final = """
    SELECT g.gateway, g.seen_at_us, l.budget_id, l.entity, l.window_start_us, l.granted, l.spent
    FROM budget_gateways AS g JOIN budget_leases AS l ON l.gateway = g.gateway
    WHERE l.state <> 'closed' AND l.granted > l.spent AND g.ended_at_us IS NULL
    ORDER BY g.seen_at_us, g.gateway
"""
SEEN: Final = "SELECT seen_at_us FROM budget_gateways WHERE gateway = :gateway"
EXPIRE: Final = f"""
    UPDATE budget_leases SET state = 'expired'
    WHERE gateway = :gateway AND {_KEY} AND state = 'open' AND expires_at_us <= :now_us
"""

# ----------------------------------------------------------------------- holds

HOLDS: Final = """
    SELECT h.budget_id, h.entity, h.window_start_us, h.amount, h.state, b.unit
    FROM budget_holds AS h JOIN budgets AS b ON b.budget_id = h.budget_id
    WHERE h.entry_id = :entry_id ORDER BY h.budget_id, h.entity, h.window_start_us
"""
ADD_HOLD: Final = """
    INSERT INTO budget_holds (entry_id, budget_id, entity, window_start_us, gateway, amount,
        spent, state, changed_at_us)
    VALUES (:entry_id, :budget_id, :entity, :window_start_us, :gateway, :amount,
        :spent, :state, :now_us)
    ON CONFLICT (entry_id, budget_id, entity, window_start_us) DO NOTHING
"""
END_HOLD: Final = f"""
    UPDATE budget_holds SET state = :state, spent = :spent, changed_at_us = :now_us
    WHERE entry_id = :entry_id AND {_KEY} AND state = 'held'
"""
WRITE_OFF: Final = f"""
    UPDATE budget_holds SET state = 'voided', spent = 0, changed_at_us = :now_us
    WHERE entry_id = :entry_id AND {_KEY} AND state = 'estimated'
"""
REPLACE: Final = f"""
    UPDATE budget_holds SET state = 'posted', spent = 0, changed_at_us = :now_us
    WHERE entry_id = :entry_id AND {_KEY} AND state IN ('estimated', 'voided')
"""
ABANDONED_SUMS: Final = f"""
    SELECT budget_id, entity, window_start_us, SUM(spent) FROM budget_holds
    WHERE state = 'estimated' AND substr(entry_id, 1, {len(ABANDONED)}) = '{ABANDONED}'
    GROUP BY budget_id, entity, window_start_us
"""
# What was abandoned is kept: the check of balances knows by it why they are above the ledger.
FORGET_HOLDS: Final = f"""
    DELETE FROM budget_holds WHERE state <> 'held' AND changed_at_us < :before_us
    AND substr(entry_id, 1, {len(ABANDONED)}) <> '{ABANDONED}'
"""
FORGET_GATEWAYS: Final = f"""
    DELETE FROM budget_gateways
    WHERE (ended_at_us < :before_us
        OR (seen_at_us < :before_us AND substr(gateway, 1, {len(SHARING)}) = '{SHARING}'))
    AND NOT EXISTS (SELECT 1 FROM budget_leases AS l WHERE l.gateway = budget_gateways.gateway)
"""
FORGET_LEASES: Final = """
    DELETE FROM budget_leases WHERE state = 'closed' AND EXISTS (
        SELECT 1 FROM budget_gateways AS g
        WHERE g.gateway = budget_leases.gateway AND g.ended_at_us < :before_us)
"""
