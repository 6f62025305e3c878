"""Forms: the small text fields, at every cut, and nothing that two servers could read apart."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest
from tollkeeper.wire.multipart import FIELD_BYTES_MAX, PARTS_MAX, FormScanner, boundary_of

Part = tuple[str, bytes]
"""What stands behind ``form-data;`` and further head lines, and the content."""


def form(*parts: Part, boundary: bytes = b"B0undary") -> bytes:
    body = b""
    for described, content in parts:
        head = f"Content-Disposition: form-data; {described}\r\n".encode()
        body += b"--" + boundary + b"\r\n" + head + b"\r\n" + content + b"\r\n"
    return body + b"--" + boundary + b"--\r\n"


def scan(*pieces: bytes, boundary: bytes = b"B0undary") -> FormScanner:
    scanner = FormScanner(boundary)
    for piece in pieces:
        scanner.feed(piece)
    return scanner


MODEL: Part = ('name="model"', b"whisper-1")
FILE: Part = (
    'name="file"; filename="../../etc/passwd"\r\nContent-Type: audio/mpeg',
    b"\x00\xff\r\n--B0undar\r\n--\r\nmodel\r\n\n--\r",
)
TYPICAL = form(
    MODEL,
    FILE,
    ('name="language"', "dé".encode()),
    ('name="response_format"', b"json"),
    ('name="empty"', b""),
    ('name="timestamp_granularities[]"', b"word"),
    ('name="timestamp_granularities[]"', b"segment"),
)
FIELDS = {"model": "whisper-1", "language": "dé", "response_format": "json", "empty": ""}
UNCLEAR = {"file", "timestamp_granularities[]"}


def state(scanner: FormScanner) -> tuple[object, ...]:
    return scanner.fields, scanner.spans, scanner.unclear, scanner.complete


def test_a_typical_form() -> None:
    scanner = scan(TYPICAL)
    assert scanner.fields == FIELDS
    assert scanner.unclear == UNCLEAR
    assert scanner.complete
    for name, (start, end) in scanner.spans.items():
        assert TYPICAL[start:end].decode() == FIELDS[name]


def test_every_cut_in_two_and_every_byte_alone_give_the_same() -> None:
    whole = state(scan(TYPICAL))
    for at in range(len(TYPICAL) + 1):
        assert state(scan(TYPICAL[:at], TYPICAL[at:])) == whole
    assert state(scan(*(TYPICAL[at : at + 1] for at in range(len(TYPICAL))))) == whole


@given(st.randoms(use_true_random=False))
def test_many_cuts_give_the_same(chance: random.Random) -> None:
    cuts = sorted(chance.sample(range(len(TYPICAL)), chance.randint(1, 20)))
    pieces = [TYPICAL[a:b] for a, b in zip([0, *cuts], [*cuts, len(TYPICAL)], strict=True)]
    assert state(scan(*pieces)) == state(scan(TYPICAL))


def test_a_form_without_its_end_is_not_complete() -> None:
    for at in range(len(TYPICAL) - 3):
        assert not scan(TYPICAL[:at]).complete
    assert scan(TYPICAL[:-2]).complete


def test_fields_are_known_as_soon_as_they_end() -> None:
    scanner = scan(TYPICAL[: TYPICAL.index(b"Content-Type")])
    assert scanner.fields == {"model": "whisper-1"}
    assert not scanner.complete


def test_a_large_field_is_unclear_and_not_kept() -> None:
    body = form(('name="prompt"', b"x" * (FIELD_BYTES_MAX + 1)), MODEL)
    scanner = scan(body)
    assert scanner.fields == {"model": "whisper-1"}
    assert scanner.unclear == {"prompt"}
    assert scan(form(('name="prompt"', b"x" * FIELD_BYTES_MAX))).unclear == set()


LANGUAGE: Part = ('name="language"', b"de")
AS_FILE = '; filename="m"'


def test_a_field_that_comes_twice_or_as_a_file_is_unclear() -> None:
    for second in (LANGUAGE, (LANGUAGE[0] + AS_FILE, b"other")):
        for parts in ((LANGUAGE, second), (second, LANGUAGE)):
            scanner = scan(form(*parts))
            assert scanner.unclear == {"language"}
            assert scanner.fields == {}
            assert scanner.spans == {}


@pytest.mark.parametrize(
    "parts",
    [
        (MODEL, FILE, MODEL),
        (MODEL, FILE, ('name="model"', b"other")),
        (MODEL, FILE, (MODEL[0] + AS_FILE, b"other")),
        ((MODEL[0] + AS_FILE, b"other"),),
        (MODEL, FILE, ('name="Model"', b"other")),
        (MODEL, FILE, ('name="MODEL"', b"other")),
        (MODEL, FILE, ('name="mod_el"', b"other")),
        (('name="model"', b"x" * (FIELD_BYTES_MAX + 1)),),
        (('name="stream"', b"true"), ('name="stream"', b"false")),
        (('name="N"', b"9"),),
    ],
)
def test_what_steers_the_call_is_said_once(parts: tuple[Part, ...]) -> None:
    with pytest.raises(BadRequest):
        scan(form(*parts))


@pytest.mark.parametrize(
    "body",
    [
        b"text before\r\n" + TYPICAL,
        b"\n" + TYPICAL,
        b"\r\n" + TYPICAL,
        TYPICAL + b"text behind",
        TYPICAL.replace(b"\r\n", b"\n"),
        form(('name="a"', b"x\n--B0undary\r\nContent-Disposition: form-data; name=model\r\n\r\ny")),
        form(('name="a"', b"--B0undary\r\nContent-Disposition: form-data; name=model\r\n\r\ny")),
        form(MODEL).replace(b"--B0undary\r\n", b"--B0undary \r\n"),
        form(MODEL).replace(b"--B0undary\r\n", b"--B0undaryX\r\n"),
        form(MODEL).replace(b"Content-Disposition", b"Content-Disposition "),
        form(MODEL).replace(b"Content-Disposition", b" Content-Disposition"),
        form(("name=a\r\n folded: x", b"y")),
        form(('filename="x"', b"y")),
        form(('name=""', b"y")),
        form(('name="a"; name="model"', b"y")),
        form(('name="mod\\"el"', b"y")),
        form(("name*=utf-8''model; name=a", b"y")),
        form(('name="a"\r\nContent-Disposition: form-data; name="model"', b"y")),
        form(('name="a"\r\nContent-Transfer-Encoding: base64', b"bW9kZWw=")),
        form(('name="a"\r\nContent-Type: text/plain; charset=utf-16', b"y")),
        form(('name="a"', b"\xff")),
        form(('name="a" x', b"y")),
        form(("name='a b'", b"y")),
        b"--B0undary\r\n\r\ny\r\n--B0undary--",
        b"--B0undary\r\nContent-Disposition: attachment; name=a\r\n\r\ny\r\n--B0undary--",
        b"--B0undary\r\n" + b"X-A: " + b"x" * 10_000,
        form(*[('name="a"; filename="f"', b"")] * (PARTS_MAX + 1)),
        form(*[(f'name="a{number}"', b"") for number in range(200)]),
    ],
    ids=lambda body: repr(body[:60]),
)
def test_a_form_that_can_be_read_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        scan(body)
    assert caught.value.code == "form_invalid"
    with pytest.raises(BadRequest):
        scan(*(body[at : at + 1] for at in range(len(body))))


@pytest.mark.parametrize(
    "boundary",
    [b"-" * 70, b"----WebKitFormBoundary7MA4YWxkTrZu0gW", b"a b", b"'()+_,-./:=?", b"0"],
)
def test_boundaries(boundary: bytes) -> None:
    content_type = b'Multipart/Form-Data; charset=utf-8; boundary="' + boundary + b'"'
    assert boundary_of(content_type) == boundary
    assert scan(form(MODEL, FILE, boundary=boundary), boundary=boundary).fields == {
        "model": "whisper-1"
    }


def test_a_boundary_without_quotes() -> None:
    assert boundary_of(b"multipart/form-data; boundary=abc-123") == b"abc-123"
    assert boundary_of(b"multipart/form-data;boundary=abc:1") == b"abc:1"


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=" + b"-" * 71,
        b"multipart/form-data; boundary=" + b"-" * 1_000_000,
        b'multipart/form-data; boundary="a\\"b"',
        b'multipart/form-data; boundary="a "',
        b'multipart/form-data; boundary="a\xc3\xa9"',
        b'multipart/form-data; boundary="a<b"',
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=a b",
        b"multipart/form-data boundary=a",
        b"multipart/mixed; boundary=a",
        b"application/json",
    ],
    ids=lambda content_type: repr(content_type[:60]),
)
def test_bad_boundaries_are_refused(content_type: bytes) -> None:
    with pytest.raises(BadRequest):
        boundary_of(content_type)


def test_a_boundary_of_dashes_over_dashes_is_read_in_one_pass() -> None:
    boundary = b"-" * 70
    scanner = FormScanner(boundary)
    scanner.feed(form(('name="file"; filename="f"', b""), boundary=boundary)[: -2 - 2 - 70 - 4])
    scanner.feed(b"x")
    for _ in range(200):
        scanner.feed(b"-" * 65_536)  # each piece looked at once, or this takes minutes
    scanner.feed(b"\r\n--" + boundary + b"--\r\n")
    assert scanner.complete


def test_files_are_not_kept() -> None:
    scanner = FormScanner(b"B0undary")
    start = form(FILE)[: form(FILE).index(b"\x00")]
    scanner.feed(start)
    for _ in range(64):
        scanner.feed(bytes(65_536))
    held = sum(
        len(value) for value in vars(scanner).values() if isinstance(value, bytes | bytearray)
    )
    assert held < 70_000


@given(st.lists(st.sampled_from([TYPICAL[:40], b"\r\n", b"--B0undary", b"--", b"\n", b"x", b":"])))
def test_any_bytes_end_in_a_form_or_a_refusal(pieces: list[bytes]) -> None:
    try:
        scanner = scan(*pieces)
    except BadRequest:
        return
    assert not scanner.complete or b"".join(pieces).rstrip().endswith(b"--B0undary--")
