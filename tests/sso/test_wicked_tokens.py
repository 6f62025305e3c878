"""W10: what a wicked, broken or foreign provider sends signs nobody in."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import Key

from sso_desk import Desk
from stores import MINUTE, SECOND
from tollkeeper.domain.errors import UpstreamFailed
from tollkeeper.domain.oidc import SignInRefused
from tollkeeper.sso import id_token
from wicked_provider import (
    CLIENT_ID,
    EC,
    ED,
    OTHER_RSA,
    RSA,
    WEAK_RSA,
    WickedProvider,
    as_secret,
    half,
)


def refused(desk: Desk, **claims: Any) -> SignInRefused:
    """Fail to sign in; nobody may be there afterwards, and no session."""
    with pytest.raises(SignInRefused) as caught:
        desk.sign_in(**claims)
    assert desk.store.users() == []
    assert desk.store.identities() == []
    return caught.value


@pytest.mark.parametrize(
    ("algorithm", "key"), [("RS256", RSA), ("PS256", RSA), ("ES256", EC), ("EdDSA", ED)]
)
def test_each_allowed_algorithm_signs_in(desk: Desk, algorithm: str, key: Key) -> None:
    desk.wicked.keys = {"k1": key}
    desk.wicked.algorithm, desk.wicked.signing = algorithm, key
    user = desk.sign_in()
    assert (user.email, user.name, user.role) == ("newcomer@acme.com", "New Comer", "member")


@pytest.mark.parametrize(
    ("algorithm", "key", "reason"),
    [
        ("none", RSA, "algorithm 'none'"),
        ("None", RSA, "algorithm 'None'"),
        ("HS256", as_secret(RSA), "algorithm 'HS256'"),
        ("RS512", RSA, "algorithm 'RS512'"),
        ("RS256", OTHER_RSA, "the signature is not good"),
        ("PS256", OTHER_RSA, "the signature is not good"),
        ("ES256", EC, "no key of the provider's"),
        ("EdDSA", ED, "no key of the provider's"),
    ],
)
def test_a_signature_that_proves_nothing(
    desk: Desk, algorithm: str, key: Key | bytes, reason: str
) -> None:
    desk.wicked.algorithm, desk.wicked.signing = algorithm, key
    if algorithm == "None":
        desk.wicked.token = lambda token: with_header(token, alg="None")
        desk.wicked.algorithm = "none"
    error = refused(desk)
    assert error.code == "sign_in_not_verified"
    assert reason in error.reason
    assert reason not in error.message


def with_header(token: str, **changes: str) -> str:
    head, _, rest = token.partition(".")
    header = json.loads(urlsafe_b64decode(head + "=="))
    return f"{half(json.dumps(header | changes).encode())}.{rest}"


@pytest.mark.parametrize("claimed", ["RS256", "HS256", "none", "ES256"])
def test_a_header_that_was_changed_after_signing(desk: Desk, claimed: str) -> None:
    desk.wicked.algorithm = "PS256"
    desk.wicked.token = lambda token: with_header(token, alg=claimed)
    assert refused(desk).code == "sign_in_not_verified"


def test_a_key_that_is_too_short_is_none(desk: Desk) -> None:
    desk.wicked.keys, desk.wicked.signing = {"k1": WEAK_RSA}, WEAK_RSA
    with pytest.raises(UpstreamFailed):
        desk.sign_in()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "aud"),
        ({"aud": ["another"]}, "aud"),
        ({"aud": [CLIENT_ID, 7]}, "aud"),
        ({"aud": [CLIENT_ID, "another"]}, "azp"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": ["https://evil.example"]}, "iss"),
        ({"nonce": "of somebody else"}, "nonce"),
        ({"nonce": 7}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
        ({"at_hash": ""}, "at_hash"),
        ({"sub": ""}, "subject"),
        ({"sub": 7}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"exp": "soon"}, "exp"),
        ({"exp": True}, "exp"),
        ({"iat": None}, "iat"),
        ({"nbf": "soon"}, "nbf"),
    ],
    ids=str,
)
def test_a_claim_that_is_not_ours(desk: Desk, changes: dict[str, Any], reason: str) -> None:
    error = refused(desk, **changes)
    assert error.code == "sign_in_not_verified"
    assert reason in error.reason


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "nonce", "sub"])
def test_a_claim_that_is_left_out(desk: Desk, name: str) -> None:
    desk.wicked.left_out = (name,)
    assert refused(desk).code == "sign_in_not_verified"


@pytest.mark.parametrize(
    ("name", "offset_s", "is_good"),
    [
        ("exp", -61, False),
        ("exp", -59, True),
        ("iat", 61, False),
        ("iat", 59, True),
        ("iat", -661, False),
        ("iat", -659, True),
        ("nbf", 61, False),
        ("nbf", 59, True),
    ],
)
def test_clocks_may_differ_by_a_minute(desk: Desk, name: str, offset_s: int, is_good: bool) -> None:
    claims = {name: desk.now_us // SECOND + offset_s}
    if is_good:
        desk.sign_in(**claims)
    else:
        refused(desk, **claims)


@pytest.mark.parametrize(
    "header",
    [{"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"crit": ["exp"]}, {"kid": 7}, {"kid": ["k1"]}],
    ids=str,
)
def test_a_token_of_another_kind(desk: Desk, header: dict[str, Any]) -> None:
    desk.wicked.token = lambda token: with_header(token, **header)
    assert refused(desk).code == "sign_in_not_verified"


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-4] + "AAAA",
        lambda token: token + ".",
        lambda token: token.rpartition(".")[0],
        lambda token: "a.b.c",
        lambda token: "." * 2,
        lambda token: "é.é.é",
        lambda token: token + "A" * (64 << 10),
    ],
)
def test_a_token_that_is_none(desk: Desk, change: Callable[[str], str]) -> None:
    desk.wicked.token = change
    assert refused(desk).code == "sign_in_not_verified"


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_any_text_as_a_header_is_refused_in_words(head: str) -> None:
    with pytest.raises(id_token.TokenRejected):
        header = id_token._header(f"{head}.e30.e30")
        raise id_token.TokenRejected(str(header))


# ------------------------------------------------------------------ keys


def test_made_up_key_ids_do_not_flood_the_provider(desk: Desk, wicked: WickedProvider) -> None:
    desk.sign_in()
    assert wicked.asked["/realm/keys"] == 1
    for number in range(20):
        wicked.header = {"kid": f"made-up-{number}"}
        with pytest.raises(SignInRefused):
            desk.sign_in()
    assert wicked.asked["/realm/keys"] == 1
    desk.now_s += 31
    for number in range(20):
        wicked.header = {"kid": f"other-{number}"}
        with pytest.raises(SignInRefused):
            desk.sign_in()
    assert wicked.asked["/realm/keys"] == 2


def test_keys_that_were_exchanged_are_found(desk: Desk, wicked: WickedProvider) -> None:
    desk.sign_in()
    wicked.keys, wicked.signing = {"k2": OTHER_RSA}, OTHER_RSA
    wicked.header = {"kid": "k2"}
    with pytest.raises(SignInRefused):
        desk.sign_in()
    desk.now_s += 31
    assert desk.sign_in().email == "newcomer@acme.com"
    wicked.header, wicked.signing = {"kid": "k1"}, RSA  # the old one is over
    desk.now_s += 31
    with pytest.raises(SignInRefused):
        desk.sign_in()


def test_keys_that_cannot_be_had_again_are_over(desk: Desk, wicked: WickedProvider) -> None:
    desk.sign_in()
    desk.now_s += 3_601
    wicked.answers["/realm/keys"] = (500, {})
    for _ in range(3):
        with pytest.raises(UpstreamFailed):
            desk.sign_in()
    assert wicked.asked["/realm/keys"] == 2
    wicked.answers.clear()
    desk.now_s += 6
    assert desk.sign_in()


def test_a_key_without_an_id_is_found_by_its_algorithm(desk: Desk, wicked: WickedProvider) -> None:
    wicked.keys = {"k0": OTHER_RSA, "k1": RSA, "k2": EC}
    wicked.token = lambda token: token
    wicked.header = {"kid": ""}
    assert desk.sign_in()


def test_keys_for_other_uses_sign_nothing(desk: Desk, wicked: WickedProvider) -> None:
    public = RSA.as_dict(private=False)
    wicked.answers["/realm/keys"] = (
        200,
        {
            "keys": [
                {**public, "kid": "k1", "use": "enc"},
                {**public, "kid": "k1", "use": "sig", "alg": "RS512"},
                {"kty": "oct", "k": "AAAA", "kid": "k1", "alg": "HS256"},
                {"kty": "RSA", "kid": "k1"},
                "nonsense",
                {**OTHER_RSA.as_dict(private=False), "kid": "k2"},
            ]
        },
    )
    assert refused(desk).code == "sign_in_not_verified"


@pytest.mark.parametrize("endpoint", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize(
    "inside", ["https://169.254.169.254/x", "https://10.0.0.1/x", "http://x.y/"]
)
def test_a_description_leads_to_nothing_inside(
    desk: Desk, wicked: WickedProvider, endpoint: str, inside: str
) -> None:
    wicked.metadata = {endpoint: inside}
    with pytest.raises(UpstreamFailed):
        desk.sign_in()
    assert desk.store.users() == []
    assert set(wicked.asked) == {"/realm/.well-known/openid-configuration"}


def test_a_provider_that_fails_is_not_asked_at_every_knock(
    desk: Desk, wicked: WickedProvider
) -> None:
    wicked.answers["/realm/.well-known/openid-configuration"] = (500, {})
    for _ in range(5):
        with pytest.raises(UpstreamFailed):
            desk.begin()
    assert wicked.asked["/realm/.well-known/openid-configuration"] == 1
    wicked.answers.clear()
    desk.now_s += 6
    assert desk.begin()


# ------------------------------------------------------------------ two people


def test_two_tokens_that_begin_alike_are_two_people(desk: Desk, wicked: WickedProvider) -> None:
    seen: list[str] = []

    def note(token: str) -> str:
        seen.append(token)
        return token

    wicked.token = note
    one = desk.sign_in(sub="s-1", email="one@acme.com")
    two = desk.sign_in(sub="s-2", email="two@acme.com")
    assert seen[0][:20] == seen[1][:20]
    assert (one.email, two.email) == ("one@acme.com", "two@acme.com")
    assert desk.sign_in(sub="s-1", email="two@acme.com").user_id == one.user_id


def test_a_sign_in_takes_ten_minutes_at_most(desk: Desk, wicked: WickedProvider) -> None:
    begun = desk.begin()
    query = wicked.code_for(begun.address)
    desk.now_us += 10 * MINUTE
    with pytest.raises(SignInRefused, match="over") as caught:
        desk.finish(begun.carried, query)
    assert caught.value.code == "sign_in_over"
