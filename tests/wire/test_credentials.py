"""Our key in every place it may stand, the vendor's login beside it, and contradictions."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.errors import BadRequest, KeyRejected
from tollkeeper.wire.credentials import Credentials, read_credentials, require_token
from tollkeeper.wire.paths import query_without, split_path_key
from wire_requests import ADMIN_KEY, KEY, OTHER_KEY, fields, lookup

BEARER = f"Bearer {KEY}"


def read(query: str = "", path_key: str = "", provider: str = "", **named: str) -> Credentials:
    return read_credentials(lookup(fields(**named)), query, path_key, provider)


@pytest.mark.parametrize(
    ("named", "place"),
    [
        ({"Authorization": BEARER}, "authorization"),
        ({"authorization": f"bearer  {KEY} "}, "authorization"),
        ({"x_api_key": KEY}, "x-api-key"),
        ({"x_goog_api_key": KEY}, "x-goog-api-key"),
        ({"api_key": KEY}, "api-key"),
        ({"x_tollkeeper_key": KEY}, "x-tollkeeper-key"),
    ],
)
def test_our_key_is_found_in_each_header(named: dict[str, str], place: str) -> None:
    found = read(**named)
    assert (found.key, found.place, found.vendor_login) == (KEY, place, False)
    assert require_token(found).key_id == "Abcd1234"
    assert {b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"} < found.headers_dropped


SCOPE = "20261127/us-east-1/bedrock/aws4_request"
SIGNATURE = f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


@pytest.mark.parametrize("between", [", ", ","])
@pytest.mark.parametrize("first", [True, False])
def test_our_key_is_found_as_the_access_key_of_a_signature(between: str, first: bool) -> None:
    credential = f"Credential={KEY}/{SCOPE}"
    parts = (credential, SIGNATURE) if first else (SIGNATURE, credential)
    found = read(Authorization=f"AWS4-HMAC-SHA256 {between.join(parts)}")
    assert (found.key, found.place, found.vendor_login) == (KEY, "authorization", False)
    assert require_token(found).key_id == "Abcd1234"
    assert b"authorization" in found.headers_dropped


@pytest.mark.parametrize("beside", [{}, {"x_api_key": KEY}, {"x_tollkeeper_key": KEY}])
def test_a_signature_by_amazons_own_key_is_no_login_and_goes_nowhere(
    beside: dict[str, str],
) -> None:
    signed = f"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/{SCOPE}, {SIGNATURE}"
    found = read(Authorization=signed, **beside)
    assert (found.key, found.vendor_login) == (KEY if beside else "", False)
    assert b"authorization" in found.headers_dropped


def test_a_bearer_of_the_callers_own_beside_our_key_is_a_login() -> None:
    found = read(Authorization="Bearer ABSKtheirs", x_tollkeeper_key=KEY)
    assert found.vendor_login
    assert b"authorization" not in found.headers_dropped


@pytest.mark.parametrize(
    "value",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=",
        f"AWS4-HMAC-SHA256 Credential={KEY}",
        f"AWS4-HMAC-SHA256 SignedHeaders=Credential={KEY}/",
        "AWS4-ECDSA-P256-SHA256 " + ", " * 4_000,
    ],
)
def test_a_signature_that_names_no_key_of_ours_is_none(value: str) -> None:
    assert read(Authorization=value).key == ""


def test_our_key_is_found_in_the_query_and_never_passed_on() -> None:
    query = f"alt=sse&key={KEY}&x=1"
    found = read(query)
    assert (found.key, found.place) == (KEY, "the query")
    assert query_without(query, found.query_dropped) == "alt=sse&x=1"


@pytest.mark.parametrize("name", ["%6bey", "k%65y"])
def test_a_disguised_query_parameter_is_dropped_too(name: str) -> None:
    query = f"{name}={KEY.replace('_', '%5f')}&alt=sse"
    found = read(query)
    assert found.key == KEY
    assert query_without(query, found.query_dropped) == "alt=sse"


def test_our_key_in_any_other_parameter_is_not_passed_on() -> None:
    found = read(f"token={KEY}", Authorization=BEARER)
    assert found.query_dropped == {"token"}


def test_our_key_in_front_of_the_path() -> None:
    key, rest = split_path_key(f"/k/{KEY}/v1/responses")
    assert (key, rest) == (KEY, "/v1/responses")
    assert read(path_key=key).place == "path"
    assert split_path_key("/v1/responses") == ("", "/v1/responses")
    assert split_path_key("/k/abc") == ("abc", "")


def test_the_same_key_in_two_places_is_one_key() -> None:
    # Gemini CLI sends its key as a bearer and as x-goog-api-key.
    found = read(Authorization=BEARER, x_goog_api_key=KEY)
    assert (found.key, found.vendor_login) == (KEY, False)
    assert not read(x_tollkeeper_key=KEY, Authorization=BEARER).vendor_login


@pytest.mark.parametrize(
    "named",
    [
        {"x_tollkeeper_key": KEY, "Authorization": f"Bearer {OTHER_KEY}"},
        {"x_tollkeeper_key": KEY, "x_api_key": ADMIN_KEY},
        {"Authorization": BEARER, "x_api_key": OTHER_KEY},
    ],
)
def test_two_different_keys_are_refused(named: dict[str, str]) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**named)
    assert caught.value.code == "two_keys"
    assert KEY not in caught.value.message


def test_two_different_keys_by_path_or_query_are_refused() -> None:
    for query, path_key, named in (
        ("", OTHER_KEY, {"x_tollkeeper_key": KEY}),
        (f"key={OTHER_KEY}", KEY, {}),
        (f"key={OTHER_KEY}", "", {"Authorization": BEARER}),
    ):
        with pytest.raises(BadRequest):
            read(query, path_key, **named)
    with pytest.raises(BadRequest, match="twice"):
        read(f"key={KEY}&key={OTHER_KEY}")


def test_a_vendors_credential_beside_ours_must_be_made_clear() -> None:
    with pytest.raises(BadRequest) as caught:
        read(Authorization="Bearer sk-ant-oat01-abc", x_api_key=KEY)
    assert caught.value.code == "credentials_unclear"
    assert "x-tollkeeper-key" in caught.value.message


@pytest.mark.parametrize(
    ("named", "provider", "flat_rate"),
    [
        ({"Authorization": "Bearer sk-ant-oat01-credfile"}, "", "anthropic"),
        ({"Authorization": "Bearer sk-ant-api03-own"}, "", ""),
        ({"x_api_key": "sk-ant-api03-own"}, "", ""),
        ({"Authorization": "Bearer eyJhbGci", "chatgpt_account_id": "acct-1"}, "", "chatgpt"),
        ({"Authorization": "Bearer ya29.x"}, "code-assist", "code-assist"),
        ({"Authorization": "Bearer ya29.x"}, "", ""),
        ({"Authorization": "Bearer eyJhbGci"}, "kimi-code", "kimi-code"),
        ({"Authorization": "Bearer sk-proj-own"}, "", ""),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, "", ""),
        ({"x_goog_api_key": "AIzaOwn"}, "", ""),
    ],
)
def test_a_login_travels_beside_our_own_header(
    named: dict[str, str], provider: str, flat_rate: str
) -> None:
    for path_key, ours in (("", {"x_tollkeeper_key": KEY}), (KEY, {})):
        found = read("", path_key, provider, **named, **ours)
        assert found.vendor_login
        assert found.flat_rate == flat_rate
        assert found.key == KEY
        assert found.headers_dropped == {b"x-tollkeeper-key"}


def test_a_login_in_the_query_travels_too() -> None:
    found = read("key=AIzaOwn", x_tollkeeper_key=KEY)
    assert found.vendor_login
    assert not found.query_dropped


def test_our_key_in_a_vendors_place_is_dropped_even_beside_a_login() -> None:
    found = read(x_tollkeeper_key=KEY, x_api_key=KEY, Authorization="Bearer sk-ant-oat01-x")
    assert found.vendor_login
    assert b"x-api-key" in found.headers_dropped
    assert b"authorization" not in found.headers_dropped


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({}, "key_missing"),
        ({"Cookie": f"key={KEY}"}, "key_missing"),
        (
            {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()},
            "key_missing",
        ),
        ({"Authorization": KEY}, "key_missing"),
        ({"Authorization": "Bearer "}, "key_missing"),
        ({"Authorization": "Bearer sk-proj-abc"}, "key_unknown"),
        ({"Authorization": "Bearer ' OR '1'='1"}, "key_unknown"),
        ({"Authorization": f"Bearer {KEY[:-1]}"}, "key_malformed"),
        ({"Authorization": f"Bearer {KEY}x"}, "key_malformed"),
        ({"x_api_key": "tk_live_"}, "key_malformed"),
    ],
)
def test_what_is_no_key_is_rejected_without_a_look_up(named: dict[str, str], code: str) -> None:
    with pytest.raises(KeyRejected) as caught:
        require_token(read(**named))
    assert caught.value.code == code
    for value in named.values():
        assert value == "Bearer " or value not in caught.value.message


def test_an_admin_key_says_what_it_is() -> None:
    assert require_token(read(Authorization=f"Bearer {ADMIN_KEY}")).kind is KeyKind.ADMIN


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["key", "alt", "a", "%6bey", "api-version"]),
            st.sampled_from([KEY, "sse", "", "x%20y", "1"]),
        ),
        max_size=5,
    )
)
def test_our_key_never_stays_in_a_query(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    try:
        found = read(query)
    except BadRequest:
        return
    kept = query_without(query, found.query_dropped)
    assert "tk_live_" not in kept
    assert [part for part in kept.split("&") if part] == [
        part
        for part, (name, value) in zip(query.split("&"), pairs, strict=False)
        if name not in {"key", "%6bey"}
        and value != KEY
        and not any(other == name and text == KEY for other, text in pairs)
    ]
