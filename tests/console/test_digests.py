"""What stands in a digest: figures that equal the reports', names that do nothing, no persons."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path

import pytest

from budget_desks import DOLLAR, budget
from digest_desks import (
    DAY_US,
    END_US,
    HOSTILE,
    HOUR_US,
    LONG,
    MONDAY_US,
    NOW_US,
    ORG,
    RIGHT_TO_LEFT,
    WEEK,
    ZONE,
    DigestDesk,
    entry,
    past,
    spend,
    unpriced,
)
from tollkeeper.console.charts.bar_picture import TALL, WIDTH, bar_picture
from tollkeeper.console.charts.stacked_bars import Series
from tollkeeper.console.digests.content import Digest
from tollkeeper.console.digests.mail import mail_of
from tollkeeper.console.digests.text import chat_of, text_of
from tollkeeper.domain.access import Role, Scope
from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.digests import Week
from tollkeeper.domain.ledger import Basis
from tollkeeper.notify.mail import full_message
from tollkeeper.reports.period import period_between
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.usage import UsageQuestion, usage

MAIL_BYTES_MAX = 102_000
"""Beyond this a widely used mail program shows the rest only on demand."""

METRICS = ("cost_usd", "requests", "tokens_in", "tokens_out", "tokens_cached", "errors")


class Page(HTMLParser):
    """A mail's HTML as a mail program reads it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, name: str) -> list[str]:
        return [value for each, value in self.attributes if each == name]


def section(digest: Digest, title: str) -> list[list[str]]:
    """Give a section's rows as texts."""
    (found,) = (it for it in digest.sections if it.title == title)
    return [[cell.text for cell in row.cells] for row in found.rows]


