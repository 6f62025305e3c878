"""No answer to a GET gives out a secret: every route, as page, as data and as a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from consoles import Reply, RunningConsole, running_console
from loopback import HOST
from sso_desk import provider_of
from stores import DAY
from tollkeeper import clock
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.routes import ROUTES, Route
from tollkeeper.domain.access import Role
from tollkeeper.outgoing import OutsideClient
from tollkeeper.services import invitations, key_rotation, keys, scim_tokens, secrets, sign_in
from tollkeeper.services.sign_in import LINK_PATH
from tollkeeper.sso.client import ProviderClient

PROVIDER_KEY = "sk-canary-provider-7f21"
CLIENT_SECRET = "client-secret-canary-7f21"
PASSWORD = "tram window hinge 48"
READERS = ("admin", "member")
FORMATS = ("", "json", "csv")


class Secrets:
    """A console in which there is one secret of each kind, and what they are."""

    def __init__(self, console: RunningConsole) -> None:
        self.console = console
        store, vault, now_us = console.store, console.vault, console.now_us
        console.load(console.entry_of("member", call_id="call-alice"))
        secrets.set_secret(
            store, vault, "openai", "https://api.openai.com/v1", PROVIDER_KEY, now_us
        )
        rotated = key_rotation.rotate(
            *(store, vault, key_rotation.Rotation(console.virtual_key.record.key.key_id, DAY)),
            *(keys.OPERATOR, now_us),
        )
        invited = invitations.invite(
            *(store, vault, invitations.OPERATOR, "new@acme.com", Role.MEMBER, "core", now_us)
        )
        link = sign_in.make_link(store, vault, console.users["lead"], now_us)
        self.sessions = {name: console.sign_in(name) for name in READERS}
        form = {"new": PASSWORD, "again": PASSWORD}
        assert console.post("/account/password", form, console.sign_in("auditor")).status == 303
        kept = store.password(console.users["auditor"].user_id)
        assert kept is not None
        self.all = {
            "the provider's key": PROVIDER_KEY,
            "the key before its rotation": _secret(console.virtual_key.token),
            "the key": _secret(rotated.token),
            "another one's key": _secret(console.other_key.token),
            "the management key": _secret(console.admin_key.token),
            "the SCIM token": _secret(scim_tokens.make(store, vault, "okta", "root", now_us).text),
            "an invitation's link": invited.path.partition("=")[2],
            "a sign-in link": link.path.removeprefix(LINK_PATH),
            "a password": PASSWORD,
            "a password's hash": kept.encoded.rpartition("$")[2],
            "the provider's client secret": CLIENT_SECRET,
            **{
                f"the session of the {name}": session.cookie.partition("=")[2]
                for name, session in self.sessions.items()
            },
        }
        assert all(len(each) >= 12 for each in self.all.values())

    def in_answer(self, reply: Reply) -> list[str]:
        """Name the secrets that an answer has anywhere."""
        said = f"{reply.headers} {reply.cookies} {reply.text}"
        return [what for what, secret in self.all.items() if secret in said]

    def target(self, route: Route) -> str:
        users, store = self.console.users, self.console.store
        places = {
            "{call_id}": "call-alice",
            "{key_id}": self.console.virtual_key.record.key.key_id,
            "{path_key}": "none",
            "{team_id}": store.teams()[0].team_id,
            "{user_id}": users["member"].user_id,
            "{provider}": "acme",
            "{name}": "User",
            "{urn}": "urn:ietf:params:scim:schemas:core:2.0:User",
        }
        target = route.path
        for name, value in places.items():
            target = target.replace(name, value)
        return target


def _secret(token: str) -> str:
    return token.rpartition("_")[2]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secrets]:
    provider = replace(provider_of(f"https://{HOST}:9"), client_secret=CLIENT_SECRET)
    client = ProviderClient(
        provider, OutsideClient(try_s=0.2), "http://localhost:4000", clock.monotonic_s
    )
    with running_console(tmp_path_factory.mktemp("secrets"), clients=[client]) as console:
        yield Secrets(console)


@pytest.mark.parametrize("reader", READERS)
def test_no_get_gives_a_secret(planted: Secrets, reader: str) -> None:
    session, answered = planted.sessions[reader], 0
    for route in ROUTES:
        if route.method != "GET" or route.path in {"/events", "/static/{name:path}"}:
            continue
        for form in FORMATS if route.kind in {Kind.PAGE, Kind.API} else ("",):
            target = planted.target(route) + (f"?format={form}" if form else "")
            direct = route.path.startswith("/internal/")
            reply = planted.console.ask("GET", target, headers=session.headers, direct=direct)
            assert planted.in_answer(reply) == [], target
            answered += reply.status == 200
    assert answered > (60 if reader == "admin" else 40)


def test_a_secret_in_an_answer_would_be_found(planted: Secrets) -> None:
    """The answer to the form that makes a key has it, this once."""
    shown = planted.console.post("/keys", {"name": "shown"}, planted.sessions["admin"])
    (token,) = set(re.findall(r"tk_live_[A-Za-z0-9]+_[A-Za-z0-9]+", shown.text))
    planted.all["the key that was shown"] = _secret(token)
    try:
        assert planted.in_answer(shown) == ["the key that was shown"]
        after = planted.console.get("/keys", planted.sessions["admin"])
        assert planted.in_answer(after) == []
    finally:
        del planted.all["the key that was shown"]
