"""Weekly digests wired together: as the console sends them, and as the command line asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from tollkeeper import bootstrap, clock
from tollkeeper.bootstrap.report_source import ledger_of, organisation_in, running_server
from tollkeeper.config import Configuration
from tollkeeper.console.api.digest import document_of
from tollkeeper.console.colours import ColourBook
from tollkeeper.console.digests.content import Sources
from tollkeeper.console.digests.document import mail_in
from tollkeeper.console.digests.mail import data_address, mail_of
from tollkeeper.console.digests.making import make_digest
from tollkeeper.console.digests.text import chat_of
from tollkeeper.domain.access import Scope
from tollkeeper.domain.deliveries import Outcome, Told
from tollkeeper.domain.digests import EVENT, Week
from tollkeeper.domain.mails import MailSender
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.jobs.table import Job
from tollkeeper.notify.mail import MailServer, SmtpMailer, full_message
from tollkeeper.ports import DataFolder, Notifier
from tollkeeper.reports.adoption import publication
from tollkeeper.services.digests import Digests, Recipient
from tollkeeper.services.outbox import message_of

__all__ = ["ConsoleDigests", "answered", "mail_file", "mail_in", "mail_sender", "page_in"]

LOOK_S: Final = 30.0


def mail_sender(configuration: Configuration) -> MailSender | None:
    """Make who sends mails with pictures; None where no mail server is configured."""
    mail = configuration.settings.mail
    if not mail.host:
        return None
    server = MailServer(mail.host, mail.port, mail.sender, mail.user, mail.password, mail.starttls)
    return SmtpMailer(server, configuration.settings.ca_file)


@dataclass(frozen=True, slots=True)
class DigestSender:
    """Puts digests together and sends them, by the configuration as it is at that moment."""

    sources: Sources
    configuration: Callable[[], Configuration]
    notifier: Callable[[], Notifier]

    def send(self, recipient: Recipient, week: Week, message_id: str, now_us: int) -> Outcome:
        """Try once. Whatever is wrong with the way is an outcome; raises LedgerUnavailable."""
        configuration = self.configuration()
        zone = configuration.digest.zone
        digest = make_digest(self.sources, recipient.audience, week, zone)
        if recipient.is_chat:
            chats = {it.channel.name: it.channel for it in configuration.digest.chats}
            title, text = chat_of(digest)
            message = message_of(EVENT, title, text, now_us, message_id=message_id)
            link = digest.links[0].href
            return self.notifier().send(chats[recipient.to], message, link, now_us)
        sender = mail_sender(configuration)
        if sender is None:
            return Outcome("no mail server is configured", is_final=True)
        began_s = clock.monotonic_s()
        try:
            sender.post(recipient.to, mail_of(digest, message_id))
        except ValueError as error:
            return Outcome(str(error), is_final=True)
        except OSError as error:
            return Outcome(str(error), latency_ms=_since_ms(began_s))
        return Outcome(latency_ms=_since_ms(began_s))


class ConsoleDigests:
    """What a console runs of digests: the look at what is due, and the courier's way to send."""

    def __init__(
        self,
        sources: Sources,
        configuration: Callable[[], Configuration],
        notifier: Callable[[], Notifier],
        failpoint: FailPoint = nowhere,
    ) -> None:
        sender = DigestSender(sources, configuration, notifier)
        self._digests = Digests(
            sources.store,
            lambda: configuration().digest,
            lambda: bool(configuration().settings.mail.host),
            sender.send,
            sources.now_us,
            failpoint,
        )

    def jobs(self) -> tuple[Job, ...]:
        """Give what is done now and then."""
        return (Job("send weekly digests", LOOK_S, self._digests.look),)

    def send(self, told: Told) -> Outcome:
        """Try to send one, as the courier asks."""
        return self._digests.send(told)


def answered(
    data: DataFolder,
    configuration: Configuration,
    parameters: Mapping[str, str],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Answer ``GET /api/v1/digest``: the running server does, or else the ledger's own file.

    Raises ValueError for a question that cannot be understood, LedgerUnavailable, ConfigError.
    """
    server = running_server(data)
    if server is not None:
        return server.digest(parameters)
    org = organisation_in(data)
    settings = configuration.settings
    with closing(bootstrap.open_store(data)) as store, ledger_of(data, tell) as ledger:
        now_us = clock.now_us()
        sources = Sources(
            org,
            bootstrap.address_of(settings),
            ledger,
            store,
            lambda: publication(
                *(ledger, org, store.memberships(), settings.timezone),
                *(settings.adoption.group_min, now_us),
            ),
            settings.timezone,
            ColourBook(),
            lambda: now_us,
        )
        return document_of(sources, Scope(org), parameters, settings.timezone)


def mail_file(document: Mapping[str, Any], configuration: Configuration) -> bytes:
    """Give the mail of a document as a file that mail programs open."""
    sender = configuration.settings.mail.sender or "tollkeeper@localhost.localdomain"
    return full_message(sender, sender, mail_in(document)).as_bytes()


def page_in(document: Mapping[str, Any]) -> str:
    """Give the HTML of a document with its pictures in it."""
    mail = mail_in(document)
    page = mail.html
    for picture in mail.pictures:
        page = page.replace(f'"cid:{picture.cid}"', f'"{data_address(picture)}"')
    return page


def _since_ms(began_s: float) -> int:
    return int((clock.monotonic_s() - began_s) * 1_000)
