"""The threads that the console lends: another one works, unless there is one core only."""

from __future__ import annotations

import threading
from contextlib import closing

from tollkeeper.console.beside import Threads


def test_another_thread_works_where_there_are_two_cores() -> None:
    with closing(Threads(cores=2)) as lent:
        began = threading.Event()
        get = lent(lambda: (began.set(), threading.get_ident())[1])
        assert began.wait(20)
        assert get() != threading.get_ident()


def test_with_one_core_nothing_begins_before_it_is_asked_for() -> None:
    with closing(Threads(cores=1)) as lent:
        asked: list[int] = []
        get = lent(lambda: asked.append(threading.get_ident()))
        assert asked == []
        get()
        assert asked == [threading.get_ident()]
