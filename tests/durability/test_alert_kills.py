"""kill -9 of those who look at budgets and bring messages, two at once: each told once."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

import tollkeeper
from budget_desks import CENT, DAILY, budget, charge
from receivers import WebhookReceiver, webhook_receiver
from stores import DAY, NOW, open_folder
from tollkeeper.domain.budgets import Amounts
from tollkeeper.failpoints import ALERT_POINTS
from tollkeeper.storage.store.sqlite_budgets import open_sqlite_budgets

WATCH = Path(__file__).parent.parent / "alert_watch.py"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
THRESHOLDS = tuple(range(1_000, 10_001, 1_000))
STEPS = ((35, 3), (45, 8), (20, 10))
"""Cents of a dollar that are spent, and how many thresholds are passed then."""
WAIT_S = 300.0


class Watchers:
    """Two processes that look, each started again whenever it is dead, and killed now and then."""

    def __init__(
        self, store: Path, clock: Path, url: str, *, passes_max: int, kill_every_s: float
    ) -> None:
        self.deaths: Counter[str] = Counter()
        self.failed = False
        self._arguments = [str(store), str(clock), url, SECRET]
        self._passes_max = passes_max
        self._kill_every_s = kill_every_s
        self._points = itertools.cycle(ALERT_POINTS)
        self._stop = threading.Event()
        self.gentle = threading.Event()
        self._threads = [threading.Thread(target=self._keep) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _keep(self) -> None:
        source = random.Random()
        while not self._stop.is_set():
            point = "" if self.gentle.is_set() else next(self._points)
            place = f"{point}:{source.randint(1, self._passes_max)}" if point else ""
            process = subprocess.Popen(
                [sys.executable, str(WATCH), *self._arguments, place],
                env={**os.environ, "PYTHONPATH": _search_path()},  # noqa: TID251
                stdout=subprocess.PIPE,
            )
            assert process.stdout is not None
            process.stdout.readline()  # it has begun to look, or it is dead
            process.stdout.close()
            ends_s = time.monotonic() + self._kill_every_s * source.uniform(0.5, 2)
            while process.poll() is None and not self._stop.is_set():
                if not self.gentle.is_set() and time.monotonic() > ends_s:
                    point = "at random"
                    break
                if self.gentle.is_set() and place:
                    break
                time.sleep(0.02)
            if process.poll() is None:
                process.kill()
            code = process.wait()
            if code != -signal.SIGKILL:
                self.failed = True
            elif not self._stop.is_set():
                self.deaths[point] += 1

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def crossings(
    folder: Path, receiver: WebhookReceiver, *, budgets: int, windows: int, kill_every_s: float
) -> str:
    """Pass every threshold of every budget in every window, and hold what was told against it."""
    opened = open_folder(folder)
    store = opened.store
    rows = [
        budget(f"b{number:03}", 100 * CENT, window=DAILY, thresholds_bp=THRESHOLDS)
        for number in range(budgets)
    ]
    for each in rows:
        store.add_budget(each, NOW, "test")
    authority = open_sqlite_budgets(opened.data.store)
    clock = folder / "clock"
    now_us = NOW
    clock.write_text(str(now_us))
    watchers = Watchers(
        *(opened.data.store, clock, receiver.url()),
        passes_max=2 * budgets,
        kill_every_s=kill_every_s,
    )
    try:
        for window in range(windows):
            for number, (cents, passed) in enumerate(STEPS):
                for each in rows:
                    entry_id = f"e{window}-{number}-{each.budget_id}"
                    row = charge(each, cents * CENT, at_us=now_us)
                    assert authority.hold(entry_id, "g1", [row], now_us) is None
                    authority.settle(entry_id, Amounts(cents * CENT, 1), now_us)
                if window % 2 or number == len(STEPS) - 1:  # else several are passed at once
                    fired = (window * len(THRESHOLDS) + passed) * budgets
                    until(partial(_has_fired, folder, watchers, fired))
            now_us += DAY
            write(clock, now_us)
        watchers.gentle.set()

        def is_all_told() -> bool:
            nonlocal now_us
            now_us += 600_000_000  # what a dead process had in hand comes back
            write(clock, now_us)
            states = {str(told.delivery.state) for told in store.deliveries(100_000)}
            return not store.untold(1) and states == {"delivered"}

        until(is_all_told, pause_s=0.5)
    finally:
        watchers.stop()
        authority.close()
        store.close()
    return require_each_told_once(folder, receiver, budgets, windows, watchers.deaths)


def require_each_told_once(
    folder: Path, receiver: WebhookReceiver, budgets: int, windows: int, deaths: Counter[str]
) -> str:
    alerts = all_alerts(folder)
    keys = Counter(alert[:5] for alert in alerts)
    assert len(keys) == budgets * windows * len(THRESHOLDS)
    assert set(keys.values()) == {1}
    told = {f"msg_{alert[5]}_fired" for alert in alerts if alert[6]}
    arrived = Counter(got.headers["webhook-id"] for got in receiver.received)
    assert set(arrived) == told
    again = sum(arrived.values()) - len(arrived)
    return (
        f"{len(keys)} crossings, {len(told)} told, {sum(deaths.values())} kills "
        f"({dict(deaths)}), {again} arrived again under their own id"
    )


def all_alerts(folder: Path) -> list[tuple[object, ...]]:
    """Read all alerts, those that only passed included."""
    columns = "rule, subject, entity, window_start_us, threshold_bp, alert_id, title"
    path = folder / "store.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT {columns} FROM alerts").fetchall()  # noqa: S608


def write(clock: Path, now_us: int) -> None:
    """Set the clock at once, so that nobody reads half of it."""
    fresh = clock.with_suffix(".new")
    fresh.write_text(str(now_us))
    fresh.replace(clock)


def until(true: Callable[[], bool], pause_s: float = 0.05) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline_s, "this did not become true"
        time.sleep(pause_s)


def _has_fired(folder: Path, watchers: Watchers, count: int) -> bool:
    assert not watchers.failed
    return len(all_alerts(folder)) == count


def _search_path() -> str:
    return str(Path(tollkeeper.__file__).parent.parent)


@pytest.mark.slow
def test_a_hundred_crossings_with_kills_are_each_told_once(tmp_path: Path) -> None:
    with webhook_receiver() as receiver:
        print(crossings(tmp_path, receiver, budgets=5, windows=2, kill_every_s=2.0))


@pytest.mark.long
def test_ten_thousand_crossings_with_kills_are_each_told_once(tmp_path: Path) -> None:
    with webhook_receiver() as receiver:
        print(crossings(tmp_path, receiver, budgets=25, windows=40, kill_every_s=8.0))
