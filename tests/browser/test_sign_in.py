"""Signing in by a one-time link, and out again."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from browsers import Visitor, expect
from companies import MEMBER, Company

pytestmark = pytest.mark.browser


def test_a_link_signs_in_once_and_leads_on(acme: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(acme)
    page = visitor.page
    page.goto("/calls?filter=team:Search")
    assert urlsplit(page.url).path == "/login"
    after = parse_qs(urlsplit(page.url).query)["next"][0]
    page.get_by_text("No password yet, or forgotten?").click()
    expect(page.get_by_text("tollkeeper users password-link EMAIL")).to_be_visible()
    link = acme.link()
    page.goto(f"{link}&next={after.replace('&', '%26')}")
    visitor.require_calm()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Calls")).to_be_visible()
    expect(page.locator(".chip")).to_contain_text("Search")
    visitor.require_calm()

    other = visit(acme)
    other.page.goto(link)
    other.page.get_by_role("button", name="Sign in").click()
    expect(other.page.get_by_text("used or has expired")).to_be_visible()
    expect(other.page.get_by_text("tollkeeper users link EMAIL")).to_be_visible()


def test_signing_out_ends_the_session_and_its_open_pages(olive: Visitor) -> None:
    olive.page.goto("/calls")
    expect(olive.page.locator("#live[data-state=on]")).to_be_visible()
    other = olive.new_page()
    other.goto("/")
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect(olive.page.locator("#live")).to_have_text("Signed out")
    olive.page.goto("/keys")
    assert urlsplit(olive.page.url).path == "/login"


def test_a_member_sees_their_own_and_no_more(acme: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(acme).sign_in(MEMBER)
    page = visitor.page
    expect(page.get_by_text("Your own calls")).to_be_visible()
    people = page.locator("#recent tbody td:nth-child(3) .names > a")
    assert set(people.all_text_contents()) == {MEMBER}
    page.goto("/keys")
    expect(page.get_by_label("Person")).to_have_count(0)
    owners = page.locator("#list tbody td.owner .names > span")
    assert set(owners.all_text_contents()) == {MEMBER}
    page.goto("/me")
    expect(page.get_by_role("heading", name="My models, last 30 days")).to_be_visible()
    visitor.require_calm()
