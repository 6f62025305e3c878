"""Streams that are read late: nothing of what is read changes, nor when a stream has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_replies import REPLIES, pieces
from tollkeeper.wire.anthropic_messages import MessageStreamReader
from tollkeeper.wire.cohere import CohereEventReader, CohereLineReader
from tollkeeper.wire.gemini import GeminiStreamReader
from tollkeeper.wire.late_reading import WAITING_BYTES_MAX, End, EndlessReader, LateReader
from tollkeeper.wire.mistral import ConversationStreamReader
from tollkeeper.wire.openai_chat import ChatStreamReader
from tollkeeper.wire.openai_responses import ResponsesStreamReader
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading, ReplyReader

AT_ONCE: dict[tuple[str, bool], Callable[[], ReplyReader]] = {
    ("openai_chat", False): ChatStreamReader,
    ("openai_completions", False): ChatStreamReader,
    ("openai_responses", False): ResponsesStreamReader,
    ("anthropic_messages", False): MessageStreamReader,
    ("gemini", False): GeminiStreamReader,
    ("cohere_chat", False): CohereEventReader,
    ("cohere_chat", True): CohereLineReader,
    ("mistral_conversations", False): ConversationStreamReader,
}
"""The readers themselves, by the kind of call and whether the stream is of lines."""

STREAMS = {
    name: (AT_ONCE[reader, "json" in content_type], reader, content_type, body)
    for name, (reader, content_type, body) in REPLIES.items()
    if (reader, "json" in content_type) in AT_ONCE
    and (
        "event-stream" in content_type or "ndjson" in content_type or "stream+json" in content_type
    )
}


def endings(reader: ReplyReader, parts: Sequence[bytes]) -> tuple[list[bool], Reading]:
    """Say after each piece whether the stream has ended, and what was read in the end."""
    ended = []
    for part in parts:
        reader.feed(part)
        ended.append(reader.finished)
    return ended, reader.close(complete=True)


def assert_alike(name: str, parts: Sequence[bytes]) -> None:
    at_once, kind, content_type, _ = STREAMS[name]
    late = reader_for(kind, streamed=True, content_type=content_type)
    assert isinstance(late, LateReader | EndlessReader)
    assert endings(late, parts) == endings(at_once(), parts)


def by_frames(body: bytes) -> list[bytes]:
    """Cut a stream into its frames, as it nearly always arrives."""
    for end in (b"\r\n\r\n", b"\n\n", b"\n"):
        if end in body:
            return [frame + end for frame in body.split(end)]
    return [body]


def test_every_family_has_a_stream_here() -> None:
    assert {(kind, at_once) for at_once, kind, _, _ in STREAMS.values()} >= {
        ("openai_chat", ChatStreamReader),
        ("openai_responses", ResponsesStreamReader),
        ("anthropic_messages", MessageStreamReader),
        ("gemini", GeminiStreamReader),
        ("cohere_chat", CohereEventReader),
        ("mistral_conversations", ConversationStreamReader),
    }


@pytest.mark.parametrize("name", STREAMS)
def test_frame_by_frame(name: str) -> None:
    assert_alike(name, by_frames(STREAMS[name][3]))


@pytest.mark.parametrize("name", STREAMS)
def test_line_by_line(name: str) -> None:
    assert_alike(name, STREAMS[name][3].splitlines(keepends=True))


@pytest.mark.parametrize("name", STREAMS)
def test_byte_by_byte(name: str) -> None:
    body = STREAMS[name][3]
    assert_alike(name, [body[at : at + 1] for at in range(len(body))])


@pytest.mark.parametrize("name", STREAMS)
def test_frame_by_frame_with_one_cut_anywhere(name: str) -> None:
    """Also in the middle of the words that end the stream, and of the line end behind them."""
    body = STREAMS[name][3]
    frames = by_frames(body)
    tail = b"".join(frames[-3:])
    for cut in range(len(tail) + 1):
        assert_alike(name, [*frames[:-3], tail[:cut], tail[cut:]])


@given(
    st.sampled_from(sorted(STREAMS)),
    st.lists(st.integers(0, 1 << 20), max_size=12),
    st.binary(max_size=40),
    st.integers(0, 1 << 20),
)
def test_any_cuts_with_garbage(name: str, cuts: list[int], garbage: bytes, place: int) -> None:
    body = STREAMS[name][3]
    place %= len(body) + 1
    assert_alike(name, pieces(body[:place] + garbage + body[place:], cuts))


@pytest.mark.parametrize("name", STREAMS)
def test_what_follows_the_end_changes_nothing(name: str) -> None:
    body = STREAMS[name][3]
    assert_alike(name, [*by_frames(body), *by_frames(body)])
    assert_alike(name, [body + body, body])


class Recorder:
    """Remembers in which pieces a stream comes."""

    finished = False

    def __init__(self) -> None:
        self.fed: list[tuple[int, bool]] = []

    def feed(self, data: bytes, *, marked: bool = True) -> None:
        self.fed.append((len(data), marked))

    def close(self, *, complete: bool) -> Reading:
        return Reading()


def test_pieces_wait_for_the_end() -> None:
    recorder = Recorder()
    reader = LateReader(recorder, End(b"[DONE]"))
    for _ in range(50):
        reader.feed(b"data: {}\n\n")
    assert recorder.fed == []
    reader.feed(b"data: [DONE]\n\n")
    assert recorder.fed == [(500, False), (14, True)]


@pytest.mark.parametrize("end", [End(b"[DONE]"), None])
def test_only_so_much_waits(end: End | None) -> None:
    recorder = Recorder()
    reader = EndlessReader(recorder) if end is None else LateReader(recorder, end)
    for _ in range(100):
        reader.feed(b"data: " + b"x" * 992 + b"\n\n")
        waiting = reader._room_bytes
        assert 0 <= waiting <= WAITING_BYTES_MAX
    assert sum(size for size, _ in recorder.fed) >= 100_000 - WAITING_BYTES_MAX
    reader.close(complete=True)
    assert sum(size for size, _ in recorder.fed) == 100_000
    assert not any(marked for _, marked in recorder.fed)
