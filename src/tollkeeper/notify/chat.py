"""Chats, mail and the like: through Apprise, in a process of its own for each message."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

import tollkeeper
from tollkeeper.clock import monotonic_s
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import Message, Outcome, calling_nobody

TRY_S: Final = 60.0
_MODULE: Final = "tollkeeper.notify.chat_process"
_ENVIRONMENT: Final = {"PYTHONPATH": str(Path(tollkeeper.__file__).parent.parent)}
"""No proxy, no certificates and no settings come in from our own environment."""


class ChatSender:
    """Sends to what Apprise knows. ``named`` are hosts that may be inside."""

    def __init__(self, named: Collection[str] = ()) -> None:
        self._named = sorted(named)

    def send(self, channel: Channel, message: Message, link: str, now_us: int) -> Outcome:
        """Try once. Every fault is an outcome; none shows the URL."""
        asked = {
            "url": channel.url,
            "title": calling_nobody(message.title),
            "text": calling_nobody(message.text) + (f"\n\n{link}" if link else ""),
            "severity": str(message.severity),
            "named": self._named,
        }
        began_s = monotonic_s()
        try:
            done = subprocess.run(  # noqa: S603 - our own module, and nothing in its arguments
                [sys.executable, "-P", "-m", _MODULE],
                input=json.dumps(asked).encode("utf-8", "backslashreplace"),
                capture_output=True,
                env=_ENVIRONMENT,
                timeout=TRY_S,
                check=False,
            )
            fault = _fault(done.stdout)
        except subprocess.TimeoutExpired:
            fault = f"no answer within {TRY_S:.0f} seconds"
        except OSError as error:
            fault = f"could not be tried: {error.strerror}"
        return Outcome(fault, latency_ms=int((monotonic_s() - began_s) * 1_000))


def _fault(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["fault"])
    except (ValueError, KeyError, TypeError):
        return "could not be tried: Apprise failed"
