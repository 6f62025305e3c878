"""Single sign-on as a browser sees it: cookies, redirects, refusals, and who is let through."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consoles import Reply, RunningConsole, running_console
from loopback import HOST
from sso_desk import provider_of
from stores import HOUR, NOW, SECOND
from tollkeeper import clock
from tollkeeper.domain.access import Role
from tollkeeper.domain.audit import Action, AuditQuestion
from tollkeeper.domain.oidc import GroupRule, OidcProvider
from tollkeeper.outgoing import OutsideClient
from tollkeeper.services import people
from tollkeeper.sso.client import ProviderClient
from wicked_provider import WickedProvider

PUBLIC = "http://localhost:4000"
START = "/login/oidc/acme"
CALLBACK = f"{START}/callback"


@pytest.fixture(scope="module")
def wicked() -> Iterator[WickedProvider]:
    with WickedProvider().running() as made:
        made.now_s = NOW // SECOND
        yield made


@pytest.fixture(autouse=True)
def _sound(request: pytest.FixtureRequest) -> None:
    """Let the provider be as it should be again."""
    wicked: WickedProvider = request.getfixturevalue("wicked")
    wicked.claims, wicked.left_out = {}, ()
    wicked.answers.clear()


@pytest.fixture(scope="module")
def console(
    tmp_path_factory: pytest.TempPathFactory, wicked: WickedProvider
) -> Iterator[RunningConsole]:
    with signing_on(tmp_path_factory.mktemp("sso"), [provider_of(wicked.issuer)]) as made:
        yield made


@contextmanager
def signing_on(
    folder: Path, providers: Sequence[OidcProvider], public_url: str = PUBLIC
) -> Iterator[RunningConsole]:
    clients = [
        ProviderClient(
            each,
            OutsideClient(named=each.private_hosts, try_s=2.0),
            public_url,
            clock.monotonic_s,
        )
        for each in providers
    ]
    with running_console(folder, clients=clients, public_url=public_url) as made:
        yield made


def go(
    console: RunningConsole,
    wicked: WickedProvider,
    after: str = "",
    cookie: str = "",
    **claims: Any,
) -> Reply:
    """Go to the provider and come back; ``cookie`` is one that the browser has already."""
    begun = console.get(START + (f"?next={after}" if after else ""))
    assert begun.status == 303
    query = wicked.code_for(begun.header("location"), **claims)
    carried = begun.cookies[0].partition(";")[0]
    sent = f"{cookie}; {carried}" if cookie else carried
    return console.get(f"{CALLBACK}?code={query['code']}&state={query['state']}", cookie=sent)


def test_a_browser_goes_there_and_comes_back_signed_in(
    console: RunningConsole, wicked: WickedProvider
) -> None:
    begun = console.get(START)
    assert begun.header("location").startswith(f"{wicked.issuer}/authorize?response_type=code&")
    assert "redirect_uri=http%3A%2F%2Flocalhost%3A4000%2Flogin%2Foidc%2Facme%2Fcallback" in (
        begun.header("location")
    )
    assert begun.header("cache-control") == "private, no-store"
    (carrier,) = begun.cookies
    assert carrier.startswith("tollkeeper-sign-in=")
    for attribute in ("HttpOnly", "SameSite=lax", "Max-Age=600", "Path=/"):
        assert attribute in carrier

    reply = go(console, wicked, "/calls?x=1")
    assert (reply.status, reply.header("location")) == (303, "/calls?x=1")
    session, taken = reply.cookies
    assert 'tollkeeper-sign-in=""' in taken
    assert "HttpOnly" in session
    me = console.get("/me?format=json", cookie=session.partition(";")[0])
    assert me.status == 200
    user = people.find_user(console.store, "newcomer@acme.com")
    assert (user.name, user.role) == ("New Comer", Role.MEMBER)


def test_over_https_cookies_are_of_this_host_alone(tmp_path: Path, wicked: WickedProvider) -> None:
    with signing_on(tmp_path, [provider_of(wicked.issuer)], "https://tk.acme.com") as console:
        (carrier,) = console.get(START).cookies
        assert carrier.startswith("__Host-tollkeeper-sign-in=")
        for attribute in ("Secure", "HttpOnly", "Path=/"):
            assert attribute in carrier
        assert "Domain" not in carrier
        assert go(console, wicked).cookies[0].startswith("__Host-tollkeeper=")


@pytest.mark.parametrize(
    "after",
    [
        *("//evil.example", "/%5Cevil.example", "%5C%5Cevil", "https://evil.example"),
        *(
            "javascript:alert(1)",
            "/%09/evil.example",
            "/%0d%0aSet-Cookie:%20a=b",
            "evil",
            "%2F%2Fe",
        ),
    ],
)
def test_nobody_is_led_elsewhere_afterwards(
    console: RunningConsole, wicked: WickedProvider, after: str
) -> None:
    assert go(console, wicked, after).header("location") == "/"


def test_the_session_before_ends(console: RunningConsole, wicked: WickedProvider) -> None:
    before = console.sign_in("member")
    reply = go(console, wicked, cookie=before.cookie)
    assert reply.status == 303
    assert console.get("/me?format=json", before).status == 401
    assert before.cookie not in reply.cookies[0]


def test_what_somebody_lost_there_ends_here_within_hours(
    tmp_path: Path, wicked: WickedProvider
) -> None:
    """The session is in use all the time; its end is what leads back to the provider."""
    rules = (GroupRule("engineers", Role.LEAD, "core"),)
    provider = replace(provider_of(wicked.issuer), rules=rules, session_h=4)
    with signing_on(tmp_path, [provider]) as console:
        cookie = go(console, wicked, groups=["engineers"]).cookies[0]
        assert "Max-Age=14400;" in cookie
        session = cookie.partition(";")[0]
        for hour in range(4):
            console.now_us = NOW + hour * HOUR
            assert console.get("/api/v1/users", cookie=session).status == 200, hour
        console.now_us = NOW + 4 * HOUR
        assert console.get("/api/v1/users", cookie=session).status == 401
        wicked.now_s = console.now_us // SECOND
        try:
            assert go(console, wicked, groups=["strangers"]).status == 403
        finally:
            wicked.now_s = NOW // SECOND


def test_a_link_that_somebody_else_made_signs_nobody_in(
    console: RunningConsole, wicked: WickedProvider
) -> None:
    """Login CSRF: the attacker's code and state, in a browser that began nothing."""
    query = wicked.code_for(console.get(START).header("location"))
    target = f"{CALLBACK}?code={query['code']}&state={query['state']}"
    for cookie in ("", console.get(START).cookies[0].partition(";")[0]):
        reply = console.get(target, **({"cookie": cookie} if cookie else {}))
        assert reply.status == 403
        assert reply.cookies == []
        assert "begun in another browser" in reply.text


