"""A certified OpenID provider: people sign in at it, by all that it can be set to."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from certified_provider import CLIENT_ID, CLIENT_SECRET, Person, certified_provider
from sso_desk import HOME, Desk
from tollkeeper import clock
from tollkeeper.domain.access import Role
from tollkeeper.domain.oidc import GroupRule, SignInRefused

CALLBACK = f"{HOME}/login/oidc/acme/callback"
PEOPLE = {
    "alice": {
        "email": "alice@acme.com",
        "email_verified": True,
        "name": "Alice",
        "groups": ["core-leads"],
    },
    "bob": {"email": "bob@acme.com", "email_verified": False, "groups": ["core-leads"]},
    "carol": {"email": "carol@acme.com", "email_verified": True, "groups": ["others"]},
}


def at(desk: Desk, issuer: str, **changes: Any) -> None:
    desk.now_us = clock.now_us()
    given = {
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "scopes": ("openid", "email", "profile", "groups"),
        "rules": (GroupRule("core-leads", Role.LEAD, "core"),),
    }
    desk.set(**given | changes)


def returned(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


@pytest.mark.parametrize(
    ("algorithm", "method"),
    [
        ("RS256", "client_secret_basic"),
        ("PS256", "client_secret_basic"),
        ("ES256", "client_secret_basic"),
        ("RS256", "none"),
    ],
)
def test_people_come_in_as_their_groups_say(desk: Desk, algorithm: str, method: str) -> None:
    settings = {"id_token_signed_response_alg": algorithm, "token_endpoint_auth_method": method}
    with certified_provider(CALLBACK, PEOPLE, **settings) as issuer:
        at(desk, issuer, client_secret="" if method == "none" else CLIENT_SECRET)
        browser = Person()
        begun = desk.begin("/calls")
        query = returned(browser.sign_in(begun.address, "alice", until=CALLBACK))
        arrived = desk.finish(begun.carried, query)
        user = arrived.signed_in.user
        assert (user.email, user.name) == ("alice@acme.com", "Alice")
        assert (user.role, user.team, arrived.next) == (Role.LEAD, "core", "/calls")
        with pytest.raises(SignInRefused):  # a code that comes a second time
            desk.finish(begun.carried, query)

        again = desk.begin()  # the provider knows the browser now, and asks nothing
        query = returned(browser.sign_in(again.address, "nobody", until=CALLBACK))
        assert desk.finish(again.carried, query).signed_in.user.user_id == user.user_id

        for who, code in (("bob", "sign_in_email_unverified"), ("carol", "sign_in_no_role")):
            begun = desk.begin()
            query = returned(Person().sign_in(begun.address, who, until=CALLBACK))
            with pytest.raises(SignInRefused) as caught:
                desk.finish(begun.carried, query)
            assert caught.value.code == code
        assert [each.email for each in desk.store.users()] == ["alice@acme.com"]


def test_a_wrong_secret_signs_nobody_in_and_a_way_out_is_there(desk: Desk) -> None:
    with certified_provider(CALLBACK, PEOPLE) as issuer:
        at(desk, issuer, client_secret="another", signs_out=True)
        begun = desk.begin()
        query = returned(Person().sign_in(begun.address, "alice", until=CALLBACK))
        with pytest.raises(SignInRefused) as caught:
            desk.finish(begun.carried, query)
        assert "invalid_client" in caught.value.reason
        assert desk.client.farewell().startswith(f"{issuer}/session/end?")
        desk.client.examine()
