"""What pages and the API need to show and to test who is told of what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import Message, Outcome
from tollkeeper.ports import Notifier
from tollkeeper.services.delivering import Mailing


class RuleState(NamedTuple):
    """How a rule stood when it was last looked at.

    ``state`` is ``quiet``, ``fired``, ``unknown`` (``detail`` says what is missing) or ``off``.
    ``looked_at_us`` is None before the first look.
    """

    rule: str
    state: str
    detail: str = ""
    looked_at_us: int | None = None


class Alerting(NamedTuple):
    """The configured channels, who sends to them, and how the rules stand."""

    mailing: Callable[[], Mailing]
    notifier: Callable[[], Notifier]
    rules: Callable[[], Sequence[RuleState]]


class _Nobody:
    """Sends nothing."""

    def send(self, channel: Channel, message: Message, link: str, now_us: int) -> Outcome:
        """Refuse."""
        return Outcome("is not configured", is_final=True)


NOBODY_TOLD: Final = Alerting(lambda: Mailing({}, "", "UTC"), _Nobody, lambda: ())
"""For a console without channels."""
