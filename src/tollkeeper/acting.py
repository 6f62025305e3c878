"""Who acts at the moment, for the audit log: set once where a request or a command comes in.

The console's dispatcher, the command line and whatever follows the configuration file say who
acts; the store asks when it writes an entry. Nobody in between has to pass it on, and nobody
can forget to. It holds for one thread or task, and for what is done inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tollkeeper.domain.audit import SYSTEM, Actor

_actor: ContextVar[Actor] = ContextVar("tollkeeper_actor", default=SYSTEM)


def actor() -> Actor:
    """Say who acts; the server itself where nobody was named."""
    return _actor.get()


@contextmanager
def acting(by: Actor) -> Iterator[None]:
    """Let somebody act for all that is done inside."""
    before = _actor.set(by)
    try:
        yield
    finally:
        _actor.reset(before)
