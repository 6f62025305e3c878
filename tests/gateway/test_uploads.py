"""Forms with files go by in pieces; coded bodies arrive as they were sent, or coded anew."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from memory import grows_by_less_than
from protocols import ALL, OPENAI, RESPONSES, Protocol
from raw_http import RawConnection, ask, request
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import deployment, usual_configuration
from watched import Watched

MIB = 1 << 20
PATH = "/v1/audio/transcriptions"
BOUNDARY = "a-boundary-of-its-own"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def _short_reply(conversation: Conversation) -> None:
    conversation.answer(json_reply({"id": "r", "text": "hello"}))


@pytest.fixture(scope="module")
def module_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with RoughUpstream(_short_reply) as rough:
        configuration = usual_configuration(rough.url)
        configuration["limits"] = {"upload_mb": 300}
        configuration["models"] |= {"ears": "openai/whisper-1", "whisper-*": "openai"}
        folder = tmp_path_factory.mktemp("uploads")
        with deployment(folder, rough.url, configuration) as made:
            yield Watched(made, rough)


def _part(disposition: str, content: bytes, *lines: str) -> bytes:
    head = "\r\n".join((f"Content-Disposition: form-data; {disposition}", *lines))
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


def _field(name: str, value: str) -> bytes:
    return _part(f'name="{name}"', value.encode())


def _file(content: bytes, name: str = "a.wav") -> bytes:
    return _part(f'name="file"; filename="{name}"', content, "Content-Type: audio/wav")


END = f"--{BOUNDARY}--\r\n".encode()
MODEL = _field("model", "whisper-1")
GOOD = MODEL + _file(b"\0\1\2") + END


def _upload(watched: Watched, form: bytes, **headers: str | None) -> bytes:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    own = {"authorization": f"Bearer {watched.key}", "content-type": FORM}
    return request(PATH, form, own | fields)


def _body(sent: bytes) -> bytes:
    return sent.partition(b"\r\n\r\n")[2]


def test_a_form_arrives_as_it_was_sent(watched: Watched) -> None:
    for form in (
        GOOD,
        MODEL + _field("language", "de") + _file(b"x" * 300_000) + END,
        _file(b"y" * 1_000) + MODEL + END,
    ):
        watched.forget()
        assert ask(watched.port, _upload(watched, form)).status == 200
        assert _body(watched.one()) == form
        assert watched.entries(1) == [("ok", "")]
        assert watched.gateway.entries()[-1].model_requested == "whisper-1"


def test_a_large_file_is_never_held_in_memory(watched: Watched) -> None:
    start, piece, count = MODEL + _file(b"")[:-2], b"z" * (256 << 10), 800
    length = len(start) + count * len(piece) + 2 + len(END)
    with grows_by_less_than(watched.gateway, 24 * MIB), RawConnection(watched.port) as connection:
        connection.send(_upload(watched, b"", content_length=str(length)), start)
        for _ in range(count):
            connection.send(piece)
        assert connection.send(b"\r\n" + END).answer(60).status == 200
    assert len(_body(watched.one())) == length


def test_a_provider_that_takes_nothing_holds_its_client_back(tmp_path: Path) -> None:
    """The file stays with the client, not with us."""
    taken = threading.Event()

    def listen_later(conversation: Conversation) -> None:
        conversation.answer(json_reply({"id": "r"}))

    with RoughUpstream(listen_later) as rough:
        rough.body_when = taken
        with deployment(tmp_path, rough.url) as gateway:
            watched = Watched(gateway, rough)
            size = 100 * MIB
            start = MODEL + _file(b"")[:-2]
            length = len(start) + size + 2 + len(END)
            with (
                grows_by_less_than(gateway, 24 * MIB),
                RawConnection(gateway.port) as connection,
            ):
                connection.send(_upload(watched, b"", content_length=str(length)), start)
                sender = threading.Thread(target=connection.send, args=(b"z" * size, b"\r\n" + END))
                sender.start()
                sender.join(2)
                assert sender.is_alive(), "the client is held back"
                taken.set()
                sender.join(60)
                assert connection.answer(60).status == 200
            assert len(_body(watched.one())) == length


def test_a_form_in_chunks_arrives_whole(watched: Watched) -> None:
    head = _upload(watched, b"", content_length=None, transfer_encoding="chunked")
    form = MODEL + _file(b"w" * 500_000) + END
    pieces = [form[at : at + 7_001] for at in range(0, len(form), 7_001)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    with RawConnection(watched.port) as connection:
        connection.send(head, *chunks, b"0\r\n\r\n")
        assert connection.answer(30).status == 200
    assert _body(watched.one()) == form


def test_an_alias_is_resolved_inside_the_form(watched: Watched) -> None:
    form = _field("model", "ears") + _file(b"v") + END
    assert ask(watched.port, _upload(watched, form)).status == 200
    assert _body(watched.one()) == MODEL + _file(b"v") + END


BAD_FORMS: dict[str, bytes] = {
    "M22 no end": MODEL + _file(b"x"),
    "M22 a second model": MODEL + _field("model", "gpt-4o-transcribe") + _file(b"x") + END,
    "M22 a model in other letters": MODEL + _field("Model", "x") + _file(b"x") + END,
    "M22 a model in a file": _part('name="model"; filename="m"', b"whisper-1") + _file(b"x") + END,
    "M22 100,000 parts": MODEL + _field("a", "b") * 100_000 + END,
    "M22 a part without a name": MODEL + _part("", b"x") + END,
    "M22 text behind the end": GOOD + b"more",
    "M22 another boundary": GOOD.replace(BOUNDARY.encode(), b"other"),
    "M22 bare line feeds": GOOD.replace(b"\r\n", b"\n"),
    "M22 an endless head of a part": MODEL + b"--" + BOUNDARY.encode() + b"\r\nX: " + b"y" * 90_000,
    "M22 a model of UTF-16": _part('name="model"', "whisper-1".encode("utf-16")) + END,
    "M22 an unknown model": _field("model", "no-such-model") + _file(b"x") + END,
    "M22 nothing": b"",
    "M22 where it goes": MODEL + _field("api_base", "http://127.0.0.1:1") + _file(b"x") + END,
}


@pytest.mark.parametrize("name", BAD_FORMS)
def test_a_form_that_cannot_be_trusted_costs_nothing(watched: Watched, name: str) -> None:
    answer = ask(watched.port, _upload(watched, BAD_FORMS[name]), 30)
    fault = OPENAI.fault(answer)
    assert fault.status in {400, 404}, fault
    ((outcome, code),) = watched.entries(1)
    assert (outcome, code) == ("refused", fault.code)
    entry = watched.gateway.entries()[-1]
    assert entry.cost_nanos == 0
    assert not watched.sent(), "no whole request"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\\..\\b", "C:\\x", "%2e%2e%2f", "\u00e4.wav", "a;b=c", "x" * 999]
)
def test_a_files_name_is_passed_on_and_touches_nothing(watched: Watched, name: str) -> None:
    files = sorted(watched.gateway.folder.root.rglob("*"))
    form = MODEL + _file(b"x", name) + END
    assert ask(watched.port, _upload(watched, form)).status == 200
    assert _body(watched.one()) == form
    assert sorted(watched.gateway.folder.root.rglob("*")) == files


@pytest.mark.parametrize(
    "content_type",
    [
        *("multipart/form-data", "multipart/form-data; boundary=", "text/plain", "a"),
        *("multipart/form-data; boundary=" + "b" * 300, "multipart/mixed; boundary=a"),
        *('multipart/form-data; boundary="a', "multipart/form-data; boundary=a; boundary=b"),
    ],
)
def test_a_form_without_one_clear_boundary_is_refused(watched: Watched, content_type: str) -> None:
    answer = ask(watched.port, _upload(watched, GOOD, content_type=content_type))
    assert OPENAI.fault(answer).status in {400, 415}
    assert not watched.sent()


def test_an_upload_above_its_limit_is_refused(watched: Watched) -> None:
    declared = _upload(watched, b"", content_length=str(301 * MIB))
    fault = OPENAI.fault(ask(watched.port, declared))
    assert (fault.status, "300 MB" in fault.message) == (413, True)
    assert not watched.sent()


def test_a_client_that_leaves_during_its_upload_costs_nothing(watched: Watched) -> None:
    with RawConnection(watched.port) as connection:
        data = _upload(watched, b"", content_length="10000000")
        connection.send(data, MODEL + _file(b"")[:-2] + b"u" * 200_000)
    ((outcome, _),) = watched.entries(1)
    assert outcome == "disconnected"
    assert not watched.sent()
    assert ask(watched.port, OPENAI.call(watched.key)).status == 200


# ---------------------------------------------------------------------- codings


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


CODINGS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (gzip.compress, gzip.decompress),
    "zstd": (_zstd, zstandard.ZstdDecompressor().decompress),
    "deflate": (zlib.compress, zlib.decompress),
}


@pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_body_arrives_as_it_was_sent(
    watched: Watched, protocol: Protocol, coding: str
) -> None:
    packed = CODINGS[coding][0](json.dumps(protocol.body).encode())
    data = protocol.call(watched.key, {"content-encoding": coding}, body=packed)
    assert ask(watched.port, data).status == 200
    assert _body(watched.one()) == packed
    assert f"content-encoding: {coding}".encode() in watched.one().lower()
    watched.entries(1)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_body_that_is_changed_is_coded_anew(watched: Watched, coding: str) -> None:
    """An alias is replaced, tags are taken out, and usage is asked for: inside the coding."""
    pack, unpack = CODINGS[coding]
    for protocol, members, expected in (
        (OPENAI, {"model": "fast"}, {"model": "gpt-4.1-mini"}),
        (RESPONSES, {"tags": ["a:1"]}, {}),
        (OPENAI, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ):
        watched.forget()
        body = dict(protocol.body) | members
        packed = pack(json.dumps(body).encode())
        data = protocol.call(watched.key, {"content-encoding": coding}, body=packed)
        assert ask(watched.port, data).status == 200
        sent = watched.one()
        assert f"content-encoding: {coding}".encode() in sent.lower()
        body.pop("tags", None)
        assert json.loads(unpack(_body(sent))) == body | expected
        watched.entries(1)
