"""Many at once on one PostgreSQL store: what a single writer gives SQLite holds here too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from subprocess import PIPE, Popen
from sys import executable

import pytest

import stores
from budget_desks import CENT, DAILY, DOLLAR, budget, charge, only, server_authority
from postgres_cluster import Cluster
from stores import MINUTE, NOW
from tollkeeper.domain.access import Role
from tollkeeper.domain.audit import Head
from tollkeeper.domain.errors import Conflict
from tollkeeper.domain.leases import LeaseRequest
from tollkeeper.services import audit, keys, people
from tollkeeper.services.first_run import first_run
from tollkeeper.services.idempotent_keys import issue_once
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.store import SqlStore, open_sql_store
from tollkeeper.storage.store.store_address import PostgresDatabase

AT_ONCE = 40
HASH = b"h" * 32
DAY_US = 24 * 60 * MINUTE


@pytest.fixture
def many(database: PostgresDatabase) -> Iterator[list[SqlStore]]:
    """Stores with connections of their own, as if each were a process."""
    with ExitStack() as open_ones:
        yield [open_ones.enter_context(closing(open_sql_store(database))) for _ in range(AT_ONCE)]


def at_once(work: Callable[[int], object], count: int = AT_ONCE) -> list[object]:
    """Do the work so often at the same moment; give what came of each, or its error."""
    start = threading.Barrier(count)

    def one(number: int) -> object:
        start.wait()
        try:
            return work(number)
        except (ValueError, LookupError, OSError, Conflict) as error:
            return error

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def test_of_many_who_use_a_link_one_gets_in(many: list[SqlStore]) -> None:
    user = stores.add_person(many[0])
    many[0].add_login_link(HASH, user.user_id, NOW, NOW + MINUTE)
    used = at_once(lambda number: many[number].use_login_link(HASH, NOW))
    assert sum(found is not None for found in used) == 1


def test_one_admin_is_left_when_all_are_taken_away_at_once(many: list[SqlStore]) -> None:
    emails = [f"admin{number}@acme.com" for number in range(AT_ONCE)]
    for email in emails:
        stores.add_person(many[0], email, role=Role.ADMIN)
    ended = at_once(
        lambda number: (
            people.deactivate_user(many[number], emails[number], NOW)
            if number % 2
            else people.change_role(many[number], emails[number], Role.MEMBER, NOW)
        )
    )
    assert sum(isinstance(each, Conflict) for each in ended) == 1
    left = [it.email for it in many[0].users() if it.active and it.role is Role.ADMIN]
    assert len(left) == 1


def test_a_name_is_given_once(many: list[SqlStore]) -> None:
    made = at_once(lambda number: many[number].add_team("Core" if number % 2 else "cORE", NOW))
    assert sum(isinstance(each, ValueError) for each in made) == AT_ONCE - 1
    people_made = at_once(
        lambda number: many[number].add_user("a@acme.com", "A", Role.MEMBER, None, NOW)
    )
    assert sum(isinstance(each, ValueError) for each in people_made) == AT_ONCE - 1
    assert len(many[0].teams()) == len(many[0].users()) == 1


def test_each_write_makes_a_revision_of_its_own_in_its_order(many: list[SqlStore]) -> None:
    before = many[0].revision()

    def write(number: int) -> int:
        with many[number].together():
            many[number].add_team(f"team {number}", NOW)
            return many[number].revision()

    made = sorted(int(str(each)) for each in at_once(write))
    # Each transaction raises the revision once, however much is written in it.
    assert made == [before + number + 1 for number in range(AT_ONCE)]
    assert audit.verify(many[0]) == (Head(AT_ONCE, many[0].audit_head().hash), None, "")


def test_a_key_that_is_asked_for_again_and_again_is_issued_once(
    many: list[SqlStore], tmp_path: Path
) -> None:
    vault = stores.open_folder(tmp_path).vault
    stores.add_person(many[0])
    request = keys.KeyRequest("laptop", email="alice@acme.com")
    issued = at_once(
        lambda number: issue_once(many[number], vault, request, keys.OPERATOR, "same", NOW)
    )
    assert len({each.issued.token for each in issued}) == 1  # type: ignore[attr-defined]
    assert [each.repeated for each in issued].count(False) == 1  # type: ignore[attr-defined]
    assert len(many[0].keys()) == 1


def test_of_many_first_starts_one_is_the_first(many: list[SqlStore], tmp_path: Path) -> None:
    vault = stores.open_folder(tmp_path).vault
    made = at_once(lambda number: first_run(many[number], vault, NOW, org="acme"))
    assert sum(each is not None for each in made) == 1
    assert [user.email for user in many[0].users()] == ["admin@localhost"]


def test_of_two_who_change_a_budget_one_is_told_of_the_other(many: list[SqlStore]) -> None:
    cap = budget()
    many[0].add_budget(cap, NOW, "test")
    changed = at_once(
        lambda number: many[number].change_budget(cap._replace(limit=number, version=2))
    )
    assert changed.count(True) == 1


def test_sign_ins_are_forgotten_while_others_come_and_go(many: list[SqlStore]) -> None:
    """Deletes in no order beside deletes in another: they must not wait for each other."""
    users = [stores.add_person(many[0], f"p{number}@acme.com") for number in range(8)]

    def work(number: int) -> None:
        store, user = many[number], users[number % len(users)]
        for turn in range(10):
            token = bytes([number, turn]) * 16
            store.add_login_link(token, user.user_id, NOW, NOW + 1)
            store.use_login_link(token, NOW)
            if number % 4 == 0:
                store.forget_sign_ins(NOW + 2, NOW)
            elif number % 4 == 1:
                store.end_sessions_of(user.user_id)

    assert [each for each in at_once(work) if each is not None] == []


# --------------------------------------------------------------------- budgets

_HOLDER = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from budget_desks import NOW, budget, charge
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.store_address import parse_store_url

url, name, calls, usd, begin_at_s = sys.stdin.read().split()
authority = PostgresBudgetAuthority(parse_store_url(url))
time.sleep(max(0.0, float(begin_at_s) - time.monotonic()))

def hold(number):
    return authority.hold(f"{name}-{number}", name, [charge(budget(), int(usd))], NOW) is None

with ThreadPoolExecutor(16) as threads:
    print(sum(threads.map(hold, range(int(calls)))))
authority.close()
"""


