"""Signing in: links that work once, sessions that end, and secrets that never come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stores
from stores import DAY, HOUR, MINUTE, NOW, Folder, add_person
from tollkeeper.domain.errors import BadRequest, KeyRejected
from tollkeeper.services import people, sign_in
from tollkeeper.services.sign_in import LINK_PATH, SignedIn


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    add_person(opened.store)
    yield opened
    opened.store.close()


def link_token(folder: Folder, now_us: int = NOW) -> str:
    user = people.find_user(folder.store, "alice@acme.com")
    return sign_in.make_link(folder.store, folder.vault, user, now_us).path.removeprefix(LINK_PATH)


def begin(folder: Folder, now_us: int = NOW) -> SignedIn:
    return sign_in.sign_in(folder.store, folder.vault, link_token(folder, now_us), now_us)


def visit(folder: Folder, cookie: str, now_us: int) -> sign_in.Visit | None:
    return sign_in.visit(folder.store, folder.vault, cookie, now_us)


def test_a_link_begins_one_session(folder: Folder) -> None:
    token = link_token(folder)
    signed_in = sign_in.sign_in(folder.store, folder.vault, token, NOW + 14 * MINUTE)
    assert signed_in.user.email == "alice@acme.com"
    found = visit(folder, signed_in.cookie, NOW + 14 * MINUTE)
    assert found is not None
    assert (found.user, found.session) == (signed_in.user, signed_in.session)
    with pytest.raises(KeyRejected) as rejected:
        sign_in.sign_in(folder.store, folder.vault, token, NOW + 14 * MINUTE)
    assert rejected.value.code == "link_rejected"
    assert token not in str(rejected.value)


def test_a_link_ends_after_fifteen_minutes(folder: Folder) -> None:
    token = link_token(folder)
    with pytest.raises(KeyRejected):
        sign_in.sign_in(folder.store, folder.vault, token, NOW + 15 * MINUTE)


def test_links_and_cookies_are_long_and_new_each_time(folder: Folder) -> None:
    tokens = {link_token(folder) for _ in range(20)} | {begin(folder).cookie for _ in range(20)}
    assert len(tokens) == 40
    assert {len(token) for token in tokens} == {43}  # 256 bits in base64


def test_a_link_and_a_session_of_somebody_switched_off_are_worth_nothing(folder: Folder) -> None:
    cookie = begin(folder).cookie
    token = link_token(folder)
    folder.store.set_user_active(
        people.find_user(folder.store, "alice@acme.com").user_id, False, NOW
    )
    assert visit(folder, cookie, NOW) is None
    with pytest.raises(KeyRejected):
        sign_in.sign_in(folder.store, folder.vault, token, NOW)
    with pytest.raises(BadRequest, match="deactivated"):
        link_token(folder)


def test_of_fifty_who_sign_in_with_one_link_one_succeeds(folder: Folder) -> None:
    token = link_token(folder)
    start = threading.Barrier(50)

    def try_it(_: int) -> bool:
        start.wait()
        try:
            sign_in.sign_in(folder.store, folder.vault, token, NOW)
        except KeyRejected:
            return False
        return True

    with ThreadPoolExecutor(50) as threads:
        assert sum(threads.map(try_it, range(50))) == 1


def test_an_idle_session_ends_after_twelve_hours(folder: Folder) -> None:
    cookie = begin(folder).cookie
    assert visit(folder, cookie, NOW + 12 * HOUR - 1) is not None
    assert visit(folder, cookie, NOW + 24 * HOUR - 2) is not None
    assert visit(folder, cookie, NOW + 36 * HOUR) is None
    assert visit(folder, cookie, NOW + 1) is None  # ended, not merely refused


def test_a_busy_session_ends_after_seven_days(folder: Folder) -> None:
    cookie = begin(folder).cookie
    for hours in range(0, 7 * 24, 11):
        assert visit(folder, cookie, NOW + hours * HOUR) is not None
    assert visit(folder, cookie, NOW + 7 * DAY - 1) is not None
    assert visit(folder, cookie, NOW + 7 * DAY) is None


def test_a_use_is_written_down_once_a_minute(folder: Folder) -> None:
    cookie = begin(folder).cookie
    before = folder.store.revision()
    for second in range(59):
        assert visit(folder, cookie, NOW + second * 1_000_000) is not None
    assert folder.store.revision() == before
    assert visit(folder, cookie, NOW + MINUTE) is not None
    assert folder.store.revision() == before + 1


def test_after_signing_out_the_cookie_opens_nothing(folder: Folder) -> None:
    cookie = begin(folder).cookie
    other = begin(folder).cookie
    sign_in.sign_out(folder.store, folder.vault, cookie)
    sign_in.sign_out(folder.store, folder.vault, cookie)
    assert visit(folder, cookie, NOW) is None
    assert visit(folder, other, NOW) is not None


def test_a_renewed_session_has_a_new_cookie_and_the_same_end(folder: Folder) -> None:
    first = begin(folder)
    second = sign_in.renew(folder.store, folder.vault, first.cookie, NOW + HOUR)
    assert second is not None
    assert second.cookie != first.cookie
    assert visit(folder, first.cookie, NOW + HOUR) is None
    assert visit(folder, second.cookie, NOW + HOUR) is not None
    assert second.session.expires_at_us == first.session.expires_at_us
    assert sign_in.renew(folder.store, folder.vault, first.cookie, NOW + HOUR) is None


def test_a_cookie_chosen_by_somebody_else_is_never_adopted(folder: Folder) -> None:
    chosen = "A" * 43
    assert visit(folder, chosen, NOW) is None
    assert begin(folder).cookie != chosen
    assert visit(folder, chosen, NOW) is None


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(max_size=60) | st.text(min_size=43, max_size=43))
def test_any_text_as_link_or_cookie_is_simply_refused(folder: Folder, text: str) -> None:
    assert visit(folder, text, NOW) is None
    assert sign_in.renew(folder.store, folder.vault, text, NOW) is None
    sign_in.sign_out(folder.store, folder.vault, text)
    assert not sign_in.is_form_token(folder.vault, "cookie", text)
    with pytest.raises(KeyRejected):
        sign_in.sign_in(folder.store, folder.vault, text, NOW)


def test_text_that_cannot_be_encoded_is_refused_too(folder: Folder) -> None:
    broken = "\udc80" * 43  # what a latin-1 or surrogateescape header may become
    assert visit(folder, broken, NOW) is None
    assert not sign_in.is_form_token(folder.vault, broken, broken)
    with pytest.raises(KeyRejected):
        sign_in.sign_in(folder.store, folder.vault, broken, NOW)


def test_a_form_token_belongs_to_one_session(folder: Folder) -> None:
    first, second = begin(folder).cookie, begin(folder).cookie
    token = sign_in.form_token(folder.vault, first)
    assert sign_in.is_form_token(folder.vault, first, token)
    assert not sign_in.is_form_token(folder.vault, second, token)
    assert not sign_in.is_form_token(folder.vault, first, token[:-1])
    assert not sign_in.is_form_token(folder.vault, first, "")
    assert first not in token


def test_nothing_prints_a_token_by_accident(folder: Folder) -> None:
    user = people.find_user(folder.store, "alice@acme.com")
    link = sign_in.make_link(folder.store, folder.vault, user, NOW)
    assert link.path.removeprefix(LINK_PATH) not in repr(link)
    signed_in = begin(folder)
    assert signed_in.cookie not in repr(signed_in)
