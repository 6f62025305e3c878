"""Tags from every place that people know, merged, limited and harmless."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest
from tollkeeper.wire.tags import TAGS_MAX, Tags, end_customer, named_session, read_tags
from wire_requests import Fields, fields, lookup


def read(headers: Fields, *body: bytes, defaults: Mapping[str, str] | None = None) -> Tags:
    return read_tags(lookup(headers), headers, body, defaults or {})


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("feature=chat,customer=acme", {"feature": "chat", "customer": "acme"}),
        (" feature = chat , customer = acme corp ", {"feature": "chat", "customer": "acme corp"}),
        ("url=https://x/?a=b", {"url": "https://x/?a=b"}),
        (
            '{"feature":"chat","paid":true,"seats":3}',
            {"feature": "chat", "paid": "true", "seats": "3"},
        ),
        ("name=Zoë", {"name": "Zoë"}),
    ],
)
def test_our_own_header(value: str, tags: dict[str, str]) -> None:
    assert read(fields(x_tollkeeper_tags=value)) == Tags(tags, 0)


@pytest.mark.parametrize("value", ["feature", "a=b,c", "{", '{"a":', "[]", '{"a":1}x', ","])
def test_our_own_header_must_be_readable(value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(fields(x_tollkeeper_tags=value))
    assert caught.value.code == "tags_invalid"


def test_the_headers_of_other_gateways() -> None:
    headers = [
        (b"x-litellm-tags", b"team:core, nightly ,jobID:7"),
        (b"Helicone-Property-Feature", b"chat"),
        (b"helicone-property-env", b"prod"),
        (b"X-Tokonomics-Tags", b'{"tenant":"acme"}'),
        (b"X-Tokonomics-Environment", b"staging"),
        (b"x-litellm-spend-logs-metadata", b'{"project":"p-1"}'),
        (b"Helicone-Auth", b"Bearer x"),
    ]
    assert read(headers) == Tags(
        {
            "team": "core",
            "nightly": "true",
            "jobID": "7",
            "feature": "chat",
            "env": "prod",
            "tenant": "acme",
            "environment": "staging",
            "project": "p-1",
        },
        0,
    )


@pytest.mark.parametrize(
    ("body", "tags", "dropped"),
    [
        (b'["feature:chat","nightly"]', {"feature": "chat", "nightly": "true"}, 0),
        (b'{"feature":"chat","n":1.5}', {"feature": "chat", "n": "1.5"}, 0),
        (b'["a:b",5,null,["c"]]', {"a": "b"}, 3),
        (b'{"a":{"b":1},"c":null,"d":[]}', {}, 3),
        (b'"feature:chat"', {}, 1),
        (b"null", {}, 0),
        (b"[" * 100_000, {}, 1),
        (b"[" * 10_000, {}, 1),
        (b'{"a":"\xff"}', {}, 1),
        (b'{"a":"' + b"x" * 20_000 + b'"}', {}, 1),
    ],
)
def test_tags_of_a_body(body: bytes, tags: dict[str, str], dropped: int) -> None:
    assert read([], body) == Tags(tags, dropped)


def test_the_more_specific_place_wins() -> None:
    headers = fields(x_tollkeeper_tags="a=own", x_litellm_tags="a:litellm,b:litellm")
    found = read(
        headers,
        b'{"a":"body","b":"body","c":"body"}',
        b'{"c":"later","d":"later"}',
        defaults={"a": "key", "b": "key", "c": "key", "d": "key", "e": "key"},
    )
    assert found == Tags({"a": "own", "b": "litellm", "c": "body", "d": "later", "e": "key"}, 0)


def test_without_tags_the_defaults_are_given_as_they_are() -> None:
    defaults = {"team": "core"}
    assert read(fields(User_Agent="x"), defaults=defaults).values is defaults


@pytest.mark.parametrize(
    "tag",
    [
        {"a b": "x"},
        {"": "x"},
        {"a" * 65: "x"},
        {"é": "x"},
        {"a\n": "x"},
        {"a": "x" * 257},
        {"a": ""},
        {"a": "x\ny"},
        {"a": "x\0"},
        {"a": "x\u2028y"},
        {"a": "\u202ex"},
    ],
)
def test_a_bad_tag_is_dropped_and_counted(tag: dict[str, str]) -> None:
    text = json.dumps({**tag, "ok": "1"})
    assert read([], text.encode()) == Tags({"ok": "1"}, 1)
    assert read(fields(x_tollkeeper_tags=text)) == Tags({"ok": "1"}, 1)


def test_there_is_a_limit_and_the_keys_own_tags_are_safe_from_it() -> None:
    many = json.dumps({f"k{number}": "x" for number in range(100)}).encode()
    found = read([], many, defaults={"team": "core", "k99": "default"})
    assert len(found.values) == TAGS_MAX
    assert found.values["team"] == "core"
    assert found.values["k99"] == "x"
    assert found.dropped == 100 - 1 - (TAGS_MAX - 2)


@given(st.binary(max_size=60))
def test_no_body_stops_a_call(text: bytes) -> None:
    for value in read([], text).values.values():
        assert value.isprintable()


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_no_header_of_others_stops_a_call(text: str) -> None:
    headers = [(b"x-litellm-tags", text.encode()), (b"Helicone-Property-X", text.encode())]
    for key, value in read(headers).values.items():
        assert key.isascii()
        assert value.isprintable()


def test_whom_a_call_is_for() -> None:
    headers = fields(helicone_user_id="d", x_litellm_end_user_id="c")
    assert end_customer(lookup(headers), "body") == "c"
    headers += fields(x_litellm_customer_id="b", x_tollkeeper_user="a")
    assert end_customer(lookup(headers), "body") == "a"
    assert end_customer(lookup([]), "body") == "body"
    assert end_customer(lookup(fields(x_tollkeeper_user="a\x01")), "body") == "body"


def test_a_named_session() -> None:
    assert named_session(lookup(fields(x_tollkeeper_session=" s-1 "))) == "s-1"
    assert named_session(lookup(fields(helicone_session_id="s-2"))) == "s-2"
    assert named_session(lookup(fields(x_tollkeeper_session="x" * 200))) == ""
    assert named_session(lookup([])) == ""