@pytest.mark.parametrize(
    ("limit", "usd", "expected"), [(5 * DOLLAR, 10 * CENT, 50), (CENT, CENT, 1)]
)
def test_three_processes_share_one_cap_to_the_last_cent(
    cluster: Cluster, database: PostgresDatabase, limit: int, usd: int, expected: int
) -> None:
    authority = server_authority(database, [budget(limit=limit)])
    begin_at_s = time.monotonic() + 2  # one clock for all processes of a machine
    url = cluster.url(database.options["dbname"])
    tests = str(Path(__file__).parent.parent.parent)
    processes = [
        Popen([executable, "-c", _HOLDER], stdin=PIPE, stdout=PIPE, text=True, cwd=tests)
        for _ in range(3)
    ]
    for number, process in enumerate(processes):
        assert process.stdin is not None
        process.stdin.write(f"{url} g{number} {334 if number else 332} {usd} {begin_at_s}")
        process.stdin.close()
        process.stdin = None
    held = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(held) == expected, held
    assert only(authority.balances()).held == limit
    authority.close()


def test_gateways_that_lease_across_windows_never_wait_for_each_other(
    database: PostgresDatabase,
) -> None:
    """Rows of two windows and two budgets, made, rolled over and leased by all at once."""
    caps = [
        budget("a", 1_000 * DOLLAR, window=DAILY, rollover_max=DOLLAR, since_us=NOW - 9 * DAY_US),
        budget("b", 1_000 * DOLLAR, window=DAILY, rollover_max=DOLLAR, since_us=NOW - 9 * DAY_US),
    ]
    authority = server_authority(database, caps)
    undone: list[BaseException] = []
    done = authority._done

    def watched(transaction: Callable[[], object]) -> object:
        def once() -> object:
            try:
                return transaction()
            except Exception as error:
                undone.append(error)
                raise

        return done(once)

    authority._done = watched  # type: ignore[method-assign,assignment]

    def lease(number: int) -> None:
        for day in range(6):
            now_us = NOW + day * DAY_US
            charges = [
                charge(cap, CENT, at_us=at_us)
                for cap in caps
                for at_us in (now_us, now_us - DAY_US)
            ]
            if number % 2:
                charges.reverse()
            requests = [
                LeaseRequest(each.key, each.window_end_us, 0, 0, 0, 0, CENT, DOLLAR)
                for each in charges
            ]
            authority.exchange(f"g{number}", requests, now_us)
            authority.hold(f"e{number}-{day}", f"g{number}", charges, now_us)
            authority.settle(f"e{number}-{day}", None, now_us)
            authority.expire(now_us + 9 * DAY_US)
        unseen = [charge(cap, 0, at_us=NOW + 9 * DAY_US).key for cap in caps]
        authority.finish(f"g{number}", dict.fromkeys(unseen, 0), NOW + 9 * DAY_US)

    assert [each for each in at_once(lease, 12) if each is not None] == []
    assert undone == []
    rows = authority.balances()
    assert sum(row.posted for row in rows) == 12 * 6 * 4 * CENT
    assert all(row.limit <= 1_001 * DOLLAR for row in rows)
    authority.close()


def test_every_transaction_of_the_authority_is_one_that_is_tried_again() -> None:
    public = [name for name in vars(PostgresBudgetAuthority.__mro__[1]) if name[0] != "_"]
    assert public
    assert set(public) <= set(vars(PostgresBudgetAuthority))
