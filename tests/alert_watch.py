"""A process that looks at budgets and brings messages until it is killed, for tests of kills.

``python alert_watch.py STORE CLOCK URL SECRET FAILPOINT``: CLOCK is a file that holds the time in
microseconds; FAILPOINT is where it kills itself, "" for nowhere.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tollkeeper.domain.channels import webhook
from tollkeeper.failpoints import kill_at, nowhere
from tollkeeper.notify.chat import ChatSender
from tollkeeper.notify.senders import Senders
from tollkeeper.notify.webhook import WebhookSender
from tollkeeper.services.alerts import BudgetAlerts
from tollkeeper.services.delivering import Courier, Mailing
from tollkeeper.storage.store.store import open_sql_store

HOST = "127.0.0.1"


def main(store_path: str, clock_path: str, url: str, secret: str, failpoint: str) -> None:
    """Look and bring, again and again."""
    clock = Path(clock_path)
    store = open_sql_store(Path(store_path))
    place = kill_at(failpoint) or nowhere
    channel = webhook("hook", url, [secret], {HOST})
    senders = Senders(WebhookSender(), ChatSender())
    mailing = Mailing({channel.name: channel}, "http://localhost:4000", "UTC")

    def now_us() -> int:
        return int(clock.read_text())

    alerts = BudgetAlerts(store, now_us, place)
    courier = Courier(store, lambda: senders, lambda: mailing, now_us, place)
    print("ready", flush=True)
    while True:
        try:
            alerts.look()
            courier.work()
        except OSError:
            pass  # the store is busy: the next turn tries again
        time.sleep(0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
