"""Heads that were seen before are not parsed again: that must never mix up two requests."""

from __future__ import annotations

import asyncio

import pytest

from echo import Echo
from loopback import HOST, raw, run, serving


def _post(path: str, body: bytes, *lines: str) -> bytes:
    fields = "".join(f"{line}\r\n" for line in (*lines, f"Content-Length: {len(body)}"))
    return f"POST {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode() + body


def _close(path: str, body: bytes = b"") -> bytes:
    return _post(path, body, "Connection: close")


async def _seen_often(port: int, data: bytes) -> None:
    """Send a request often enough to be remembered, on a connection of its own."""
    for _ in range(3):
        await raw(port, data + _close("/end"))


def _answers(*rounds: tuple[bytes, ...], seen: tuple[bytes, ...] = ()) -> tuple[list[bytes], Echo]:
    """Give what comes back for each round of bytes, after some requests were seen often."""
    app = Echo()

    async def work() -> list[bytes]:
        async with serving(app) as (port, _):
            for data in seen:
                await _seen_often(port, data)
            return [await raw(port, *parts, pause_s=0.02) for parts in rounds]

    return run(work), app


def _bodies(answers: bytes) -> list[bytes]:
    """Take the bodies out of replies that each have a Content-Length."""
    found = []
    while answers:
        head, _, rest = answers.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        found.append(rest[:length])
        answers = rest[length:]
    return found


def test_a_head_behind_another_in_one_read_is_not_remembered_under_its_bytes() -> None:
    """Else whoever sends the first head later would be taken for the second one's sender."""
    first = _post("/forbidden", b"")
    poison = first + _post("/of-somebody-else", b"", "Authorization: Bearer theirs")
    (answer,), _ = _answers((first + _close("/end"),), seen=(poison,))
    assert b"not this one" in answer
    assert b"somebody" not in answer


@pytest.mark.parametrize("path", ["/forbidden", "/short", "/a"])
def test_thousands_of_known_heads_in_one_read_are_answered_in_order(path: str) -> None:
    one, count = _post(path, b""), 3_000
    (answer,), _ = _answers((one * count + _close("/end", b"last"),), seen=(one,))
    bodies = _bodies(answer)
    assert len(bodies) == count + 1
    assert bodies[-1] == b"POST /end last"
    assert set(bodies[:-1]) == {
        b"not this one" if path == "/forbidden" else f"POST {path} ".encode()
    }


@pytest.mark.parametrize("size", [0, 1, 9, 10, 1_000, 300_000])
def test_only_the_digits_of_the_length_may_differ(size: int) -> None:
    body = bytes([97 + at % 26 for at in range(size)])
    parts = (_post("/a", body), _close("/end"))
    (answer,), app = _answers(parts, seen=(_post("/a", b"four"),))
    assert _bodies(answer) == [b"POST /a " + body, b"POST /end "]
    assert app.bodies[-2] == body


@pytest.mark.parametrize("cut", [1, 30, 60, 69, 70, 71, 75])
def test_a_known_head_cut_anywhere_is_the_same_request(cut: int) -> None:
    data = _post("/a", b"hello world") + _close("/end")
    (answer,), _ = _answers((data[:cut], data[cut:]), seen=(_post("/a", b"four"),))
    assert _bodies(answer) == [b"POST /a hello world", b"POST /end "]


OTHER_LENGTHS = {
    "plus": b"+4",
    "hexadecimal": b"0x4",
    "underscore": b"0_4",
    "list": b"4,4",
    "minus": b"-4",
    "nothing": b"",
    "superscript": "\u00b2".encode("latin-1"),
    "letters": b"four",
    "then another field": b"4\r\nTransfer-Encoding: chunked",
    "twice": b"4\r\nContent-Length: 4",
    "a bare line feed": b"4\nX: 1",
    "too large": b"9" * 30,
}


@pytest.mark.parametrize("name", OTHER_LENGTHS)
def test_a_known_head_with_another_kind_of_length_is_refused(name: str) -> None:
    data = _post("/a", b"four").replace(b"Length: 4", b"Length: " + OTHER_LENGTHS[name])
    (answer,), app = _answers((data + _close("/end"),), seen=(_post("/a", b"four"),))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert len(app.bodies) == 6, "only those that were sent to be remembered"


def test_an_upload_that_waited_its_turn_still_holds_its_sender_back() -> None:
    """A sink that asked for a pause gets it, also when its request stood in the queue."""
    app, size = Echo(), 40 << 20

    async def work() -> int:
        async with serving(app) as (port, connections):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(_post("/later", b"") + _post("/paused", b"x" * size)[:200])
            await reader.readuntil(b"POST /later ")
            writer.write(b"x" * size)
            await asyncio.sleep(0.3)
            taken = sum(map(len, app.paused[0].parts))
            writer.close()
            connections.abort()
            return taken

    assert run(work) < 1 << 20
