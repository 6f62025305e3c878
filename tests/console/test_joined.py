"""What several ask for at once is worked out once, and nothing is kept of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from consoles import until
from tollkeeper.console.joined import Joined

ASKING = 4


class Slow:
    """Something that takes until it may end, and counts how often it was begun."""

    def __init__(self, outcome: Callable[[], str]) -> None:
        self.begun = 0
        self.may_end = threading.Event()
        self._outcome = outcome

    def __call__(self) -> str:
        self.begun += 1
        assert self.may_end.wait(20)
        return self._outcome()


def waiting(joined: Joined) -> int:
    """Count the threads that wait for what another one works out."""
    return sum(len(each._condition._waiters) for each in joined._under_way.values())


def test_who_asks_for_the_same_meanwhile_gets_the_same_answer() -> None:
    joined, slow = Joined(), Slow(lambda: "sums")
    with ThreadPoolExecutor(ASKING + 1) as pool:
        first = pool.submit(joined.get, "all", slow)
        until(lambda: slow.begun)
        others = [pool.submit(joined.get, "all", slow) for _ in range(ASKING - 1)]
        assert pool.submit(joined.get, "of core alone", lambda: "fewer").result(20) == "fewer"
        until(lambda: waiting(joined) == len(others))
        slow.may_end.set()
        assert {each.result(20) for each in (first, *others)} == {"sums"}
    assert slow.begun == 1
    assert joined.get("all", lambda: "anew") == "anew"


def test_what_fails_fails_for_all_and_is_tried_again() -> None:
    def fail() -> str:
        raise OSError("the ledger is away")

    joined, slow = Joined(), Slow(fail)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(joined.get, "all", slow) for _ in range(2)]
        until(lambda: waiting(joined) == 1)
        slow.may_end.set()
        for each in asked:
            with pytest.raises(OSError, match="away"):
                each.result(20)
    assert joined.get("all", lambda: "anew") == "anew"
