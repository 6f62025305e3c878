"""Signing in and out: links that work once, sessions that end, forms of other sites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consoles import RunningConsole, Session, running_console
from stores import DAY, HOUR, MINUTE
from tollkeeper.console.access import FORM_HEADER, form_token
from tollkeeper.console.attempts import FAILURES_MAX
from tollkeeper.domain.access import Role
from tollkeeper.services import people, sign_in

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path) as made:
        yield made


def link_of(console: RunningConsole, who: str) -> str:
    """Make a link and give its token."""
    made = sign_in.make_link(console.store, console.vault, console.users[who], console.now_us)
    return made.path.removeprefix(sign_in.LINK_PATH)


def is_in(console: RunningConsole, session: Session) -> bool:
    """Tell whether a session opens a page and the API alike."""
    page, data = console.get("/calls/none", session), console.get("/api/v1/users", session)
    assert (page.status == 404) == (data.status == 200)
    return data.status == 200


# ------------------------------------------------------------------ links


def test_opening_a_link_spends_nothing(fresh: RunningConsole) -> None:
    token = link_of(fresh, "member")
    for method in ("GET", "HEAD", "GET"):
        assert fresh.send(method, f"/login?token={token}").status == 200
    assert fresh.post("/login", {"token": token}).status == 303


def test_a_link_works_once(fresh: RunningConsole) -> None:
    token = link_of(fresh, "member")
    assert fresh.post("/login", {"token": token}).status == 303
    again = fresh.post("/login", {"token": token})
    assert again.status == 401
    assert again.cookies == []


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "\0" * 43, "\ud800" * 3, "x" * 5_000])
def test_what_is_no_link_opens_nothing(fresh: RunningConsole, token: str) -> None:
    reply = fresh.post("/login", {"token": token.encode("utf-8", "replace").decode()})
    assert reply.status == 401
    assert reply.cookies == []


def test_a_link_lasts_a_quarter_of_an_hour(fresh: RunningConsole) -> None:
    token = link_of(fresh, "member")
    fresh.now_us += 15 * MINUTE
    assert fresh.post("/login", {"token": token}).status == 401


def test_a_link_of_somebody_who_was_switched_off_opens_nothing(fresh: RunningConsole) -> None:
    token = link_of(fresh, "member")
    people.deactivate_user(fresh.store, "alice@acme.com", fresh.now_us)
    assert fresh.post("/login", {"token": token}).status == 401


def test_guessing_is_slowed_down_for_an_address(fresh: RunningConsole) -> None:
    for _ in range(FAILURES_MAX):
        assert fresh.post("/login", {"token": "x" * 43}).status == 401
    slowed = fresh.post("/login", {"token": link_of(fresh, "member")})
    assert slowed.status == 429
    assert int(slowed.header("retry-after")) > 0
    elsewhere = FORM | {"x-forwarded-for": "198.51.100.7"}
    body = f"token={link_of(fresh, 'member')}".encode()
    assert fresh.ask("POST", "/login", headers=elsewhere, body=body).status == 303


def test_signing_in_goes_on_to_a_page_of_ours_alone(fresh: RunningConsole) -> None:
    for wanted, goes_to in (
        ("/calls?filter=team:core", "/calls?filter=team:core"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/%09/evil", "/%09/evil"),
        (" //evil.example", "/"),
        ("/a\r\nset-cookie: x=1", "/"),
        ("/ü", "/"),
        ("", "/"),
    ):
        token = link_of(fresh, "member")
        reply = fresh.post("/login", {"token": token, "next": wanted})
        assert (reply.status, reply.header("location")) == (303, goes_to), wanted


# ------------------------------------------------------------------ sessions


def test_the_cookie_is_for_this_host_and_no_script(fresh: RunningConsole) -> None:
    reply = fresh.post("/login", {"token": link_of(fresh, "member")})
    (cookie,) = reply.cookies
    name, _, attributes = cookie.partition(";")
    assert name.startswith("tollkeeper=")
    words = {word.strip().lower() for word in attributes.split(";")}
    assert {"httponly", "path=/", "samesite=lax", "max-age=604800"} <= words
    assert not any(word.startswith("domain") for word in words)


def test_over_https_the_cookie_is_bound_to_it(tmp_path: Path) -> None:
    with running_console(tmp_path, public_url="https://llm.acme.com") as console:
        reply = console.post("/login", {"token": link_of(console, "member")})
        (cookie,) = reply.cookies
        assert cookie.startswith("__Host-tollkeeper=")
        assert "; Secure" in cookie
        assert reply.header("strict-transport-security") == "max-age=31536000"
        plain = cookie.partition(";")[0].removeprefix("__Host-")
        assert console.send("GET", "/api/v1/users", headers={"cookie": plain}).status == 401


def test_a_session_that_was_there_before_is_not_gone_on_with(fresh: RunningConsole) -> None:
    planted = "A" * 43
    token = link_of(fresh, "member")
    reply = fresh.post("/login", {"token": token}, cookie=f"tollkeeper={planted}")
    assert planted not in reply.cookies[0]
    assert not is_in(fresh, Session(f"tollkeeper={planted}", ""))


def test_signing_in_again_ends_the_session_before(fresh: RunningConsole) -> None:
    first = fresh.sign_in("member")
    token = link_of(fresh, "admin")
    reply = fresh.post("/login", {"token": token}, cookie=first.cookie)
    second = Session(reply.cookies[0].partition(";")[0], "")
    assert not is_in(fresh, first)
    assert is_in(fresh, second)


def test_after_signing_out_the_cookie_opens_nothing(fresh: RunningConsole) -> None:
    session, other = fresh.sign_in("member"), fresh.sign_in("member")
    reply = fresh.post("/logout", {}, session)
    assert (reply.status, reply.header("location")) == (303, "/login?signed_out=1")
    assert "Max-Age=0" in reply.cookies[0]
    assert not is_in(fresh, session)
    assert is_in(fresh, other)
    assert fresh.post("/logout", {}, session).header("location") == "/login"


def test_a_session_ends_after_half_a_day_without_use(fresh: RunningConsole) -> None:
    session = fresh.sign_in("member")
    fresh.now_us += 11 * HOUR
    assert is_in(fresh, session)
    fresh.now_us += 11 * HOUR
    assert is_in(fresh, session)
    fresh.now_us += 12 * HOUR
    assert not is_in(fresh, session)


def test_a_session_ends_after_a_week(fresh: RunningConsole) -> None:
    session = fresh.sign_in("member")
    for _ in range(14):
        assert is_in(fresh, session)
        fresh.now_us += DAY // 2 - MINUTE
    assert is_in(fresh, session)
    fresh.now_us += HOUR
    assert not is_in(fresh, session)


def test_switching_a_person_off_ends_their_sessions_at_once(fresh: RunningConsole) -> None:
    session = fresh.sign_in("member")
    people.deactivate_user(fresh.store, "alice@acme.com", fresh.now_us)
    assert not is_in(fresh, session)
    people.activate_user(fresh.store, "alice@acme.com", fresh.now_us)
    assert not is_in(fresh, session)


def test_another_role_counts_at_once(fresh: RunningConsole) -> None:
    session = fresh.sign_in("admin")
    fresh.load(fresh.entry_of("member", call_id="call-alice"))
    assert fresh.get("/api/v1/calls/call-alice", session).status == 200
    fresh.store.set_user_role(fresh.users["admin"].user_id, Role.MEMBER)
    assert fresh.get("/api/v1/calls/call-alice", session).status == 404


@pytest.mark.parametrize("cookie", ["", "x", "A" * 43, "é" * 43, '"' * 43, "A" * 4_000])
def test_what_is_no_session_is_nobody(fresh: RunningConsole, cookie: str) -> None:
    sent = {"cookie": f"tollkeeper={cookie}".encode().decode("latin-1")}
    assert fresh.send("GET", "/api/v1/users", headers=sent).status == 401


# ------------------------------------------------------------------ other sites

CROSS = (
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},  # a sub-domain of ours is not us
    {"sec-fetch-site": "cross-site", "origin": "http://localhost:4000"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:4000.evil.example"},
    {"origin": "http://localhost"},
    {"origin": "file://"},
)
FORMS = (
    ("/login", {"token": "x" * 43}),
    ("/logout", {}),
    ("/theme", {"theme": "dark"}),
    ("/zone", {"tz": "UTC"}),
    ("/keys", {"name": "k"}),
    ("/keys/abcdefgh/revoke", {}),
)


@pytest.mark.parametrize("headers", CROSS, ids=[str(each) for each in CROSS])
@pytest.mark.parametrize(("path", "fields"), FORMS, ids=[path for path, _ in FORMS])
def test_a_form_on_another_site_is_refused(
    console: RunningConsole, path: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    session = console.session("admin")
    sent = {name.replace("-", "_"): value for name, value in headers.items()}
    reply = console.post(path, fields, session, host="localhost:4000", **sent)
    assert reply.status == 403
    assert reply.cookies == []
    assert is_in(console, session)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"origin": "http://localhost:4000"},
        {"origin": "http://10.0.0.5:4000", "host": "10.0.0.5:4000"},
    ],
)
def test_our_own_pages_may_send_forms(console: RunningConsole, headers: dict[str, str]) -> None:
    reply = console.post("/theme", {"theme": "dark"}, console.session("member"), **headers)
    assert reply.status == 303


@pytest.mark.parametrize(
    "path", [path for path, _ in FORMS if path not in {"/login", "/theme", "/zone"}]
)
def test_a_form_needs_the_token_of_its_session(console: RunningConsole, path: str) -> None:
    session = console.session("admin")
    others = console.session("member").form_token
    for token in ("", "x", others, session.form_token[:-2], session.form_token[:-2] + "00", "é"):
        reply = console.post(path, {"name": "k", "form_token": token}, session)
        if token == session.form_token:
            continue
        assert reply.status == 403, token
    assert is_in(console, session)


def test_the_api_needs_the_form_token_with_a_session(console: RunningConsole) -> None:
    session = console.session("admin")
    data = {"name": "k", "user": "alice@acme.com"}
    without = console.send("POST", "/api/v1/keys", data, headers=session.headers)
    assert (without.status, without.json()["code"]) == (403, "form_token_rejected")
    token = {FORM_HEADER: session.form_token}
    assert console.send("POST", "/api/v1/keys", data, headers=session.headers | token).status == 201
    cross = session.headers | token | {"sec-fetch-site": "cross-site"}
    assert console.send("POST", "/api/v1/keys", data, headers=cross).status == 403


def test_form_tokens_differ_from_page_to_page(console: RunningConsole) -> None:
    secret = console.session("member").cookie.partition("=")[2]
    tokens = {form_token(console.vault, secret) for _ in range(3)}
    assert len(tokens) == 3
    for token in tokens:
        session = Session(console.session("member").cookie, token)
        assert console.post("/keys", {"name": f"k{token[:6]}"}, session).status == 200


def test_no_get_changes_anything(console: RunningConsole) -> None:
    before = console.store.revision()
    session = console.session("admin")
    key_id = console.virtual_key.record.key.key_id
    for target in (f"/keys/{key_id}/revoke", "/logout", "/theme?theme=dark", "/keys?name=k"):
        assert console.get(target, session).status in {200, 404, 405}
    assert console.store.revision() == before


# ------------------------------------------------------------------ what a browser remembers


def test_theme_and_zone_are_remembered_and_lead_back(console: RunningConsole) -> None:
    reply = console.post("/theme", {"theme": "dark", "next": "/calls?tz=UTC"})
    assert (reply.status, reply.header("location")) == (303, "/calls?tz=UTC")
    assert reply.cookies[0].startswith("theme=dark;")
    reply = console.post("/zone", {"tz": "Asia/Tokyo"}, referer="http://evil.example/keys?x=1")
    assert (reply.status, reply.header("location")) == (303, "/keys?x=1")
    assert reply.cookies[0].startswith('tz="Asia/Tokyo";')
    assert console.post("/zone", {"tz": "Mars/Base"}).status == 422
    assert console.post("/zone", {"tz": "../../etc/passwd"}).status == 422


def test_a_remembered_zone_is_used_and_nonsense_is_not(console: RunningConsole) -> None:
    session = console.session("member")
    for zone, used in (("Asia/Tokyo", "Asia/Tokyo"), ("x'y", "UTC"), ("../etc", "UTC")):
        cookie = f'{session.cookie}; tz="{zone}"'
        reply = console.send("GET", "/?format=json", headers={"cookie": cookie})
        assert reply.json()["month"]["tz"] == used
