"""Chats, mail and the like: through Apprise, in a process of its own for each message."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import certifi

import tollkeeper
from tollkeeper.clock import monotonic_s
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import Message, Outcome, calling_nobody
from tollkeeper.http1.origin import Proxies

TRY_S: Final = 60.0
_MODULE: Final = "tollkeeper.notify.chat_process"
_ENVIRONMENT: Final = {"PYTHONPATH": str(Path(tollkeeper.__file__).parent.parent)}
"""Nothing comes in from our own environment: only what the configuration says."""

_NO_PROXIES: Final = Proxies()


class ChatSender:
    """Sends to what Apprise knows. ``named`` are hosts that may be inside.

    What is sent over https goes through the proxy of ``proxies``, but to hosts that are named,
    and those that it is not for. ``ca_file`` names further authorities to trust, "" for none.
    """

    def __init__(
        self, named: Collection[str] = (), ca_file: str = "", proxies: Proxies = _NO_PROXIES
    ) -> None:
        self._named = sorted(named)
        self._ca_file = ca_file
        self._proxy = "" if "*" in proxies.bypass else proxies.https
        self._bypass = sorted({*named, *(part.lstrip("*.") for part in proxies.bypass)} - {""})

    def send(self, channel: Channel, message: Message, link: str, now_us: int) -> Outcome:
        """Try once. Every fault is an outcome; none shows the URL."""
        asked = {
            "url": channel.url,
            "title": calling_nobody(message.title),
            "text": calling_nobody(message.text) + (f"\n\n{link}" if link else ""),
            "severity": str(message.severity),
            "named": self._named,
            "proxy": self._proxy,
        }
        began_s = monotonic_s()
        try:
            with self._environment() as environment:
                done = subprocess.run(  # noqa: S603 - our own module, nothing in its arguments
                    [sys.executable, "-P", "-m", _MODULE],
                    input=json.dumps(asked).encode("utf-8", "backslashreplace"),
                    capture_output=True,
                    env=environment,
                    timeout=TRY_S,
                    check=False,
                )
            fault = _fault(done.stdout)
        except subprocess.TimeoutExpired:
            fault = f"no answer within {TRY_S:.0f} seconds"
        except OSError as error:
            fault = f"could not be tried: {error.strerror}"
        return Outcome(fault, latency_ms=int((monotonic_s() - began_s) * 1_000))

    @contextmanager
    def _environment(self) -> Iterator[dict[str, str]]:
        """Give the environment of one child. Raises OSError when ``ca_file`` cannot be read.

        What Apprise sends with takes its settings from there, and a file of authorities in
        place of its own ones: so those stand in the file as well.
        """
        environment = dict(_ENVIRONMENT)
        if self._proxy:
            environment["HTTPS_PROXY"] = self._proxy
            environment["NO_PROXY"] = ",".join(self._bypass)
        if not self._ca_file:
            yield environment
            return
        with NamedTemporaryFile(prefix="tollkeeper-authorities-", suffix=".pem") as file:
            for part in (certifi.where(), self._ca_file):
                file.write(Path(part).read_bytes() + b"\n")
            file.flush()
            yield {**environment, "REQUESTS_CA_BUNDLE": file.name, "SSL_CERT_FILE": file.name}


def _fault(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["fault"])
    except (ValueError, KeyError, TypeError):
        return "could not be tried: Apprise failed"
