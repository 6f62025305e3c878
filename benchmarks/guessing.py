"""Sends calls with made-up keys at a steady rate, and counts how they are answered.

    python -m benchmarks.guessing --url http://127.0.0.1:4000 --rate 10000 --right 0.1 --seconds 5

No two keys are the same. ``--right`` is the share of keys that are well formed, checksum
included, so that only the store can tell that there is no such key. A guess waits where no
connection is free: then fewer are sent than were asked for. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import string
import sys
import time
from collections import Counter
from typing import Any, Final, cast
from urllib.parse import urlsplit

from benchmarks.exact_loop import run_exactly
from benchmarks.upstream import content_length
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind

CONNECTIONS: Final = 100
_TURN_S: Final = 0.002
_LAST_S: Final = 0.5
"""How long the last answers are waited for."""

_ALPHABET: Final = string.digits + string.ascii_letters
_STATUS: Final = slice(9, 12)


class Guesser(asyncio.Protocol):
    """One kept-alive connection that carries one guess at a time."""

    def __init__(self, free: list[Guesser], answered: Counter[str]) -> None:
        self._free, self._answered = free, answered
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._free.append(self)

    def guess(self, request: bytes) -> None:
        """Send a guess."""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._data + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + content_length(data, end):
            self._data = data
            return
        self._data = b""
        self._answered[data[_STATUS].decode("latin-1")] += 1
        self._free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._answered["lost"] += 1
        if self in self._free:
            self._free.remove(self)

    def close(self) -> None:
        """End the connection."""
        self._transport.close()


def guesses(count: int, right: float, seed: int, host: str) -> list[bytes]:
    """Make requests, a share of them with keys whose checksum is right."""
    source = random.Random(seed)
    return [_request(_key(source, is_right=source.random() < right), host) for _ in range(count)]


def _key(source: random.Random, *, is_right: bool) -> str:
    key_id = "".join(source.choices(_ALPHABET, k=key_tokens.KEY_ID_CHARS))
    secret = "".join(source.choices(_ALPHABET, k=key_tokens.SECRET_CHARS))
    key = key_tokens.build(KeyKind.VIRTUAL, key_id, secret)
    return key if is_right else key[:-1] + ("a" if key[-1] != "a" else "b")


def _request(key: str, host: str) -> bytes:
    """Ask without a body: where a body comes behind a refusal, the connection ends."""
    return (
        f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"
    ).encode()


async def run(url: str, requests: list[bytes], rate: float, seconds: float) -> dict[str, Any]:
    """Send guesses, and give how many a second were sent and what they were answered with."""
    place = urlsplit(url)
    free: list[Guesser] = []
    answered: Counter[str] = Counter()
    loop, lines, sent = asyncio.get_running_loop(), [], 0
    for _ in range(CONNECTIONS):
        _, line = await loop.create_connection(
            lambda: Guesser(free, answered), place.hostname or "", place.port or 80
        )
        lines.append(line)
    began_s = time.monotonic()
    while (now_s := time.monotonic() - began_s) < seconds:
        due = int(now_s * rate)
        while sent < due and free:
            free.pop(0).guess(requests[sent % len(requests)])
            sent += 1
        await asyncio.sleep(_TURN_S)
    await asyncio.sleep(_LAST_S)
    for line in lines:
        line.close()
    return {"per_s": sent / seconds, "answered": dict(answered)}


def main() -> None:
    """Guess for a while and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--right", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    count = int(given.rate * given.seconds)
    requests = guesses(count, given.right, given.seed, urlsplit(given.url).netloc)
    gc.disable()  # as in open_loop
    print("ready", flush=True)
    json.dump(run_exactly(run(given.url, requests, given.rate, given.seconds)), sys.stdout)


if __name__ == "__main__":
    main()
