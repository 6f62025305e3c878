"""Bodies that cannot be read, or could be read in two ways: refused before anything is spent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import pytest

from books import Books
from memory import grows_by_less_than
from protocols import ALL, ANTHROPIC, GEMINI, OPENAI, RESPONSES, Protocol
from raw_http import RawConnection, ask
from running import Deployment

INVALID, REPEATED, AMBIGUOUS = "body_invalid", "field_repeated", "field_ambiguous"
FIELD, MODEL = "field_invalid", "model_invalid"
MIB = 1 << 20


class Case(NamedTuple):
    """One bad body, made from a good one, and what it is called."""

    make: Callable[[bytes], bytes]
    code: str = INVALID
    protocols: tuple[Protocol, ...] = ALL


def _first(member: str) -> Callable[[bytes], bytes]:
    """Put a member in front of all others."""
    return lambda good: b"{" + member.encode("utf-8", "surrogatepass") + b"," + good[1:]


def _instead(name: str, value: str) -> Callable[[bytes], bytes]:
    """Give a member another value, in JSON's own words."""

    def make(good: bytes) -> bytes:
        members = {key: json.dumps(each) for key, each in json.loads(good).items()}
        members[name] = value
        return ("{" + ",".join(f'"{key}":{each}' for key, each in members.items()) + "}").encode()

    return make


NAMED = (OPENAI, RESPONSES, ANTHROPIC)  # Gemini names the model in the path
FLAT = (OPENAI,)
DEEP = 100_000
MILLION = 1_000_000

UNREADABLE: dict[str, Case] = {
    "M11 empty": Case(lambda good: b""),
    "M11 text": Case(lambda good: b"hello"),
    "M11 cut": Case(lambda good: good[:-1]),
    "M11 cut inside a string": Case(lambda good: good[: good.index(b"canary") + 3]),
    "M11 a list": Case(lambda good: b"[" + good + b"]"),
    "M11 a string": Case(lambda good: b'"model"'),
    "M11 a number": Case(lambda good: b"17"),
    "M11 null": Case(lambda good: b"null"),
    "M11 two objects": Case(lambda good: good + good),
    "M11 an object and more": Case(lambda good: good + b"x"),
    "M11 comma at the end": Case(lambda good: good[:-1] + b",}"),
    "M11 single quotes": Case(lambda good: good.replace(b'"', b"'")),
    "M11 a comment": Case(lambda good: b"/* */" + good),
    "M11 byte order mark": Case(lambda good: b"\xef\xbb\xbf" + good),
    "M11 UTF-16": Case(lambda good: good.decode().encode("utf-16")),
    "M11 UTF-16 without a mark": Case(lambda good: good.decode().encode("utf-16-be")),
    "M11 NaN": Case(_instead("temperature", "NaN")),
    "M11 Infinity": Case(_instead("temperature", "-Infinity")),
    "M11 leading zero": Case(_instead("temperature", "01")),
    "M11 hexadecimal": Case(_instead("temperature", "0x10")),
    "M11 a line break in a string": Case(lambda good: good.replace(b"orchard", b"or\nchard")),
    "M11 NUL in a string": Case(lambda good: good.replace(b"orchard", b"or\0chard")),
    "M11 NUL in front": Case(lambda good: b"\0" + good),
    "M11 broken UTF-8 in the prompt": Case(lambda good: good.replace(b"orchard", b"or\xffchard")),
    "M11 overlong quote": Case(lambda good: good.replace(b"orchard", b"or\xc0\xa2chard")),
    "M11 UTF-8 of a surrogate": Case(lambda good: good.replace(b"orchard", b"\xed\xa0\x80")),
    "M11 broken UTF-8 in a name": Case(lambda good: b'{"a\xff":1,' + good[1:]),
    "M11 half an escape": Case(lambda good: good.replace(b"orchard", rb"or\u00")),
    "M11 an unknown escape": Case(lambda good: good.replace(b"orchard", rb"or\x41")),
    "M11 nested 100,000 deep": Case(_instead("temperature", "[" * DEEP + "]" * DEEP)),
    "M11 opened 100,000 times": Case(lambda good: b'{"a":' * DEEP),
    "M11 a million members": Case(
        lambda good: b"{" + b",".join(b'"k%d":1' % at for at in range(MILLION)) + b"}"
    ),
}

