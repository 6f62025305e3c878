"""Callers that call on whatever happens to the gateway, and remember what they saw."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from protocols import ANTHROPIC, GEMINI, OPENAI, RESPONSES, Protocol
from raw_http import Answer, RawConnection
from running import Deployment

_SLOWLY = {"x-sandbox-chunks": "4", "x-sandbox-gap-ms": "3"}
_END_MARKS = {
    OPENAI.name: b"data: [DONE]",
    RESPONSES.name: b"response.completed",
    ANTHROPIC.name: b'"message_stop"',
    GEMINI.name: b'"finishReason"',
}
_AGAIN_S = 0.02
_runs = itertools.count(1)


class CallLoad:
    """Some callers, each on a connection of its own.

    ``tried`` holds the name of every call that was begun, ``whole`` of those whose client
    saw the end of a good reply, ``refusals`` the error codes of the others that were
    answered. The names are the calls' nonces, in the provider's book as in the ledger.
    ``padded`` calls have large tags, so that they fill journal segments soon. ``pause_s``
    passes between the calls of one caller.
    """

    def __init__(
        self,
        deployment: Deployment,
        callers: int = 6,
        *,
        padded: bool = False,
        pause_s: float = 0.0,
    ) -> None:
        self.tried: set[str] = set()
        self.whole: set[str] = set()
        self.refusals: list[tuple[int, bytes]] = []
        self.prefix = f"load{next(_runs)}-{random.getrandbits(32):08x}-"
        self._deployment = deployment
        self._pause_s = pause_s
        self._padding = "".join(f",pad{number}={'x' * 250}" for number in range(12 * padded))
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._call_on, args=(random.Random(number),), daemon=True)
            for number in range(callers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every caller finish the call that it is in."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def wait_for(self, more: int, wait_s: float = 30.0) -> None:
        """Wait until so many more calls were answered in full."""
        wanted = len(self.whole) + more
        wait_until(lambda: len(self.whole) >= wanted, wait_s, "calls that are answered")

    def _call_on(self, source: random.Random) -> None:
        while not self._stop.is_set():
            try:
                with RawConnection(self._deployment.port) as connection:
                    while not self._stop.is_set():
                        if not self._one_call(connection, source):
                            break
                        self._stop.wait(self._pause_s)
            except (OSError, AssertionError):
                pass  # the gateway died, or is not there yet
            self._stop.wait(_AGAIN_S)

    def _one_call(self, connection: RawConnection, source: random.Random) -> bool:
        protocol = source.choice((OPENAI, RESPONSES, ANTHROPIC, GEMINI))
        stream = source.random() < 0.4
        nonce = f"{self.prefix}{next(self._numbers)}"
        self.tried.add(nonce)
        headers = {"x-tollkeeper-tags": f"nonce={nonce}{self._padding}"}
        headers |= _SLOWLY if stream else {}
        connection.send(
            protocol.with_nonce(self._deployment.key, nonce, headers=headers, stream=stream)
        )
        answer = connection.answer()
        if answer.status != 200:
            self.refusals.append((answer.status, answer.body))
        elif answer.ended or _shows_the_end(protocol, answer, stream=stream):
            self.whole.add(nonce)
        return answer.ended


def _shows_the_end(protocol: Protocol, answer: Answer, *, stream: bool) -> bool:
    """Tell whether a reply that was cut has told its client everything nevertheless."""
    return stream and _END_MARKS[protocol.name] in answer.body


def wait_until(is_so: Callable[[], bool], wait_s: float, what: str) -> None:
    """Wait for something; fail when it does not come."""
    deadline_s = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < deadline_s, f"waited {wait_s} s for {what}"
        time.sleep(0.01)


@contextmanager
def load_on(
    deployment: Deployment, callers: int = 6, *, padded: bool = False, pause_s: float = 0.0
) -> Iterator[CallLoad]:
    """Let callers call as long as the block runs."""
    load = CallLoad(deployment, callers, padded=padded, pause_s=pause_s)
    load.start()
    try:
        yield load
    finally:
        load.stop()
