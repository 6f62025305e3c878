"""PostgreSQL is away, seconds or ten minutes: what is capped is refused, all else goes on.

Three gateways, four protocols, three keys: one without a cap, one with a wide cap, of which
gateways have leased a good deal, and one whose calls must each be asked for.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from budget_desks import DOLLAR, budget
from call_load import wait_until
from capped import keep_budgets
from memory import resident_bytes
from money_trail import provider_book
from postgres_cluster import Cluster
from protocols import ALL
from raw_http import WAIT_S, Answer, RawConnection
from running import Deployment, usual_configuration
from tollkeeper.domain.budget_book import Book, booked_sums, drifts
from tollkeeper.domain.budgets import Budget, BudgetScope, Unit
from tollkeeper.domain.leases import LEASE_US
from tollkeeper.domain.ledger import LedgerEntry, Outcome
from tollkeeper.services.budget_spending import spender_of, spending_booked
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.store_address import PostgresDatabase

GATEWAYS: Final = 3
FREE, WIDE, SCARCE = KINDS = ("free", "wide", "scarce")
SCARCE_CALLS: Final = 15
"""So few that nobody is given more of them than one call needs."""
PAUSE_S: Final = {FREE: 0.25, WIDE: 0.25, SCARCE: 0.5}
SETTLED_S: Final = 4.0
"""So long after the server has gone every gateway knows that it has."""
LEASE_S: Final = LEASE_US / 1_000_000
BACK_S: Final = 20.0
GROWTH_BYTES_MAX: Final = 4 << 20
"""In the second half of the time: in the first, what remembers the last thousand calls fills."""
LOG_LINES_MAX: Final = 10
"""Of one gateway, in that time, however long it is."""
USED_UP: Final = {402, 403, 429}


class Seen(NamedTuple):
    """What one call came to. ``at_s`` is when it was begun, on the clock of the trickle."""

    at_s: float
    took_s: float
    gateway: int
    kind: str
    nonce: str
    status: int
    code: str


class Trickle:
    """Some calls a second at every gateway, with every key, in all protocols in turn."""

    def __init__(self, made: list[Deployment], keys: Mapping[str, str]) -> None:
        self.seen: list[Seen] = []
        self.prefix = f"away-{random.getrandbits(32):08x}-"  # the provider's book has others, too
        self._made = made
        self._keys = keys
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._call_on, args=(place, kind), daemon=True)
            for place in range(len(made))
            for kind in KINDS
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * WAIT_S)
            assert not thread.is_alive()

    def call(self, place: int, kind: str, number: int) -> Seen:
        """Make one call; a gateway that does not answer within ten seconds fails the test."""
        protocol = ALL[number % len(ALL)]
        nonce = f"{self.prefix}{kind}-{number}"
        at_s = time.monotonic()
        with RawConnection(self._made[place].port) as connection:
            connection.send(protocol.with_nonce(self._keys[kind], nonce))
            answer = connection.answer()
        took_s = time.monotonic() - at_s
        code = "" if answer.status == 200 else _code(answer, protocol.fault(answer).code)
        seen = Seen(at_s, took_s, place, kind, nonce, answer.status, code)
        self.seen.append(seen)
        return seen

    def since(self, at_s: float, until_s: float, kind: str) -> list[Seen]:
        """Give what came of the calls of a kind that were begun in between."""
        return [it for it in self.seen if it.kind == kind and at_s <= it.at_s < until_s]

    def _call_on(self, place: int, kind: str) -> None:
        while not self._stop.wait(PAUSE_S[kind]):
            self.call(place, kind, next(self._numbers))


def _code(answer: Answer, said: str) -> str:
    """Give the code of an error, wherever its protocol has room for it."""
    return "budget_unreachable" if b"budget_unreachable" in answer.body else said


@contextmanager
def gateways(folder: Path, sandbox: str, store_url: str) -> Iterator[list[Deployment]]:
    """Make data folders with one key file and one store for all; stop what runs in the end."""
    made: list[Deployment] = []
    with ExitStack() as ends:
        for number in range(GATEWAYS):
            place = folder / f"machine{number}"
            place.mkdir()
            key_file = made[0].folder.secret_key if made else None
            configuration = usual_configuration(sandbox)
            each = Deployment(place, sandbox, configuration, store_url, key_file)
            ends.callback(each.finish)
            made.append(each)
        yield made


def budgets_of(keys: Mapping[str, str]) -> tuple[Budget, ...]:
    """Cap two keys: one widely, in USD, and one by a few calls."""
    ids = {kind: token.split("_")[2] for kind, token in keys.items()}
    return (
        budget("wide", 1_000 * DOLLAR, scope=BudgetScope.KEY, match=ids[WIDE]),
        budget(
            "scarce", SCARCE_CALLS, scope=BudgetScope.KEY, match=ids[SCARCE], unit=Unit.REQUESTS
        ),
    )


class Burden(NamedTuple):
    """What one gateway occupies, and how much it has logged."""

    resident_bytes: int
    descriptors: int
    log_lines: int


def burdens(made: list[Deployment]) -> list[Burden]:
    found = []
    for each in made:
        assert each.gateway is not None
        pid = each.gateway.process.pid
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        found.append(Burden(resident_bytes(pid), descriptors, len(each.gateway.log)))
    return found


def require_true_while_away(trickle: Trickle, gone_s: float, back_s: float) -> dict[str, Any]:
    """Look at every answer while the server was away; give the figures."""
    free = trickle.since(gone_s, back_s, FREE)
    assert Counter(it.status for it in free).keys() == {200}
    assert len(free) > (back_s - gone_s) * GATEWAYS  # one a second and gateway at the least
    scarce = trickle.since(gone_s + SETTLED_S, back_s, SCARCE)
    assert scarce
    assert {(it.status, it.code) for it in scarce} == {(503, "budget_unreachable")}
    wide = trickle.since(gone_s, back_s, WIDE)
    answered = Counter((it.status, it.code) for it in wide)
    assert answered.keys() <= {(200, ""), (503, "budget_unreachable")}
    late = trickle.since(gone_s + LEASE_S + SETTLED_S, back_s, WIDE)
    assert {(it.status, it.code) for it in late} <= {(503, "budget_unreachable")}
    refused_s = sorted(it.took_s for it in (*scarce, *late))
    return {
        "free 200": len(free),
        "wide 200": answered[200, ""],
        "wide 503": answered[503, "budget_unreachable"],
        "scarce 503": len(scarce),
        "refused in, median s": round(refused_s[len(refused_s) // 2], 4),
        "refused in, slowest s": round(refused_s[-1], 4),
    }


def require_all_settled(
    made: list[Deployment], trickle: Trickle, budgets: tuple[Budget, ...], at: PostgresDatabase
) -> dict[str, Any]:
    """Hold balances, journals, the provider's book and the answers against each other."""
    entries: list[LedgerEntry] = [entry for each in made for entry in each.entries()]
    assert len({entry.entry_id for entry in entries}) == len(entries)
    good = [entry for entry in entries if entry.outcome == Outcome.OK]
    nonces = [call["nonce"] for call in provider_book(made[0])]
    served = [nonce for nonce in nonces if nonce.startswith(trickle.prefix)]
    assert len(set(served)) == len(served)
    answered = {it.nonce for it in trickle.seen if it.status == 200}
    assert {entry.tags["nonce"] for entry in good} == set(served) == answered
    bookings = [
        (spender_of(entry), entry.started_at_us, spending_booked(entry)) for entry in entries
    ]
    booked = booked_sums(Book(budgets), bookings)
    with closing(PostgresBudgetAuthority(at)) as authority:
        rows = authority.balances()
    assert [row for row in rows if row.held] == []
    assert drifts(rows, booked) == []
    posted = {row.key.budget_id: row.posted for row in rows}
    assert posted["scarce"] == SCARCE_CALLS
    assert posted["wide"] > 0
    return {"calls": len(trickle.seen), "booked": len(entries), "served": len(served), **posted}


