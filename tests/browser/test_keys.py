"""Keys: issued once, pasted into a tool, used, changed, rotated and revoked."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from browsers import Visitor, expect
from canaries import PLANTED
from companies import MEMBER, Company

pytestmark = pytest.mark.browser

TOKEN = re.compile(r"tk_live_[A-Za-z0-9]{8}_[A-Za-z0-9]+")


def issue(visitor: Visitor, name: str) -> str:
    """Issue a key on the page, and read it where it is shown."""
    page = visitor.page
    page.goto("/keys")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Issue key").click()
    shown = page.get_by_role("region", name="The new key").inner_text().strip()
    assert TOKEN.fullmatch(shown)
    PLANTED.plant(f"the secret of key {name}", shown.rpartition("_")[2])
    return shown


def test_is_shown_once_works_and_is_revoked(olive: Visitor) -> None:
    page = olive.page
    token = issue(olive, "ci runner")
    olive.require_calm()
    assert page.content().count(token) > 3, "it stands in the settings of every tool"
    assert olive.company.call(token).status == 200

    page.goto("/keys")
    assert not TOKEN.search(page.content())
    row = page.locator("#list tbody tr").filter(has_text="ci runner")
    expect(row).to_contain_text("olive@acme.com")
    row.locator("summary", has_text="Change").click()
    row.locator("summary", has_text="Revoke").click()
    expect(row.get_by_text("This cannot be undone.")).to_be_visible()
    row.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_role("status").filter(has_text="is revoked")).to_contain_text("ci runner")
    expect(page.locator("#list tbody tr").filter(has_text="ci runner")).to_have_count(0)
    deadline_s = time.monotonic() + 10
    while olive.company.call(token).status != 401:
        assert time.monotonic() < deadline_s, "a revoked key still works"
        time.sleep(0.1)
    page.get_by_role("link", name=re.compile("Show .* ended")).click()
    expect(page.locator("#list tr.ended").filter(has_text="ci runner")).to_contain_text("Revoked")
    olive.require_calm()


def test_is_rotated_and_both_secrets_call(olive: Visitor) -> None:
    page = olive.page
    first = issue(olive, "nightly job")
    page.goto("/keys")
    row = page.locator("#list tbody tr").filter(has_text="nightly job")
    row.locator("summary", has_text="Change").click()
    row.locator("summary", has_text="Rotate").click()
    row.get_by_label("The secret of now stays good").select_option(label="For an hour")
    row.get_by_role("button", name="Rotate").click()
    second = page.get_by_role("region", name="The new key").inner_text().strip()
    assert TOKEN.fullmatch(second)
    assert second != first
    PLANTED.plant("the secret of a rotated key", second.rpartition("_")[2])
    expect(page.locator("#issued")).to_contain_text("The secret before works until")
    olive.require_calm()
    deadline_s = time.monotonic() + 10
    while olive.company.call(second).status != 200:
        assert time.monotonic() < deadline_s, "the new secret does not work"
        time.sleep(0.1)
    assert olive.company.call(first).status == 200
    page.goto("/keys")
    expect(page.locator("#list tbody tr").filter(has_text="nightly job")).to_contain_text(
        "Two secrets"
    )


def test_is_changed_and_calls_go_by_it(olive: Visitor) -> None:
    page = olive.page
    token = issue(olive, "team laptop")
    page.goto("/keys")
    row = page.locator("#list tbody tr").filter(has_text="team laptop")
    row.locator("summary", has_text="Change").click()
    row.get_by_label("Name").fill("old laptop")
    row.get_by_label("Only from networks").fill("nowhere")
    olive.require_calm()
    row.get_by_role("button", name="Save").click()
    row = page.locator("#list tbody tr").filter(has_text="team laptop")
    expect(row.get_by_role("alert")).to_contain_text("nowhere")
    expect(row.get_by_label("Name")).to_have_value("old laptop")
    assert olive.company.call(token).status == 200

    row.get_by_label("Only from networks").fill("192.0.2.0/24")
    row.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="is changed")).to_contain_text("old laptop")
    row = page.locator("#list tbody tr").filter(has_text="old laptop")
    expect(row).to_contain_text("from 192.0.2.0/24")
    deadline_s = time.monotonic() + 10
    while olive.company.call(token).status != 403:
        assert time.monotonic() < deadline_s, "the key still works from elsewhere"
        time.sleep(0.1)
    assert [fault for fault in olive.faults if "400" not in fault] == []


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("Claude Code", "ANTHROPIC_BASE_URL"),
        ("Codex", "model_providers.tollkeeper"),
        ("Gemini CLI", "GOOGLE_GEMINI_BASE_URL"),
        ("Kimi Code", "KIMI_MODEL_BASE_URL"),
        ("Python: openai", "from openai import OpenAI"),
        ("Python: anthropic", "from anthropic import Anthropic"),
    ],
)
def test_settings_are_ready_to_paste(olive: Visitor, tool: str, expected: str) -> None:
    page = olive.page
    page.goto("/keys")
    page.get_by_text("Settings for each tool").click()
    page.get_by_text(tool, exact=True).click()
    panel = page.locator(".panel:visible")
    expect(panel).to_contain_text(expected)
    expect(panel).to_contain_text("YOUR_KEY")
    expect(panel).to_contain_text(str(olive.company.port))


def test_copying_puts_the_key_where_it_can_be_pasted(
    acme: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(acme, permissions=["clipboard-read", "clipboard-write"]).sign_in()
    token = issue(visitor, "copied")
    page = visitor.page
    page.locator("#issued button.copy").first.click()
    expect(page.locator("#issued button.copy").first).to_have_text("Copied")
    assert page.evaluate("() => navigator.clipboard.readText()") == token
    expect(page.locator("#issued button.copy").first).to_have_text("Copy")


def test_sending_the_form_twice_gives_one_key(olive: Visitor) -> None:
    page = olive.page
    token = issue(olive, "sent twice")
    page.reload()
    assert page.get_by_role("region", name="The new key").inner_text().strip() == token
    page.goto("/keys")
    assert page.locator("#list tbody tr").filter(has_text="sent twice").count() == 1


def test_what_is_wrong_is_said_and_what_was_typed_stays(olive: Visitor) -> None:
    page = olive.page
    page.goto("/keys")
    page.get_by_label("Name", exact=True).fill("for a stranger")
    page.get_by_label("Person").fill("nobody@acme.com")
    page.get_by_role("button", name="Issue key").click()
    expect(page.get_by_role("alert")).to_contain_text("nobody@acme.com")
    assert page.get_by_label("Name", exact=True).input_value() == "for a stranger"
    assert page.locator("#issued").count() == 0
    assert [fault for fault in olive.faults if "404" not in fault] == []


def test_limits_hold_for_the_issued_key(olive: Visitor) -> None:
    page = olive.page
    page.goto("/keys")
    page.get_by_label("Name", exact=True).fill("narrow")
    page.get_by_text("Limit what it may use").click()
    page.locator("#models").fill("gpt-*")
    page.get_by_role("button", name="Issue key").click()
    token = page.get_by_role("region", name="The new key").inner_text().strip()
    PLANTED.plant("the secret of key narrow", token.rpartition("_")[2])
    assert olive.company.call(token).status == 403


def test_a_member_gets_their_own_key_only(acme: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(acme).sign_in(MEMBER)
    token = issue(visitor, "mine")
    expect(visitor.page.locator("#issued")).to_contain_text(MEMBER)
    assert acme.call(token).status == 200
