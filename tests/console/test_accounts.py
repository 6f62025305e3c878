"""Passwords and sessions of one's own: setting, changing, guessing, ending."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import pytest

from canaries import PLANTED
from consoles import PEOPLE, Reply, RunningConsole, Session, running_console, until
from hashers import CountingHasher
from stores import HOUR, MINUTE
from tollkeeper.console.access import FORM_HEADER, form_token
from tollkeeper.console.shared import HASHES_AT_ONCE, HASHES_WAITING
from tollkeeper.domain.access import Role
from tollkeeper.services import passwords, people, sign_in

GOOD = PLANTED.plant("a password", "tin lantern behind 7 hills")
OTHER = PLANTED.plant("another password", "Nine grey herons, one boat")
WRONG = PLANTED.plant("a wrong password", "a wrong guess by somebody")
ALICE = PEOPLE["member"][0]
WORDS = "The e-mail address or the password is not right."


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path) as made:
        yield made


def keeper(console: RunningConsole) -> passwords.Keeper:
    return passwords.Keeper(console.store, console.vault, console.hasher, "acme")


def give_password(console: RunningConsole, who: str = "member", password: str = GOOD) -> None:
    """Let somebody set a password, after a link."""
    session = console.sign_in(who)
    reply = set_password(console, session, password)
    assert reply.status == 303, reply.text


def set_password(
    console: RunningConsole, session: Session, new: str, present: str = "", **more: str
) -> Reply:
    fields = {"present": present, "new": new, "again": new, **more}
    return console.post("/account/password", fields, session)


def guess(
    console: RunningConsole, email: str, password: str, address: str = "203.0.113.9", **fields: str
) -> Reply:
    form = {"email": email, "password": password, **fields}
    return console.post("/login/password", form, x_forwarded_for=address)


def session_of(console: RunningConsole, reply: Reply) -> Session:
    assert reply.status == 303, reply.text
    cookie = reply.cookies[0].partition(";")[0]
    return Session(cookie, form_token(console.vault, cookie.partition("=")[2]))


def is_in(console: RunningConsole, session: Session) -> bool:
    return console.get("/api/v1/users", session).status == 200


def plain(reply: Reply) -> str:
    """Give a page without what differs from request to request."""
    return reply.text.replace(ALICE, "EMAIL").replace("nobody@acme.com", "EMAIL")


# ------------------------------------------------------------------ from link to password


def test_a_link_a_password_and_in_again(fresh: RunningConsole) -> None:
    session = fresh.sign_in("member")
    reply = set_password(fresh, session, GOOD)
    assert (reply.status, reply.header("location")) == (303, "/account?done=password")
    again = session_of(fresh, guess(fresh, ALICE.upper(), GOOD))
    assert is_in(fresh, again)
    page = fresh.get("/account?format=json", again).json()
    assert page["has_password"] and page["needs_present"]
    assert [each["began_with"] for each in page["sessions"]] == ["Password", "Password"]


def test_the_first_link_leads_to_a_choice(fresh: RunningConsole) -> None:
    link = sign_in.make_link(fresh.store, fresh.vault, fresh.users["admin"], fresh.now_us)
    page = fresh.get(link.path + sign_in.PASSWORD_STEP)
    assert 'name="next" value="/account?start=1"' in page.text
    token = link.path.removeprefix(sign_in.LINK_PATH)
    session = session_of(fresh, fresh.post("/login", {"token": token, "next": "/account?start=1"}))
    choice = fresh.get("/account?start=1", session).text
    assert "Set a password, or just go on" in choice
    assert '<a class="btn" href="/">Go on without</a>' in choice
    refused = set_password(fresh, session, "short", start="1", next="/calls").text
    assert '<a class="btn" href="/calls">Go on without</a>' in refused
    evil = set_password(fresh, session, "short", start="1", next="//evil.example").text
    assert "evil" not in evil
    reply = set_password(fresh, session, GOOD, start="1", next="/calls")
    assert (reply.status, reply.header("location")) == (303, "/calls")
    again = fresh.get("/account?start=1", session_of(fresh, reply)).text
    assert "just go on" not in again


def test_signing_in_begins_a_new_session_and_ends_the_one_before(fresh: RunningConsole) -> None:
    give_password(fresh)
    before = fresh.sign_in("other member")
    form = {"email": ALICE, "password": GOOD}
    reply = fresh.post("/login/password", form, cookie=before.cookie)
    assert is_in(fresh, session_of(fresh, reply))
    assert not is_in(fresh, before)


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/calls?filter=team:core", "/calls?filter=team:core"),
        *((bad, "/") for bad in ("//evil.example", "/\\evil", "javascript:alert(1)", "")),
        *((bad, "/") for bad in ("https://evil.example", "/\t/evil.example", "\\\\evil")),
    ],
)
def test_signing_in_goes_on_to_a_page_of_ours_alone(
    fresh: RunningConsole, wanted: str, goes_to: str
) -> None:
    give_password(fresh)
    assert guess(fresh, ALICE, GOOD, next=wanted).header("location") == goes_to
    page = fresh.get(f"/login?format=json&next={wanted}".replace("\\", "%5C").replace("\t", "%09"))
    assert page.json()["next"] == goes_to


def test_a_password_may_be_composed_in_any_way(fresh: RunningConsole) -> None:
    give_password(fresh, password="Über die Brücke gehen")
    assert guess(fresh, ALICE, "U\u0308ber die Bru\u0308cke gehen").status == 303


# ------------------------------------------------------------------ what is not told


def test_no_answer_tells_who_has_an_account(fresh: RunningConsole) -> None:
    give_password(fresh)
    give_password(fresh, "other member")
    people.deactivate_user(fresh.store, PEOPLE["other member"][0], fresh.now_us)
    named = (ALICE, "nobody@acme.com", PEOPLE["lead"][0], PEOPLE["other member"][0], "no address")
    pages = set()
    for number, email in enumerate(named):
        before = len(fresh.hasher.checked)
        reply = guess(fresh, email, GOOD if email != ALICE else WRONG, f"198.51.100.{number}")
        assert (reply.status, reply.cookies) == (401, [])
        assert WORDS in reply.text
        assert len(fresh.hasher.checked) - before == 1, "one hash, whoever is named"
        pages.add(reply.text.replace(email, "EMAIL"))
    assert len(pages) == 1
    assert len({encoded.rpartition("$")[0].rpartition("$")[0] for encoded in fresh.hasher.checked})


def test_every_check_costs_the_same(fresh: RunningConsole) -> None:
    give_password(fresh)
    guess(fresh, ALICE, WRONG)
    guess(fresh, "nobody@acme.com", WRONG)
    costs = [encoded.split("$")[1:4] for encoded in fresh.hasher.checked]
    assert len(costs) == 2
    assert costs[0] == costs[1]


@pytest.mark.parametrize("password", ["", "x", "x" * 129, "x" * 40_000, "\0" * 12, "é" * 128])
def test_what_is_no_password_opens_nothing(fresh: RunningConsole, password: str) -> None:
    give_password(fresh)
    assert guess(fresh, ALICE, password).status == 401
    assert len(fresh.hasher.checked) == 1


def test_what_is_stored_does_not_open_anything(fresh: RunningConsole) -> None:
    give_password(fresh)
    kept = fresh.store.password(fresh.users["member"].user_id)
    assert kept is not None
    PLANTED.plant("a password's hash", kept.encoded.rpartition("$")[2], stored=True)
    sessions = fresh.store.sessions_of(fresh.users["member"].user_id)
    stored = (kept.encoded[:128], kept.encoded.rpartition("$")[2], sessions[0].session_hash.hex())
    for number, text in enumerate(stored):
        assert guess(fresh, ALICE, text, f"198.51.100.{number}").status == 401
    raw = [file.read_bytes() for file in fresh.folder.data.root.iterdir() if file.is_file()]
    assert not any(GOOD.encode() in content for content in raw)
    pages = [fresh.get(path, fresh.sign_in("admin")).text for path in ("/account", "/api/v1/users")]
    assert not any(kept.encoded in page or "argon2" in page for page in pages)


def test_a_hash_of_former_parameters_is_made_anew_at_the_next_sign_in(
    fresh: RunningConsole,
) -> None:
    user_id = fresh.users["member"].user_id
    former = CountingHasher(memory_kib=16)
    made = former.hashed(passwords._secret(fresh.vault, GOOD))
    fresh.store.set_password(user_id, made, fresh.now_us)
    assert guess(fresh, ALICE, WRONG).status == 401
    assert fresh.store.password(user_id).encoded == made  # type: ignore[union-attr]
    assert guess(fresh, ALICE, GOOD).status == 303
    kept = fresh.store.password(user_id)
    assert kept is not None and fresh.hasher.is_current(kept.encoded)
    assert guess(fresh, ALICE, GOOD).status == 303


# ------------------------------------------------------------------ guessing


def test_guessing_one_person_is_slowed_down_and_a_link_still_works(fresh: RunningConsole) -> None:
    give_password(fresh)
    for _ in range(5):
        assert guess(fresh, ALICE, WRONG).status == 401
    slowed = guess(fresh, ALICE, GOOD)
    assert slowed.status == 429
    assert int(slowed.header("retry-after")) > 0
    assert "too many attempts" in slowed.text.lower()
    assert guess(fresh, ALICE, GOOD, "198.51.100.7").status == 303
    assert is_in(fresh, fresh.sign_in("member"))


def test_somebody_unknown_is_slowed_down_alike(fresh: RunningConsole) -> None:
    replies = [guess(fresh, "nobody@acme.com", WRONG) for _ in range(6)]
    assert [reply.status for reply in replies] == [401] * 5 + [429]
    before = len(fresh.hasher.checked)
    guess(fresh, "nobody@acme.com", WRONG)
    assert len(fresh.hasher.checked) == before, "nothing is hashed for whoever has to wait"


def test_one_machine_cannot_try_many_people(fresh: RunningConsole) -> None:
    statuses = [guess(fresh, f"u{n}@acme.com", WRONG, f"2001:db8::{n}").status for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert guess(fresh, "u@acme.com", WRONG, "2001:db8:0:1::1").status == 401


def test_the_present_password_cannot_be_guessed_with_a_stolen_session(
    fresh: RunningConsole,
) -> None:
    give_password(fresh)
    session = session_of(fresh, guess(fresh, ALICE, GOOD))
    statuses = [set_password(fresh, session, OTHER, WRONG).status for _ in range(6)]
    assert statuses == [403] * 5 + [429]
    assert guess(fresh, ALICE, OTHER, "198.51.100.7").status == 401


def test_a_flood_of_tries_neither_takes_more_memory_nor_stops_other_pages(
    fresh: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_password(fresh)
    session = fresh.sign_in("admin")
    go_on, lock, at_once = Event(), Lock(), [0, 0]

    def slowly(encoded: str, secret: bytes) -> bool:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        assert go_on.wait(20)
        with lock:
            at_once[0] -= 1
        return False

    monkeypatch.setattr(fresh.hasher, "matches", slowly)
    places = HASHES_AT_ONCE + HASHES_WAITING

    def flood(number: int) -> Reply:
        return guess(fresh, f"u{number}@acme.com", WRONG, f"198.51.100.{number}")

    with ThreadPoolExecutor(places + 6) as pool:
        asked = [pool.submit(flood, number) for number in range(places)]
        until(lambda: fresh.console.hashing.busy == places)
        beyond = [flood(places + number) for number in range(3)]
        page = fresh.get("/account", session)
        go_on.set()
        statuses = {each.result().status for each in asked}
    assert [(reply.status, reply.header("retry-after")) for reply in beyond] == [(503, "2")] * 3
    assert page.status == 200
    assert statuses == {401}
    assert at_once[1] == HASHES_AT_ONCE


def test_a_try_that_found_no_room_is_no_failure(
    fresh: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_password(fresh)
    monkeypatch.setattr(fresh.console.hashing, "busy", HASHES_AT_ONCE + HASHES_WAITING)
    assert [guess(fresh, ALICE, GOOD).status for _ in range(12)] == [503] * 12
    monkeypatch.setattr(fresh.console.hashing, "busy", 0)
    assert guess(fresh, ALICE, GOOD).status == 303


# ------------------------------------------------------------------ setting and changing


@pytest.mark.parametrize(
    ("new", "again", "status", "why"),
    [
        ("short", "short", 400, "12 characters or more"),
        ("x y z " * 30, "x y z " * 30, 400, "128 characters at most"),
        ("Password12345!", "Password12345!", 400, "among the first to be guessed"),
        (ALICE + "2026", ALICE + "2026", 400, "among the first to be guessed"),
        (OTHER, OTHER + "x", 400, "differ"),
        ("", "", 400, "12 characters or more"),
    ],
)
def test_a_new_password_has_to_be_good(
    fresh: RunningConsole, new: str, again: str, status: int, why: str
) -> None:
    session = fresh.sign_in("member")
    reply = fresh.post("/account/password", {"new": new, "again": again}, session)
    assert reply.status == status
    assert why in reply.text
    assert new not in reply.text or not new
    assert fresh.store.users_with_password() == frozenset()
    assert is_in(fresh, session)


def test_changing_needs_the_present_one_and_ends_all_other_sessions(fresh: RunningConsole) -> None:
    give_password(fresh)
    elsewhere = fresh.sign_in("member")
    session = session_of(fresh, guess(fresh, ALICE, GOOD))
    wrong = set_password(fresh, session, OTHER, WRONG)
    assert wrong.status == 403
    assert "The present password is not right." in wrong.text
    assert is_in(fresh, elsewhere)
    new = session_of(fresh, set_password(fresh, session, OTHER, GOOD))
    assert is_in(fresh, new)
    assert not is_in(fresh, elsewhere)
    assert not is_in(fresh, session), "the session itself has a new secret, too"
    assert guess(fresh, ALICE, GOOD).status == 401
    assert guess(fresh, ALICE, OTHER).status == 303


def test_a_fresh_link_needs_no_present_password_and_an_old_one_does(fresh: RunningConsole) -> None:
    give_password(fresh)
    session = fresh.sign_in("member")
    fresh.now_us += 15 * MINUTE
    assert set_password(fresh, session, OTHER).status == 403
    fresh.now_us -= MINUTE
    assert set_password(fresh, session, OTHER).status == 303
    assert guess(fresh, ALICE, OTHER).status == 303


def test_a_first_password_needs_a_fresh_link(fresh: RunningConsole) -> None:
    session = fresh.sign_in("member")
    fresh.now_us += HOUR
    reply = set_password(fresh, session, GOOD, GOOD)
    assert reply.status == 403
    assert f"tollkeeper users password-link {ALICE}" in reply.text
    assert fresh.store.users_with_password() == frozenset()


def test_a_session_that_began_with_a_password_is_never_as_good_as_a_link(
    fresh: RunningConsole,
) -> None:
    give_password(fresh)
    session = session_of(fresh, guess(fresh, ALICE, GOOD))
    assert set_password(fresh, session, OTHER).status == 403
    assert guess(fresh, ALICE, GOOD).status == 303


# ------------------------------------------------------------------ sessions


@pytest.mark.parametrize("what", ["password", "role", "switched off", "ended by an admin"])
def test_sessions_end_with_what_they_stood_for(fresh: RunningConsole, what: str) -> None:
    give_password(fresh)
    sessions = [fresh.sign_in("member"), session_of(fresh, guess(fresh, ALICE, GOOD))]
    assert all(is_in(fresh, each) for each in sessions)
    match what:
        case "password":
            set_password(fresh, fresh.sign_in("member"), OTHER)
        case "role":
            people.change_role(fresh.store, ALICE, Role.LEAD, fresh.now_us)
        case "switched off":
            people.deactivate_user(fresh.store, ALICE, fresh.now_us)
        case _:
            passwords.end(fresh.store, ALICE)
    assert not any(is_in(fresh, each) for each in sessions)
    works = guess(fresh, ALICE, GOOD, "198.51.100.7").status == 303
    assert works == (what == "role")


def test_sessions_are_listed_and_ended_one_by_one(fresh: RunningConsole) -> None:
    first, second = fresh.sign_in("member"), fresh.sign_in("member")
    lines = fresh.get("/account?format=json", first).json()["sessions"]
    assert sorted(each["current"] for each in lines) == [False, True]
    other = next(each["session_id"] for each in lines if not each["current"])
    stranger = fresh.sign_in("admin")
    assert fresh.post(f"/account/sessions/{other}/end", {}, stranger).status == 404
    assert is_in(fresh, second)
    reply = fresh.post(f"/account/sessions/{other}/end", {}, first)
    assert (reply.status, reply.header("location")) == (303, "/account?done=session")
    assert not is_in(fresh, second)
    own = fresh.get("/account?format=json", first).json()["sessions"][0]["session_id"]
    reply = fresh.post(f"/account/sessions/{own}/end", {}, first)
    assert reply.header("location") == "/login?signed_out=1"
    assert not is_in(fresh, first)


def test_signing_out_everywhere(fresh: RunningConsole) -> None:
    sessions = [fresh.sign_in("member") for _ in range(3)]
    reply = fresh.post("/account/sessions/end", {}, sessions[0])
    assert reply.header("location") == "/login?signed_out=1"
    assert "Max-Age=0" in reply.cookies[0]
    assert not any(is_in(fresh, each) for each in sessions)


def test_what_a_session_is_called_opens_nothing(fresh: RunningConsole) -> None:
    session = fresh.sign_in("member")
    line = fresh.get("/account?format=json", session).json()["sessions"][0]
    assert session.cookie.partition("=")[2] not in str(line)
    kept = fresh.store.sessions_of(fresh.users["member"].user_id)[0]
    assert kept.session_hash.hex()[:16] != line["session_id"]


# ------------------------------------------------------------------ other sites, other settings

FORMS = (
    ("/login/password", {"email": ALICE, "password": GOOD}),
    ("/account/password", {"new": OTHER, "again": OTHER}),
    ("/account/sessions/end", {}),
    ("/account/sessions/0123456789abcdef/end", {}),
)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize(("path", "fields"), FORMS, ids=[path for path, _ in FORMS])
def test_a_form_on_another_site_is_refused(
    console: RunningConsole, path: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    session = console.session("lead")
    reply = console.post(path, fields, session, host="localhost:4000", **headers)
    assert (reply.status, reply.cookies) == (403, [])
    assert is_in(console, session)
    assert console.store.users_with_password() == frozenset()


@pytest.mark.parametrize("path", [path for path, _ in FORMS[1:]])
def test_a_form_needs_the_token_of_its_session(console: RunningConsole, path: str) -> None:
    session, others = console.session("lead"), console.session("member").form_token
    for token in ("", "x", others):
        fields = {"new": OTHER, "again": OTHER, "form_token": token}
        assert console.post(path, fields, session).status == 403
    assert is_in(console, session)
    assert console.store.users_with_password() == frozenset()


def test_no_get_changes_anything(console: RunningConsole) -> None:
    session = console.session("lead")
    before = console.store.revision()
    for path, _ in FORMS:
        assert console.get(path, session).status == 405
    assert console.get(f"/login?email={ALICE}&password={GOOD.replace(' ', '+')}").status == 200
    assert console.store.revision() == before


def test_where_passwords_are_off_only_links_work(tmp_path: Path) -> None:
    with running_console(tmp_path, passwords=False) as console:
        session = console.sign_in("member")
        for path, fields in FORMS[:2]:
            reply = console.post(path, fields, session)
            assert reply.status == 404
            assert "Passwords are switched off here." in reply.text
        page = console.get("/login").text
        assert 'type="password"' not in page
        assert "tollkeeper users link EMAIL" in page
        account = console.get("/account", session)
        assert 'type="password"' not in account.text
        assert "Where you are signed in" in account.text


def test_a_link_says_in_what_way_a_session_began(fresh: RunningConsole) -> None:
    fresh.sign_in("member")
    kept = fresh.store.sessions_of(fresh.users["member"].user_id)
    assert [each.began_with for each in kept] == [sign_in.LINK]


# ------------------------------------------------------------------ an admin and others' passwords


@pytest.mark.parametrize("by", ["page", "session", "key"])
def test_an_admin_ends_a_password_and_never_sets_one(fresh: RunningConsole, by: str) -> None:
    give_password(fresh)
    admin, user_id = fresh.sign_in("admin"), fresh.users["member"].user_id
    session = session_of(fresh, guess(fresh, ALICE, GOOD))
    api = f"/api/v1/users/{user_id}/password"
    match by:
        case "page":
            reply = fresh.post(f"/people/users/{user_id}/end-password", {"new": OTHER}, admin)
            assert (reply.status, reply.header("location")) == (303, f"/people?saved={user_id}")
        case "session":
            headers = admin.headers | {FORM_HEADER: admin.form_token}
            assert fresh.send("DELETE", api, headers=headers).json()["email"] == ALICE
        case _:
            assert fresh.send("DELETE", api, headers=fresh.as_admin_key).json()["email"] == ALICE
    assert not is_in(fresh, session)
    assert is_in(fresh, admin)
    assert guess(fresh, ALICE, GOOD, "198.51.100.7").status == 401
    assert fresh.store.users_with_password() == frozenset()
    for method in ("POST", "PUT"):
        reply = fresh.send(method, api, {"new": OTHER}, headers=fresh.as_admin_key)
        assert reply.status == 405
    missing = fresh.send("DELETE", "/api/v1/users/none/password", headers=fresh.as_admin_key)
    assert (missing.status, missing.json()["code"]) == (404, "user_not_found")
