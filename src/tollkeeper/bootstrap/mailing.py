"""What a configuration says of messages, and who sends them."""

from __future__ import annotations

from tollkeeper import bootstrap
from tollkeeper.config import Configuration
from tollkeeper.domain.invitations import Mailer
from tollkeeper.notify.chat import ChatSender
from tollkeeper.notify.mail import MailServer, SmtpMailer
from tollkeeper.notify.senders import Senders
from tollkeeper.notify.webhook import WebhookSender
from tollkeeper.services.delivering import Mailing


def senders_of(configuration: Configuration) -> Senders:
    """Make who sends by a configuration."""
    ca_file = configuration.settings.ca_file
    return Senders(
        WebhookSender(ca_file),
        ChatSender(configuration.alerts.named, ca_file, configuration.proxies),
    )


def mailing_of(configuration: Configuration) -> Mailing:
    """Give what a configuration says of messages."""
    alerts = configuration.alerts
    return Mailing(
        {channel.name: channel for channel in alerts.channels},
        bootstrap.address_of(configuration.settings),
        configuration.settings.timezone,
        alerts.digest_minute,
    )


def mailer_of(configuration: Configuration) -> Mailer | None:
    """Make who sends mails to people; None where no mail server is configured."""
    mail = configuration.settings.mail
    if not mail.host:
        return None
    server = MailServer(mail.host, mail.port, mail.sender, mail.user, mail.password, mail.starttls)
    return SmtpMailer(server, configuration.settings.ca_file)