@pytest.mark.slow
@pytest.mark.parametrize(
    "away_s",
    [6, pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(1_500)])],
)
def test_what_is_capped_waits_for_the_store_and_all_else_goes_on(
    away_s: int, cluster: Cluster, database: PostgresDatabase, sandbox: str, tmp_path: Path
) -> None:
    with gateways(tmp_path, sandbox, cluster.url(database.options["dbname"])) as made:
        keys = {kind: made[0].issue(kind) for kind in KINDS}
        budgets = budgets_of(keys)
        keep_budgets(made[0], *budgets)
        for each in made:
            each.start()
        trickle = Trickle(made, keys)
        for place, kind in itertools.product(range(GATEWAYS), KINDS):
            assert trickle.call(place, kind, -1 - place * len(KINDS)).status == 200
        trickle.start()
        try:
            time.sleep(1)
            gone_s = time.monotonic()
            cluster.stop()
            try:
                time.sleep(max(SETTLED_S, away_s / 2))
                before = burdens(made)
                time.sleep(away_s - max(SETTLED_S, away_s / 2))
                after = burdens(made)
                back_s = time.monotonic()
            finally:
                cluster.start()
            recovered_s = time.monotonic()
            wait_until(lambda: has_heard_again(trickle, recovered_s), BACK_S, "an answer to each")
            recovery_s = time.monotonic() - recovered_s
            wait_until(lambda: is_used_up(trickle), BACK_S, "the last of the scarce calls")
        finally:
            trickle.stop()
        figures = require_true_while_away(trickle, gone_s, back_s)
        for then, now in zip(before, after, strict=True):
            assert now.resident_bytes - then.resident_bytes < GROWTH_BYTES_MAX, (before, after)
            assert now.descriptors <= then.descriptors + 2, (before, after)
            assert now.log_lines - then.log_lines < LOG_LINES_MAX, made[0].logs()[-5_000:]
        for each in made:
            each.stop()
        figures |= require_all_settled(made, trickle, budgets, database)
        figures |= {"back after s": round(recovery_s, 2), "before": before, "after": after}
        print(json.dumps({"away s": away_s, **figures}))


def has_heard_again(trickle: Trickle, since_s: float) -> bool:
    """Tell whether every gateway was told again what is left, of both caps."""
    heard = {
        (it.gateway, it.kind)
        for it in trickle.seen
        if it.at_s >= since_s and it.kind != FREE and it.status in {200, *USED_UP}
    }
    return len(heard) == 2 * GATEWAYS


def is_used_up(trickle: Trickle) -> bool:
    """Tell whether every gateway has said that the scarce calls are used up."""
    ended = {it.gateway for it in trickle.seen if it.kind == SCARCE and it.status in USED_UP}
    return len(ended) == GATEWAYS
