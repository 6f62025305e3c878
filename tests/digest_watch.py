"""A process that sends weekly digests until it is killed, for tests of kills.

``python digest_watch.py STORE NOW_US MAIL_PORT FAILPOINT``: FAILPOINT is where it kills itself, ""
for nowhere; then it ends when nothing is left to do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tollkeeper.domain.deliveries import Outcome
from tollkeeper.domain.digests import EVENT, DigestSettings, Week
from tollkeeper.domain.mails import Mail, Picture
from tollkeeper.failpoints import kill_at, nowhere
from tollkeeper.notify.chat import ChatSender
from tollkeeper.notify.mail import MailServer, SmtpMailer
from tollkeeper.notify.senders import Senders
from tollkeeper.notify.webhook import WebhookSender
from tollkeeper.services.delivering import Courier, Mailing
from tollkeeper.services.digests import Digests, Recipient
from tollkeeper.storage.store.store import open_sql_store

HOST = "127.0.0.1"


def main(store_path: str, now_text: str, port: str, failpoint: str) -> None:
    """Look and bring, until nothing is left."""
    store, now_us = open_sql_store(Path(store_path)), int(now_text)
    place = kill_at(failpoint) or nowhere
    mailer = SmtpMailer(MailServer(HOST, int(port), "bot@acme.com", starttls=False))
    senders = Senders(WebhookSender(), ChatSender())

    def send(recipient: Recipient, week: Week, message_id: str, now_us: int) -> Outcome:
        picture = Picture("days@digest", "alt", b"png", 1, 1)
        mailer.post(recipient.to, Mail(week.name, "text", "<p>text", (picture,), message_id))
        return Outcome()

    digests = Digests(
        *(store, lambda: DigestSettings(enabled=True), lambda: True, send, lambda: now_us),
        place,
    )
    courier = Courier(
        *(store, lambda: senders, lambda: Mailing({}, "", "UTC"), lambda: now_us, place),
        direct={EVENT: digests.send},
    )
    while True:
        try:
            if not digests.look() + courier.work():
                break
        except OSError:
            pass  # the store is busy: the next turn tries again
    courier.close()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
