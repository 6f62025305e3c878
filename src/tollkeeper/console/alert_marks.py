"""Whether what the page Alerts shows has changed, whoever changed it.

Alerts are moved by this process, by the command line and by other processes on the same store.
So the store is asked, twice a second, once for all pages that are open, and only while one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2s
from typing import Final

from tollkeeper import clock
from tollkeeper.ports import Store
from tollkeeper.services.alert_documents import deliveries_by_alert
from tollkeeper.services.alerting import Alerting

LOOK_S: Final = 0.5
ALERTS_MAX: Final = 100
DELIVERIES_MAX: Final = 50
MARK_CHARS: Final = 16


def alerts_mark(store: Store, alerting: Alerting) -> str:
    """Give a text that is another one when anything that the page shows has changed.

    Raises OSError when the store cannot be used.
    """
    alerts = store.alerts(ALERTS_MAX)
    told = deliveries_by_alert(store, alerts)
    channels = alerting.mailing().channels.values()
    shown = (
        [(it.alert_id, it.state, it.by) for it in alerts],
        [(it.delivery.channel, it.delivery.state) for each in told.values() for it in each],
        [it.delivery for it in store.deliveries(DELIVERIES_MAX)],
        store.channel_states(),
        [(it.name, it.kind, it.shown, it.events, it.is_digest) for it in channels],
        [(it.rule, it.state, it.detail) for it in alerting.rules()],
    )
    return blake2s(repr(shown).encode(), digest_size=MARK_CHARS // 2).hexdigest()


class SharedMark:
    """The mark, asked for once by all pages that want it at about the same time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._mark = ""
        self._until_s = 0.0

    async def get(self, ask: Callable[[], Awaitable[str]]) -> str:
        """Give the mark, half of ``LOOK_S`` old at most. Raises what ``ask`` raises."""
        async with self._lock:
            if clock.monotonic_s() >= self._until_s:
                self._mark = await ask()
                self._until_s = clock.monotonic_s() + LOOK_S / 2
        return self._mark