def pixels(png: bytes) -> list[bytes]:
    """Decode a picture of ours, checking every part of it."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, data, width = 8, b"", 0
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(kind + content)
        if kind == b"IHDR":
            width, height = struct.unpack(">II", content[:8])
        data += content if kind == b"IDAT" else b""
        at += 12 + length
    raw = zlib.decompress(data)
    assert len(raw) == height * (width + 1)
    return [raw[row * (width + 1) + 1 : (row + 1) * (width + 1)] for row in range(height)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DigestDesk]:
    entries = [*past(), *past("search", "claude-opus-5-5", 2), *past("other", "gpt-4.1-mini")]
    entries.append(entry(MONDAY_US + 1, 250_000_000, team="core", basis=Basis.ESTIMATED))
    entries.append(unpriced(MONDAY_US + 2, team="search"))
    made = DigestDesk(tmp_path_factory.mktemp("digests"), entries)
    made.add("lena@acme.com", Role.LEAD, "core")
    made.add("sid@acme.com", Role.LEAD, "search", parent="core")
    made.add("olga@acme.com", Role.LEAD, "other")
    yield made
    made.close()


@pytest.mark.parametrize("team", ["", "core", "other"])
def test_the_figures_are_those_of_the_usage_report(desk: DigestDesk, team: str) -> None:
    digest = desk.digest(team)
    first, last = WEEK.first_day.isoformat(), WEEK.last_day.isoformat()
    period = period_between(first, last, ZONE, NOW_US)
    scope = Scope(ORG, desk.audience(team).teams if team else None)
    for which, asked in (("now", period), ("before", period.previous())):
        totals = usage(desk.ledger, scope, UsageQuestion(asked, METRICS)).totals
        sums = getattr(digest.spend.by_model.stretch, which)
        assert {name: getattr(sums, name) for name in METRICS} == totals
    rows = usage(desk.ledger, scope, UsageQuestion(period, ("cost_usd",), ("model",))).rows
    parts = {part.key: part.change.now for part in digest.spend.by_model.parts}
    assert parts == {row.keys["model"]: row.values["cost_usd"] for row in rows}
    days = usage(desk.ledger, scope, UsageQuestion(period, ("cost_usd",), ("day",))).rows
    shown = [Decimal(cell.replace("$", "")) for cell in _total_row(digest)]
    assert shown == [row.values["cost_usd"] for row in days]


def _total_row(digest: Digest) -> list[str]:
    return section(digest, "By day and model")[-1][1:]


def test_a_day_of_25_hours_belongs_to_its_week_whole(tmp_path: Path) -> None:
    edges = [
        entry(MONDAY_US - 1, 5_000_000_000),
        entry(MONDAY_US),
        entry(END_US - 1),
        entry(END_US, 7_000_000_000),
    ]
    assert END_US - MONDAY_US == 7 * DAY_US + HOUR_US
    desk = DigestDesk(tmp_path, edges)
    digest = desk.digest()
    assert digest.headline.cost == "$2.00"
    assert _total_row(digest) == ["$1.00", *["$0.00"] * 5, "$1.00"]
    assert digest.spend.by_model.stretch.before.cost_usd == Decimal(5)
    desk.close()


def test_a_week_that_is_not_over_is_refused(desk: DigestDesk) -> None:
    with pytest.raises(BadQuestion, match="not over yet"):
        desk.digest(week=Week(2026, 44))


def test_a_lead_sees_their_teams_and_no_other(desk: DigestDesk) -> None:
    assert [row[0] for row in section(desk.digest("core"), "Teams")] == ["search", "core"]
    for team, others in (("core", ["gpt-4.1-mini"]), ("search", ["gpt-4.1-mini", "gpt-4.1 "])):
        text = text_of(desk.digest(team))
        assert not [it for it in others if it in text]
    with pytest.raises(ValueError, match="unpack"):
        section(desk.digest("search"), "Teams")


def test_every_part_of_the_mail_is_there_and_every_picture_is_shown(desk: DigestDesk) -> None:
    digest = desk.digest()
    sent = full_message("bot@acme.com", "cfo@acme.com", mail_of(digest, "weekly_1")).as_bytes()
    mail = message_from_bytes(sent, policy=default)
    assert [part.get_content_type() for part in mail.walk()] == [
        *("multipart/alternative", "text/plain", "multipart/related", "text/html"),
        *["image/png"] * len(digest.pictures),
    ]
    assert mail["Message-ID"] == "<weekly_1@acme.com>"
    parts = {part.get_content_type(): part for part in mail.walk()}
    html = parts["text/html"].get_content()
    assert len(html.encode()) < MAIL_BYTES_MAX
    asked = set(re.findall(r'src="([^"]*)"', html))
    attached = {str(part["Content-ID"]).strip("<>") for part in mail.walk() if part["Content-ID"]}
    assert asked == {f"cid:{cid}" for cid in attached}
    assert len(attached) == len(digest.pictures) > 3
    for part in mail.walk():
        if part.get_content_type() == "image/png":
            assert part.get_content_disposition() == "inline"
            pixels(part.get_payload(decode=True))
    assert "list-unsubscribe" not in {name.lower() for name in mail}  # type: ignore[attr-defined]


def test_html_and_text_say_the_same_and_nothing_is_fetched(desk: DigestDesk) -> None:
    digest = desk.digest()
    mail = mail_of(digest)
    page, text = Page(mail.html), " ".join(mail.text.split())
    for each in digest.sections:
        for row in each.rows:
            for cell in row.cells:
                assert " ".join(cell.text.split()) in page.text
                assert " ".join(cell.text.split()) in text
        if each.chart is not None:
            assert each.chart.picture.alt in text
    assert digest.headline.versus in text
    assert not {"script", "link", "iframe", "form", "svg", "object"} & set(page.tags)
    assert all(it.startswith("https://tk.acme.com/") for it in page.of("href"))
    assert "url(" not in mail.html
    assert all(alt for alt in page.of("alt") if alt) and any(page.of("alt"))
    assert 'width="600"' in mail.html


def test_the_picture_has_the_height_of_the_amounts() -> None:
    made = bar_picture([Series(0, [Decimal(1), Decimal(4)]), Series(1, [Decimal(0), None])], 2)
    rows = pixels(made.png)
    assert (len(rows), len(rows[0]), made.top) == (2 * TALL, 2 * WIDTH, Decimal(4))
    tall = [sum(row[x] == 2 for row in rows) for x in (WIDTH // 2, WIDTH + WIDTH // 2)]
    assert tall == [TALL // 2, 2 * TALL]
    assert all(0 not in row[WIDTH + 150 : WIDTH + 450] for row in rows)
    nothing = pixels(bar_picture([Series(0, [None, Decimal(-1)])], 2).png)
    assert {colour for row in nothing for colour in row} == {0, 1}


def test_names_do_nothing_wherever_they_stand(tmp_path: Path) -> None:
    names = (HOSTILE, RIGHT_TO_LEFT, LONG[:90], "\u202eevil\u2066", "=cmd|'x'!A1")
    teams = [" ".join("".join(it if it.isprintable() else " " for it in name).split())
             for name in names]  # fmt: skip
    calls = [past(team, name) for team, name in zip(teams, names, strict=True)]
    desk = DigestDesk(tmp_path, [each for some in calls for each in some])
    for number, team in enumerate(teams):
        desk.add(f"lead{number}@acme.com", Role.LEAD, team)
        desk.store.add_budget(budget(f"b{number}", DOLLAR)._replace(name=team), MONDAY_US, "test")
    for digest in (desk.digest(), desk.digest(teams[0]), desk.digest(teams[1])):
        mail = mail_of(digest)
        page = Page(mail.html)
        assert not page.of("onclick")
        assert set(page.tags) == {
            *("html", "head", "meta", "title", "style", "body", "table", "tr", "td", "th"),
            *("p", "span", "h2", "a", "b", "img"),
        }
        sent = message_from_bytes(full_message("a@b.example", "c@d.example", mail).as_bytes())
        assert set(sent.keys()) == {
            *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
            *("Content-Type", "MIME-Version"),
        }
        assert mail.subject.isprintable()
        assert len(mail.subject) <= 150
        title, text = chat_of(digest)
        for written in (mail.text, text, title, mail.html):
            assert not set(written) & set("\u202e\u2066\r\x00")
            assert "\nBcc" not in written
    assert f"\u2068{RIGHT_TO_LEFT}\u2069" in mail.text
    assert 'dir="auto"' in mail.html
    desk.close()


def test_nobody_is_named_and_small_groups_are_hidden(tmp_path: Path) -> None:
    desk = DigestDesk(tmp_path, [])
    users = [desk.add(f"p{number}@acme.com", Role.MEMBER, "core") for number in range(12)]
    few = [desk.add(f"q{number}@acme.com", Role.MEMBER, "few") for number in range(3)]
    at_us = MONDAY_US + HOUR_US
    desk.ledger.append(
        [
            *(entry(at_us, team="core", user_id=it, user_name=it, key_name=it) for it in users[:6]),
            *(entry(at_us, team="few", user_id=it, user_name=it) for it in few[:1]),
        ],
        None,
    )
    personal = budget("each", DOLLAR)._replace(scope=BudgetScope.USER, each=True, name="Own money")
    desk.store.add_budget(personal, MONDAY_US, "test")
    key = AlertKey("budget", "each", users[0], MONDAY_US, 8_000)
    desk.store.add_alert(
        Alert("a1", key, AlertState.FIRED, END_US, 9, 10, "Own money", f"Own money ({users[0]})",
              at_us, at_us)
    )  # fmt: skip
    key = AlertKey("new_tool", users[0], users[0], MONDAY_US, 1)
    desk.store.add_alert(
        Alert("a2", key, AlertState.FIRED, END_US, 9, 10, "x", f"Key {users[0]}: used with x",
              at_us, at_us)
    )  # fmt: skip
    texts = [text_of(desk.digest(team)) for team in ("", "core", "few")]
    for text in texts:
        assert not [it for it in (*users, *few) if it in text]
        assert "@acme.com" not in text
    assert "Own money: 80% spent by one" in texts[0]
    assert "A key was used with a tool for the first time" in texts[0]
    assert section(desk.digest("core"), "People who use it") == [["core", "12", "hidden", "hidden"]]
    assert section(desk.digest("few"), "People who use it") == [["few", "3", "hidden", "hidden"]]
    desk.close()


def test_budgets_at_risk_and_alerts_are_those_of_the_audience(desk: DigestDesk) -> None:
    for name, team, posted in (("Core cap", "core", 95), ("Other cap", "other", 10)):
        made = budget(name.partition(" ")[0], 100 * DOLLAR)
        made = made._replace(name=name, scope=BudgetScope.TEAM, match=team)
        desk.store.add_budget(made, MONDAY_US, "test")
        window = made.window.around(NOW_US)
        spend(desk, made, posted * DOLLAR)
        fired = AlertKey("budget", made.budget_id, "", window.start_us, 8_000)
        desk.store.add_alert(
            Alert(f"alert-{team}", fired, AlertState.FIRED, END_US, 8, 10, name, f"{name}: 80 %",
                  MONDAY_US + 5, MONDAY_US + 5)
        )  # fmt: skip
    late = AlertKey("spend_day", "", "", END_US, 1)
    desk.store.add_alert(
        Alert("late", late, AlertState.FIRED, END_US, 8, 10, "", "An unusual day", END_US, END_US)
    )
    company, core, other = desk.digest(), desk.digest("core"), desk.digest("other")
    assert [row[:3] for row in section(company, "Budgets at risk")] == [
        ["Core cap", "95%", "$95.00 of $100.00"]
    ]
    assert section(core, "Budgets at risk") == section(company, "Budgets at risk")
    assert section(other, "Budgets at risk") == []
    assert {row[0] for row in section(company, "Alerts of the week")} == {
        *("Core cap: 80 %", "Other cap: 80 %")
    }
    assert [row[0] for row in section(core, "Alerts of the week")] == ["Core cap: 80 %"]
    assert "No budget is at risk." in text_of(other)


def test_estimates_and_unknown_prices_are_said(desk: DigestDesk) -> None:
    rows = {row[0]: row[1:] for row in section(desk.digest(), "The week")}
    assert rows["Estimated ($0.25 in 1 call)"][0] == "<1%"
    (said,) = (name for name in rows if name.startswith("Unpriced"))
    assert rows[said][0] == "1"
    assert all(it in chat_of(desk.digest())[1] for it in ("Estimated", "Unpriced"))


def test_a_week_without_anything_says_so(desk: DigestDesk) -> None:
    digest = desk.digest(week=Week(2026, 30))
    assert digest.subject == "acme: nothing was spent in week 30"
    assert "Nothing was spent" in text_of(digest)
    assert digest.pictures == ()
    assert "Nothing was spent" in Page(mail_of(digest).html).text


def test_the_largest_mail_is_not_cut_off(tmp_path: Path) -> None:
    entries = [
        entry(MONDAY_US + day * DAY_US, team=f"team {number:02} {'x' * 60}",
              model_served=f"a-model-with-a-long-name-{number:02}-{'y' * 60}")
        for number in range(20)
        for day in (-3, 0, 3)
    ]  # fmt: skip
    desk = DigestDesk(tmp_path, entries)
    for number in range(14):
        made = budget(f"b{number}", 0 * DOLLAR + 1)._replace(name=f"{number} {'z' * 150}")
        desk.store.add_budget(made, MONDAY_US, "test")
        key = AlertKey("budget", f"b{number}", "", MONDAY_US, 8_000)
        desk.store.add_alert(
            Alert(f"a{number}", key, AlertState.FIRED, END_US, 8, 10, "n", "t" * 200,
                  MONDAY_US + number, MONDAY_US)
        )  # fmt: skip
    digest = desk.digest()
    assert len(mail_of(digest).html.encode()) < MAIL_BYTES_MAX
    assert len(chat_of(digest)[1]) < 4_000
    assert "10 more teams are on the page." in text_of(digest)
    assert "4 more are on the page." in text_of(digest)
    desk.close()
