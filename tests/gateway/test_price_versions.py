"""Newer prices are in force within a second, without a restart; broken ones are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocols import OPENAI
from raw_http import ask
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import Deployment, deployment
from tollkeeper.domain.price_diff import BookDiff
from tollkeeper.providers.price_data import fetched_folder, fetched_mark, shipped_price_book
from tollkeeper.providers.price_refresh import Refresh, put_in_force
from tollkeeper.providers.price_versions import parts_of, shipped_parts

IN_FORCE_S = 1.0
REPLY = {
    "id": "r",
    "model": "gpt-4.1",
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 0, "total_tokens": 1_000},
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Deployment]:
    def reply(conversation: Conversation) -> None:
        conversation.answer(json_reply(REPLY))

    with RoughUpstream(reply) as rough, deployment(tmp_path, rough.url) as made:
        yield made


def newer(released: str, usd: bytes) -> Refresh:
    """Make a version like the shipped one, in which the input of one model costs otherwise."""
    book, gaps, overlay = shipped_parts().texts
    lines = book.splitlines(keepends=True)
    head = b'{"source":"genai-prices 9.9","released":"%s"}\n' % released.encode()
    for place, line in enumerate(lines):
        if line.startswith(b'{"model":"gpt-4.1",'):
            lines[place] = line.replace(b'"usd":{"input":"2"', b'"usd":{"input":"%s"' % usd, 1)
    parts = parts_of((head + b"".join(lines[1:]), gaps, overlay))
    return Refresh(parts, "", BookDiff([], [], []), [])


def priced(gateway: Deployment) -> tuple[str, int | None]:
    """Make a call; give the version that priced it, and its cost."""
    before = len(gateway.entries())
    assert ask(gateway.port, OPENAI.call(gateway.key, model="gpt-4.1")).status == 200
    deadline_s = time.monotonic() + 10
    while len(gateway.entries()) == before:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    entry = gateway.entries()[-1]
    return entry.price_version.partition("+own.")[0], entry.cost_nanos


def becomes(gateway: Deployment, version: str, since_s: float) -> float:
    """Call until a version prices; give how long that took."""
    while priced(gateway)[0] != version:
        assert time.monotonic() < since_s + 10, "it never was"
    return time.monotonic() - since_s


def test_newer_prices_are_in_force_and_broken_ones_are_not(gateway: Deployment) -> None:
    shipped = shipped_price_book().version
    assert priced(gateway) == (shipped, 2_000_000)
    first = newer("2027-01-01T00:00:00Z", b"3")
    put_in_force(first, gateway.folder)
    assert becomes(gateway, first.parts.version, time.monotonic()) < IN_FORCE_S + 0.5
    assert priced(gateway)[1] == 3_000_000
    # The file is cut: calls go on, by the prices of the release, and the log says why.
    second = newer("2027-01-02T00:00:00Z", b"4")
    put_in_force(second, gateway.folder)
    becomes(gateway, second.parts.version, time.monotonic())
    path = fetched_folder(gateway.folder) / f"{second.parts.version}.json.gz"
    path.write_bytes(path.read_bytes()[:1_000])
    fetched_mark(gateway.folder).write_text(f"{second.parts.version}\n")
    becomes(gateway, shipped, time.monotonic())
    assert priced(gateway) == (shipped, 2_000_000)
    assert gateway.says("the fetched price book cannot be used"), gateway.logs()