AMBIGUOUS_BODIES: dict[str, Case] = {
    "M12 model twice": Case(_first('"model":"gpt-4.1"'), REPEATED, NAMED),
    "M12 the same model twice": Case(_first('"model":"gpt-4.1-mini"'), REPEATED, NAMED),
    "M12 model twice, once escaped": Case(_first('"mod\\u0065l":"gpt-4.1"'), REPEATED, NAMED),
    "M12 Model beside model": Case(_first('"Model":"gpt-4.1"'), AMBIGUOUS, NAMED),
    "M12 MODEL with other letters": Case(_first('"\u212a":1,"MODEL":"a"'), AMBIGUOUS, NAMED),
    "M12 only Model": Case(lambda good: good.replace(b'"model"', b'"Model"'), AMBIGUOUS, NAMED),
    "M12 stream twice": Case(_first('"stream":true,"stream":false'), REPEATED, NAMED),
    "M12 Stream": Case(_first('"Stream":true'), AMBIGUOUS, NAMED),
    "M12 long s in Stream": Case(_first('"\u017ftream":true'), AMBIGUOUS, NAMED),
    "M12 n twice": Case(_first('"n":1,"n":5'), REPEATED, FLAT),
    "M12 max_tokens twice": Case(_first('"max_tokens":5,"max_tokens":9'), REPEATED, NAMED),
    "M12 Max_Tokens": Case(_first('"Max_Tokens":5'), AMBIGUOUS, NAMED),
    "M12 another member twice": Case(_first('"seed":1,"seed":2'), REPEATED, ALL),
    "M12 include_usage twice": Case(
        _first('"stream":true,"stream_options":{"include_usage":true,"include_usage":false}'),
        REPEATED,
        FLAT,
    ),
    "M12 Include_Usage": Case(
        _first('"stream":true,"stream_options":{"Include_Usage":true}'), AMBIGUOUS, FLAT
    ),
    "M12 generationConfig twice": Case(
        _first('"generationConfig":{},"generationConfig":{"maxOutputTokens":1}'),
        REPEATED,
        (GEMINI,),
    ),
    "M12 both spellings": Case(
        _first('"generationConfig":{},"generation_config":{"maxOutputTokens":1}'),
        AMBIGUOUS,
        (GEMINI,),
    ),
    "M12 GenerationConfig": Case(_first('"GenerationConfig":{}'), AMBIGUOUS, (GEMINI,)),
    "M12 both spellings inside": Case(
        _first('"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}'),
        AMBIGUOUS,
        (GEMINI,),
    ),
}


def _wrong(
    name: str, *values: str, code: str = FIELD, of: tuple[Protocol, ...] = NAMED
) -> dict[str, Case]:
    return {f"M13 {name} {value[:24]}": Case(_instead(name, value), code, of) for value in values}


WRONG_TYPES: dict[str, Case] = {
    **_wrong("model", "null", code="model_missing"),
    **_wrong("model", "7", "true", '["gpt-4.1-mini"]', '{"name":"gpt-4.1-mini"}'),
    **_wrong(
        "model",
        '" gpt-4.1-mini"',
        '"gpt-4.1-mini\\n"',
        '"gpt-4.1\\u200b-mini"',
        '"gpt-4.1-mini\\u0000"',
        f'"{"m" * 300}"',
        code=MODEL,
    ),
    "M11 a lone surrogate": Case(lambda good: good.replace(b"orchard", rb"\ud800")),
    "M13 model with a lone surrogate": Case(_instead("model", '"gpt\\ud800"'), INVALID, NAMED),
    **_wrong("stream", '"false"', "1", "[]", '"true"'),
    **_wrong("max_tokens", "-1", "0", '"100"', "1.5", "1e400", "[]", "true", "9" * 5_000),
    **_wrong("max_output_tokens", "-1", '"100"', "1e3", of=(RESPONSES,)),
    **_wrong("n", '"5"', "0", "-1", "1000000000", "1.5", "true", "[]", of=FLAT),
    **_wrong("best_of", "100000", of=FLAT),
    **_wrong("stream_options", '"x"', "[]", '{"include_usage":"yes"}', of=FLAT),
    **_wrong("service_tier", "7", "{}", of=FLAT),
    **_wrong("generationConfig", "[]", '"x"', "7", of=(GEMINI,)),
    **_wrong(
        "generationConfig",
        *('{"maxOutputTokens":-1}', '{"maxOutputTokens":0}', '{"maxOutputTokens":"100"}'),
        *('{"maxOutputTokens":1.5}', '{"candidateCount":0}', '{"candidateCount":1000000000}'),
        of=(GEMINI,),
    ),
    **_wrong(
        *("api_base", '"http://127.0.0.1:1"'), code="field_not_allowed", of=(OPENAI, ANTHROPIC)
    ),
    **_wrong("api_key", '"sk-other-000000000000"', code="field_not_allowed", of=(OPENAI,)),
    **_wrong("base_url", "null", code="field_not_allowed", of=(OPENAI,)),
}

