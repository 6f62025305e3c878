"""From a link to a password, and in and out with it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from browsers import Visitor, expect
from canaries import PLANTED
from companies import MEMBER, Company
from tollkeeper.services.sign_in import PASSWORD_STEP

pytestmark = pytest.mark.browser

PASSWORD = PLANTED.plant("a password in a browser", "four dull copper kettles")
WRONG = PLANTED.plant("a wrong password in a browser", "three dull copper kettles")


def only_refused(visitor: Visitor) -> None:
    """Forget that the browser reported an answer that was a refusal, and nothing else."""
    assert all("responded with a status of 40" in fault for fault in visitor.faults)
    visitor.faults.clear()
    visitor.require_calm()


def test_from_a_link_to_a_password_and_in_again(
    newcomer: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(newcomer)
    page = visitor.page
    page.goto(newcomer.link(MEMBER) + PASSWORD_STEP)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Set a password, or just go on")).to_be_visible()
    expect(page.get_by_role("link", name="Go on without")).to_be_visible()
    visitor.require_calm()

    page.get_by_label("New password").fill("Password12345!")
    page.get_by_label("The same again").fill("Password12345!")
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("alert")).to_contain_text("among the first to be guessed")
    expect(page.get_by_role("link", name="Go on without")).to_be_visible()
    only_refused(visitor)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_text("Your password is set.")).to_be_visible()
    expect(page.locator("#sessions tbody tr")).to_have_count(1)
    visitor.require_calm()

    page.locator("form[action='/logout'] button").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.goto("/calls")
    page.get_by_label("E-mail").fill(MEMBER)
    page.get_by_label("Password").fill(WRONG)
    page.get_by_role("button", name="Sign in").click()
    wrong = page.get_by_role("alert")
    expect(wrong).to_have_text("The e-mail address or the password is not right.")
    expect(page.get_by_label("E-mail")).to_have_value(MEMBER)
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label("Password")).to_be_focused()
    only_refused(visitor)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    assert urlsplit(page.url).path == "/calls"
    visitor.require_calm()
