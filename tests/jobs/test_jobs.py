"""The table of jobs and its runner: each runs when it is due, and none ends the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ledgers import open_duckdb
from loopback import run
from stores import DAY, HOUR, MINUTE, NOW, add_person, open_folder
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.jobs.runner import JobRunner
from tollkeeper.jobs.table import ADOPTION_FRESH_US, Job, adoption_job, jobs_of
from tollkeeper.reports.adoption_memory import PublicationMemory
from tollkeeper.services import sign_in


def test_what_the_jobs_are(tmp_path: Path) -> None:
    folder, ledger = open_folder(tmp_path), open_duckdb(tmp_path)
    jobs = jobs_of(ledger, folder.store, lambda: NOW, lambda: None, lambda: None)
    assert {job.name for job in jobs} == {
        "checkpoint ledger",
        "forget sign-ins",
        "follow configuration",
        "price what had no price",
    }
    for job in jobs:
        assert job.every_s > 0
        job.work()
    ledger.close()
    folder.store.close()


def test_adoption_is_counted_before_anybody_asks(tmp_path: Path) -> None:
    folder, ledger = open_folder(tmp_path), open_duckdb(tmp_path)
    counts = PublicationMemory(ledger, "acme", folder.store.memberships, "UTC", 5)
    now = [NOW]
    job = adoption_job(counts, lambda: now[0])
    job.work()
    first = counts.publication(NOW)
    now[0] += ADOPTION_FRESH_US - 1
    job.work()
    assert counts.publication(now[0]) is first
    now[0] += 1
    job.work()
    assert counts.publication(now[0]) is not first
    ledger.close()
    folder.store.close()


def test_links_and_sessions_of_no_use_are_forgotten(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    store, vault = folder.store, folder.vault
    user = add_person(store)
    now = [NOW]
    (forget,) = [
        job.work
        for job in jobs_of(open_duckdb(tmp_path), store, lambda: now[0], lambda: None, lambda: None)
        if job.name == "forget sign-ins"
    ]

    def link() -> str:
        made = sign_in.make_link(store, vault, user, now[0])
        return made.path.removeprefix(sign_in.LINK_PATH)

    cookie = sign_in.sign_in(store, vault, link(), now[0]).cookie
    unused = link()
    forget()
    assert sign_in.visit(store, vault, cookie, now[0]) is not None
    now[0] += 14 * MINUTE
    forget()
    other = sign_in.sign_in(store, vault, unused, now[0]).cookie
    now[0] += 11 * HOUR
    assert sign_in.visit(store, vault, other, now[0]) is not None
    now[0] += 2 * HOUR
    assert sign_in.forget_ended(store, now[0]) == 2  # the used link, and the idle session
    assert sign_in.visit(store, vault, other, now[0]) is not None
    now[0] += 8 * DAY
    assert sign_in.forget_ended(store, now[0]) == 1
    assert sign_in.forget_ended(store, now[0]) == 0
    store.close()


def test_forgetting_wakes_no_gateway(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    sign_in.make_link(folder.store, folder.vault, add_person(folder.store), NOW)
    before = folder.store.revision()
    assert sign_in.forget_ended(folder.store, NOW + DAY) == 1
    assert folder.store.revision() == before
    folder.store.close()


@pytest.mark.parametrize("error", [OSError("disk"), LedgerUnavailable("away"), RuntimeError("bug")])
def test_a_job_that_fails_runs_again_and_stops_no_other(error: Exception) -> None:
    ran: list[str] = []

    def failing() -> None:
        ran.append("failing")
        raise error

    async def work() -> None:
        runner = JobRunner([Job("failing", 0.01, failing), Job("good", 0.01, _noting(ran, "good"))])
        runner.start()
        while min(ran.count("failing"), ran.count("good")) < 3:  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)
        await runner.stop()

    run(work)


def test_stopping_waits_for_the_job_that_runs_and_starts_no_more() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        go_on.wait(20)
        ended.set()

    async def work() -> None:
        runner = JobRunner([Job("long", 0.01, long)])
        runner.start()
        while not begun.is_set():  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await runner.stop()
        assert ended.is_set()

    run(work)


def _noting(ran: list[str], name: str) -> Callable[[], None]:
    return lambda: ran.append(name)