def test_who_is_refused_reads_why_and_what_to_do(
    console: RunningConsole, wicked: WickedProvider
) -> None:
    wicked.left_out = ("email_verified",)
    reply = go(console, wicked, sub="s-unverified", email="unverified@acme.com")
    assert reply.status == 403
    assert "You are not signed in" in reply.text
    assert "Acme does not vouch for your e-mail address." in reply.text
    assert "Confirm your address at the provider." in reply.text
    assert not any(cookie.startswith("tollkeeper=") for cookie in reply.cookies)
    console.console.failed_sign_ins.record(console.store)
    (entry, *_) = console.store.audit(AuditQuestion(action=Action.SIGN_IN_FAILED))
    assert "sign_in_email_unverified" in entry.data["failures"]


def test_what_somebody_brings_about_stands_in_the_audit_log(
    console: RunningConsole, wicked: WickedProvider
) -> None:
    assert go(console, wicked, sub="s-logged", email="logged@acme.com").status == 303
    user = people.find_user(console.store, "logged@acme.com")
    entries = console.store.audit(AuditQuestion(actor="acme"))
    actions = [each.action for each in entries if user.user_id in {each.target_id, *_ids(each)}]
    assert Action.USER_ADD in actions
    assert Action.IDENTITY_ADD in actions


def _ids(entry: object) -> set[str]:
    return {str(value) for value in getattr(entry, "data", {}).values()}


def test_a_provider_that_there_is_not(console: RunningConsole) -> None:
    for path in ("/login/oidc/other", "/login/oidc/other/callback?code=x&state=y"):
        assert console.get(path).status == 404


def test_a_provider_that_is_down_is_named(tmp_path: Path) -> None:
    with closing(socket.create_server((HOST, 0))) as closed:
        port = closed.getsockname()[1]
    with signing_on(tmp_path, [provider_of(f"http://{HOST}:{port}")]) as console:
        reply = console.get(START)
    assert reply.status == 502
    assert "Acme cannot be reached or does not answer as it should." in reply.text
    assert str(port) not in reply.text


def test_a_provider_that_never_answers_keeps_no_page_waiting(tmp_path: Path) -> None:
    with closing(socket.create_server((HOST, 0), backlog=64)) as silent:
        provider = provider_of(f"http://{HOST}:{silent.getsockname()[1]}")
        with signing_on(tmp_path, [provider]) as console:
            statuses: list[int] = []
            waiting = [
                threading.Thread(target=lambda: statuses.append(console.get(START).status))
                for _ in range(20)
            ]
            for thread in waiting:
                thread.start()
            assert console.get("/login").status == 200
            assert not statuses  # all of them were still waiting
            for thread in waiting:
                thread.join()
    assert statuses == [502] * 20


def test_guessing_is_slowed_down(tmp_path: Path, wicked: WickedProvider) -> None:
    with signing_on(tmp_path, [provider_of(wicked.issuer)]) as console:
        statuses = [console.get(f"{CALLBACK}?code=x&state=y").status for _ in range(12)]
        assert statuses[:10] == [403] * 10
        assert statuses[10:] == [429, 429]
        assert console.get(START).status == 429


def test_signing_out_there_too_is_offered_where_it_is_wanted(
    tmp_path: Path, wicked: WickedProvider
) -> None:
    wicked.metadata = {"end_session_endpoint": f"{wicked.issuer}/out"}
    provider = provider_of(wicked.issuer)
    try:
        with signing_on(tmp_path / "no", [provider]) as console:
            assert console.get(f"{START}/logout").status == 404
        with signing_on(tmp_path / "yes", [replace(provider, signs_out=True)]) as console:
            reply = console.get(f"{START}/logout")
            assert reply.status == 303
            assert reply.header("location").startswith(f"{wicked.issuer}/out?client_id=")
    finally:
        wicked.metadata = {}


def test_what_is_given_twice_is_refused(console: RunningConsole) -> None:
    assert console.get(f"{CALLBACK}?state=a&state=b&code=c").status == 422


def test_a_label_is_text(tmp_path: Path, wicked: WickedProvider) -> None:
    hostile = replace(provider_of(wicked.issuer), label="<img src=x onerror=alert(1)>")
    with signing_on(tmp_path, [hostile]) as console:
        wicked.answers["/realm/.well-known/openid-configuration"] = (500, {})
        text = console.get(START).text
    assert "&lt;img" in text
    assert "<img src=x" not in text
