"""Content codings: bounded for requests, bit for bit and in pieces for replies."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest, TooLarge
from tollkeeper.wire.encodings import decode, decoder_for, encode

TEXT = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n' * 400
RAW = zlib.compressobj(wbits=-15)
CODED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT[:5_000]) + gzip.compress(TEXT[5_000:]),
    "deflate": zlib.compress(TEXT),
    "DEFLATE": RAW.compress(TEXT) + RAW.flush(),
    "zstd": zstandard.compress(TEXT),
    " Zstd ": zstandard.compress(TEXT[:5_000]) + zstandard.compress(TEXT[5_000:]),
    "identity": TEXT,
    "": TEXT,
}
SIZE_MAX = 1 << 20


def decoded(encoding: str, *pieces: bytes) -> bytes:
    decoder = decoder_for(encoding)
    assert decoder is not None
    text = b"".join(plain for piece in pieces for plain in decoder.feed(piece))
    assert decoder.complete
    assert not decoder.failed
    return text


@pytest.mark.parametrize("encoding", CODED)
def test_a_body_is_decoded(encoding: str) -> None:
    assert decode(CODED[encoding], encoding, SIZE_MAX) == TEXT


@pytest.mark.parametrize("encoding", CODED)
def test_every_cut_gives_the_same(encoding: str) -> None:
    coded = CODED[encoding]
    for at in range(0, len(coded), max(1, len(coded) // 200)):
        assert decoded(encoding, coded[:at], coded[at:]) == TEXT
    if len(coded) < 2_000:
        assert decoded(encoding, *(coded[at : at + 1] for at in range(len(coded)))) == TEXT


@given(st.binary(max_size=2_000), st.sampled_from(["gzip", "deflate", "zstd", "identity", ""]))
def test_what_is_encoded_is_decoded(body: bytes, encoding: str) -> None:
    coded = encode(body, encoding)
    assert decode(coded, encoding, SIZE_MAX) == body


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, gzip", "gzip;q=1", "x", "zst\0d"])
def test_an_unknown_coding(encoding: str) -> None:
    assert decoder_for(encoding) is None
    with pytest.raises(BadRequest) as caught:
        decode(b"x", encoding, SIZE_MAX)
    assert caught.value.code == "encoding_unknown"
    with pytest.raises(ValueError, match="coding"):
        encode(b"x", encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_bytes_that_are_not_of_the_coding(encoding: str) -> None:
    whole = encode(TEXT, encoding)
    for body in (b"", TEXT, whole[:-1], whole[: len(whole) // 2], whole + b"x"):
        with pytest.raises(BadRequest) as caught:
            decode(body, encoding, SIZE_MAX)
        assert caught.value.code == "encoding_invalid"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_stopped_before_it_goes_off(encoding: str) -> None:
    bomb = encode(bytes(50_000_000), encoding)
    for size_max, ratio_max in ((32 << 20, 10_000), (1 << 30, 20)):
        with pytest.raises(TooLarge):
            decode(bomb, encoding, size_max, ratio_max)


def test_small_bodies_may_grow_more() -> None:
    assert decode(gzip.compress(bytes(500_000)), "gzip", SIZE_MAX, 2) == bytes(500_000)


def test_the_size_limit_is_exact() -> None:
    body = encode(TEXT, "gzip")
    assert decode(body, "gzip", len(TEXT)) == TEXT
    with pytest.raises(TooLarge):
        decode(body, "gzip", len(TEXT) - 1)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_copy_that_cannot_be_read_never_raises(encoding: str) -> None:
    coded = bytearray(encode(random.Random(5).randbytes(50_000), encoding))
    coded[len(coded) // 2] ^= 0xFF
    coded[len(coded) // 2 + 1] ^= 0xFF
    decoder = decoder_for(encoding)
    assert decoder is not None
    for at in range(0, len(coded), 1_000):
        for piece in decoder.feed(bytes(coded[at : at + 1_000])):
            assert piece
    assert list(decoder.feed(b"more")) == []
    assert not decoder.complete


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_pieces_stay_small(encoding: str) -> None:
    decoder = decoder_for(encoding)
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.feed(encode(bytes(40_000_000), encoding))]
    assert sum(sizes) == 40_000_000
    assert max(sizes) <= 32 << 20