CASES = [
    pytest.param(protocol, case, id=f"{name}-{protocol.name}")
    for name, case in (UNREADABLE | AMBIGUOUS_BODIES | WRONG_TYPES).items()
    for protocol in case.protocols
]


@pytest.mark.parametrize(("protocol", "case"), CASES)
def test_a_bad_body_is_refused_and_the_connection_goes_on(
    gateway: Deployment, books: Books, protocol: Protocol, case: Case
) -> None:
    body = case.make(json.dumps(protocol.body).encode())
    with RawConnection(gateway.port) as connection:
        connection.send(protocol.call(gateway.key, body=body))
        fault = protocol.fault(connection.answer())
        assert (fault.status, fault.code) == (400, case.code), fault
        books.require_refused(case.code)
        assert connection.send(protocol.call(gateway.key)).answer().status == 200
    books.entries(2)


GOOD: dict[str, tuple[Protocol, Callable[[bytes], bytes]]] = {
    "null for no limit": (OPENAI, _instead("max_tokens", "null")),
    "null for no stream": (OPENAI, _instead("stream", "null")),
    "an escaped name": (OPENAI, lambda good: good.replace(b'"model"', rb'"mod\u0065l"')),
    "blanks everywhere": (ANTHROPIC, lambda good: json.dumps(json.loads(good), indent=9).encode()),
    "unknown members": (RESPONSES, _first('"later":{"deep":[1,{"model":"x"}]}')),
    "a member named like one": (OPENAI, _first('"models":"x","modeled":1')),
    "nested 100 deep": (OPENAI, _instead("metadata", '{"a":' * 100 + "1" + "}" * 100)),
    "emoji": (ANTHROPIC, lambda good: good.replace(b"orchard", "🌍 Grüße".encode())),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_unusual_body_that_can_only_be_read_in_one_way_passes(
    gateway: Deployment, books: Books, name: str
) -> None:
    protocol, make = GOOD[name]
    body = make(json.dumps(protocol.body).encode())
    answer = ask(gateway.port, protocol.call(gateway.key, body=body))
    assert answer.status == 200, answer
    assert books.sent() == 1
    assert books.entry().model_served == json.loads(body).get("model", "gemini-2.5-flash")


def test_what_steers_nothing_is_the_providers_business(gateway: Deployment, books: Books) -> None:
    """Here a number of 10 MB: the provider refuses it, and that costs nothing."""
    body = _instead("later", "1" * 10_000_000)(json.dumps(OPENAI.body).encode())
    assert ask(gateway.port, OPENAI.call(gateway.key, body=body)).status == 400
    entry = books.entry()
    assert (entry.outcome, entry.status, entry.cost_nanos) == ("upstream_error", 400, 0)


@pytest.mark.parametrize("model", ["no-such-model-xyz", "none/gpt", "openai/"])
def test_an_unknown_model_is_not_found(gateway: Deployment, books: Books, model: str) -> None:
    fault = OPENAI.fault(ask(gateway.port, OPENAI.call(gateway.key, model=model)))
    assert fault.status in {400, 404}
    books.require_refused(fault.code)


@pytest.mark.parametrize("name", ["M11 nested 100,000 deep", "M11 a million members"])
def test_hostile_bodies_leave_no_memory_behind(gateway: Deployment, name: str) -> None:
    body = UNREADABLE[name].make(json.dumps(OPENAI.body).encode())
    data = OPENAI.call(gateway.key, body=body)
    ask(gateway.port, data)  # what the first one leaves behind is the allocator's reserve
    # Two of ten bodies at most: one being read, and one that was let go a moment ago.
    with grows_by_less_than(gateway, 10 * MIB + 2 * len(body)):
        for _ in range(10):
            assert ask(gateway.port, data).status == 400
