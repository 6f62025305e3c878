"""Who sends to which channel."""

from __future__ import annotations

from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import Message, Outcome
from tollkeeper.notify.chat import ChatSender
from tollkeeper.notify.webhook import WebhookSender


class Senders:
    """Implements ``ports.Notifier``: signed webhooks by ourselves, all else through Apprise."""

    def __init__(self, webhooks: WebhookSender, chats: ChatSender) -> None:
        self._webhooks = webhooks
        self._chats = chats

    def send(self, channel: Channel, message: Message, link: str, now_us: int) -> Outcome:
        """Try once."""
        sender = self._chats if channel.target is None else self._webhooks
        return sender.send(channel, message, link, now_us)
