"""Whatever a provider signs or says: it is refused in words or read, and never believed further."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sso_desk import provider_of
from stores import NOW, SECOND
from tollkeeper.domain.oidc import OidcProvider
from tollkeeper.sso.id_token import Expected, TokenRejected, claims_of
from tollkeeper.sso.signing_keys import SigningKeys
from tollkeeper.sso.who import arrival_of, found, needs_more
from wicked_provider import CLIENT_ID, EC, signed

ISSUER = "https://sso.acme.com"
PROVIDER: OidcProvider = provider_of(ISSUER)
NOW_S = NOW // SECOND
GOOD = {
    "iss": ISSUER,
    "sub": "s-1",
    "aud": CLIENT_ID,
    "exp": NOW_S + 300,
    "iat": NOW_S,
    "nonce": "the nonce",
}
NAMES = (*GOOD, "azp", "nbf", "at_hash", "auth_time", "amr", "acr", "jti", "email", "groups")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


class OneKey(SigningKeys):
    """The keys of a provider that has one, without asking."""

    def __init__(self) -> None:
        """Take the key for known."""

    def fitting(self, url: str, key_id: str, algorithm: str) -> list[Any]:
        return [EC]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
@example({"aud": [CLIENT_ID, CLIENT_ID]})
@example({"exp": 10**400})
@example({"exp": float("inf")})
@example({"aud": {CLIENT_ID: 1}})
@example({"auth_time": {}})
def test_a_signed_token_says_all_that_it_must_or_is_refused(changes: dict[str, Any]) -> None:
    token = signed({"alg": "ES256", "kid": "k1"}, GOOD | changes, EC)
    expected = Expected(PROVIDER, "the nonce", "the access token", "", NOW)
    try:
        claims = claims_of(token, expected, OneKey())
    except TokenRejected:
        return
    assert claims["iss"] == ISSUER
    assert claims["nonce"] == "the nonce"
    assert claims["aud"] == CLIENT_ID or (
        CLIENT_ID in claims["aud"] and (set(claims["aud"]) == {CLIENT_ID} or "azp" in claims)
    )
    assert claims.get("azp", CLIENT_ID) == CLIENT_ID
    assert claims["exp"] >= NOW_S - 60
    assert abs(claims["iat"] - NOW_S) <= 660
    assert isinstance(claims["sub"], str)
    assert 0 < len(claims["sub"]) <= 255
    assert "at_hash" not in claims


SAID = st.dictionaries(
    st.sampled_from(("email", "email_verified", "name", "groups", "realm_access")), JSON
)


@settings(max_examples=40, deadline=None)
@given(SAID, SAID)
def test_only_what_a_source_says_of_its_own_address_is_believed(
    claims: dict[str, Any], userinfo: dict[str, Any]
) -> None:
    needs_more(PROVIDER, claims)
    arrival = arrival_of(PROVIDER, {"sub": "s-1", **claims}, userinfo)
    assert all(isinstance(group, str) and group for group in arrival.groups)
    if arrival.email:
        source = claims if claims.get("email") == arrival.email else userinfo
        assert source["email"] == arrival.email
        if arrival.is_verified:
            assert source["email_verified"] is True or source["email_verified"] == "true"


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON), st.text(max_size=20))
def test_any_place_of_a_claim_leads_somewhere_or_nowhere(said: dict[str, Any], place: str) -> None:
    found(said, place)
    assert found(said | {place: 1}, place) == 1
