"""The gateway's line to the budget authority: one thread, and a connection that is made anew.

The loop never waits for it. After a failure the connection is closed, because the store may
have been moved, replaced or started again; the next question opens another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from tollkeeper.domain.budgets import BalanceKey
from tollkeeper.domain.gateway_company import Beat
from tollkeeper.domain.leases import BudgetAuthority, LeaseAnswer, LeaseRequest
from tollkeeper.failpoints import FailPoint, nowhere

_Answer = TypeVar("_Answer")


class AuthorityLine:
    """Asks an authority that ``connect`` opens. Errors come as those of ``connect`` or OSError."""

    def __init__(
        self, connect: Callable[[], BudgetAuthority], failpoint: FailPoint | None = None
    ) -> None:
        self._connect = connect
        self._pass = failpoint or nowhere
        self._authority: BudgetAuthority | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="budgets")

    def exchange(
        self, gateway: str, requests: Sequence[LeaseRequest], now_us: int
    ) -> asyncio.Future[LeaseAnswer]:
        """Tell and ask, as ``BudgetAuthority.exchange``."""

        def tell_and_ask(authority: BudgetAuthority) -> LeaseAnswer:
            self._pass("budget.exchange.before")
            answer = authority.exchange(gateway, requests, now_us)
            self._pass("budget.exchange.after")
            return answer

        return self._in_thread(tell_and_ask)

    def finish(
        self,
        gateway: str,
        spent: Mapping[BalanceKey, int],
        untold: Mapping[BalanceKey, int],
        now_us: int,
    ) -> asyncio.Future[int]:
        """Close what a gateway has leased that has ended, as ``BudgetAuthority.finish``."""

        def tell(authority: BudgetAuthority) -> int:
            self._pass("budget.finish.before")
            closed = authority.finish(gateway, spent, now_us, untold)
            self._pass("budget.finish.after")
            return closed

        return self._in_thread(tell)

    def meet(self, gateway: str, now_us: int) -> asyncio.Future[list[Beat]]:
        """Say that a gateway is there, as ``BudgetAuthority.meet``."""
        return self._in_thread(lambda authority: authority.meet(gateway, now_us))

    def leave(self, gateway: str, now_us: int) -> asyncio.Future[None]:
        """Say that it is there no more, as ``BudgetAuthority.leave``."""
        return self._in_thread(lambda authority: authority.leave(gateway, now_us))

    def close(self) -> None:
        """Let what is under way end, and close the connection."""
        self._thread.shutdown(wait=True)
        self._hang_up()

    def _in_thread(self, question: Callable[[BudgetAuthority], _Answer]) -> asyncio.Future[_Answer]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, partial(self._ask, question))

    def _ask(self, question: Callable[[BudgetAuthority], _Answer]) -> _Answer:
        try:
            if self._authority is None:
                self._authority = self._connect()
            return question(self._authority)
        except BaseException:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        authority, self._authority = self._authority, None
        if authority is not None:
            authority.close()
