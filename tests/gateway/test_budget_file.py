"""Budgets of the configuration file in a running gateway: taken up, changed, and given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from capped import answer, chat, lab
from raw_http import RawConnection, request
from rough_upstream import RoughUpstream
from running import Deployment
from tollkeeper import bootstrap
from tollkeeper.domain.budget_windows import LATEST_US
from tollkeeper.domain.budget_words import is_of_file
from tollkeeper.domain.budgets import Budget


def status(made: Deployment) -> int:
    with RawConnection(made.port) as connection:
        headers = {"authorization": f"Bearer {made.key}"}
        connection.send(request("/v1/chat/completions", chat(), headers))
        return connection.answer().status


def until(is_so: Callable[[], bool], wait_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def kept(made: Deployment) -> list[Budget]:
    with closing(bootstrap.open_store(made.folder)) as store:
        return store.budgets()


def test_the_file_makes_changes_and_ends_budgets_while_calls_go_on(tmp_path: Path) -> None:
    with RoughUpstream(answer) as provider:
        cap = {"name": "all", "scope": "org", "limit": "0 USD", "window": "lifetime"}
        made = Deployment(tmp_path, provider.url, lab(provider.url, budgets=[cap]))
        made.start()
        try:
            until(lambda: status(made) == 402)
            (found,) = kept(made)
            assert is_of_file(found.budget_id)
            made.configure(lab(provider.url, budgets=[cap | {"limit": "1000 USD"}]))
            until(lambda: status(made) == 200)
            (changed,) = kept(made)
            assert (changed.budget_id, changed.version) == (found.budget_id, 2)
            made.configure(lab(provider.url, budgets=[cap | {"limit": "lots"}]))
            until(lambda: "budgets.0.limit" in made.logs())
            assert status(made) == 200
            made.configure(lab(provider.url))
            until(lambda: kept(made)[0].until_us < LATEST_US)
        finally:
            made.finish()


def test_an_overdraft_of_the_file_is_taken_over_with_and_without_other_changes(
    store_url: str, tmp_path: Path
) -> None:
    with RoughUpstream(answer) as provider:
        cap = {"name": "all", "scope": "org", "limit": "100 USD", "window": "month"}
        made = Deployment(
            tmp_path,
            provider.url,
            lab(provider.url, budgets=[cap | {"overdraft": "10%"}]),
            store_url,
        )

        def allowed() -> list[tuple[int, int]]:
            with closing(bootstrap.open_store(made.folder)) as store:
                return [(it.part_bp, it.amount) for it in store.overdrafts()]

        made.start()
        try:
            until(lambda: allowed() == [(1_000, 0)])
            made.configure(lab(provider.url, budgets=[cap | {"overdraft": "5 USD"}]))
            until(lambda: allowed() == [(0, 5 * 10**9)])
            made.configure(lab(provider.url, budgets=[cap]))
            until(lambda: allowed() == [(0, 0)])
            assert [budget.version for budget in kept(made)] == [1]
            made.stop()
            made.configure(lab(provider.url, budgets=[cap | {"overdraft": "20 USD"}]))
            made.start()
            until(lambda: allowed() == [(0, 20 * 10**9)])
        finally:
            made.finish()
