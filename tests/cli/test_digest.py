"""``tollkeeper digest`` on a real store and ledger, with a real mail server."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from command_line import CommandLine
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from receivers import mail_receiver
from stores import add_person, open_folder
from tollkeeper import clock
from tollkeeper.domain.access import Role
from tollkeeper.domain.digests import last_week
from tollkeeper.ports import Position
from tollkeeper.reports import zones

ORG = "acme"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    folder = open_folder(tmp_path_factory.mktemp("digest"))
    folder.store.set_org_name(ORG)
    add_person(folder.store, "root@acme.com", "", Role.ADMIN)
    add_person(folder.store, "lena@acme.com", "core", Role.LEAD)
    week = last_week("UTC", clock.now_us())
    at_us = zones.day_start(week.first_day, zones.zone_info("UTC")) + 3_600_000_000
    entries = [
        ledger_entry(org=ORG, team=team, started_at_us=at_us + number)._replace(
            cost_nanos=2_000_000_000
        )
        for number, team in enumerate(("core", "core", "other"))
    ]
    ledger = open_duckdb(folder.data.root)
    ledger.append(entries, Position("a", 1))
    ledger.close()
    folder.store.close()
    return CommandLine(folder.data.root)


@pytest.fixture(autouse=True)
def nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def test_it_is_shown_as_text(company: CommandLine) -> None:
    shown = company("digest", "preview")
    assert shown.code == 0, shown.err
    assert "acme: $6.00 in week" in shown.out
    team = company("digest", "preview", "--team", "CORE")
    assert "core: $4.00 in week" in team.out
    assert "other" not in team.out


def test_it_is_written_to_a_file(company: CommandLine, tmp_path: Path) -> None:
    found = {}
    for ending in (".html", ".eml"):
        out = tmp_path / f"digest{ending}"
        shown = company("digest", "preview", "--out", str(out))
        assert shown.code == 0, shown.err
        found[ending] = out.read_bytes()
    mail = message_from_bytes(found[".eml"], policy=default)
    assert [it.get_content_type() for it in mail.walk()].count("image/png") > 2
    assert "$6.00" in str(mail["Subject"])
    assert b"cid:" not in found[".html"]
    assert b"data:image/png;base64," in found[".html"]


def test_what_cannot_be_shown_is_said(company: CommandLine) -> None:
    for arguments, says in (
        (("--team", "nobody"), "there is no team 'nobody'"),
        (("--week", "2026-47"), "write it as 2026-W47"),
        (("--week", "2100-W01"), "is not over yet"),
        (("--out", "digest.pdf"), ".html, .eml, .txt"),
    ):
        ended = company("digest", "preview", *arguments)
        assert ended.code == 2
        assert says in " ".join(ended.err.replace("│", " ").split())


def test_it_is_mailed_to_whom_one_names(company: CommandLine, tmp_path: Path) -> None:
    with mail_receiver() as server:
        (tmp_path / "tollkeeper.yaml").write_text(
            f"mail: {{host: 127.0.0.1, port: {server.port}, from: bot@acme.com, starttls: false}}\n"
        )
        dry = company("digest", "send", "--to", "cfo@acme.com", "--dry-run")
        assert "Would be mailed to cfo@acme.com: acme: $6.00" in dry.out
        assert server.received == []
        sent = company("digest", "send", "--to", "CFO@acme.com", "--json").json()
        assert sent["sent"] is True
        (got,) = server.received
    assert got.rcpt_tos == ["cfo@acme.com"]
    assert b"multipart/related" in bytes(got.content or b"")


def test_whom_the_weekly_ones_go_to_can_be_seen(company: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.yaml").write_text(
        "mail: {host: smtp.acme.com, from: bot@acme.com}\ndigest: {enabled: true}\n"
    )
    answer = company("digest", "send", "--dry-run", "--json").json()
    assert answer["enabled"] is True
    assert [(it["to"], it["team"], it["state"]) for it in answer["recipients"]] == [
        ("root@acme.com", None, "not written"),
        ("lena@acme.com", "core", "not written"),
    ]
    assert "lena@acme.com" in company("digest", "send", "--dry-run").out
    assert company("digest", "send").code == 2


def test_without_a_mail_server_nothing_is_mailed(company: CommandLine) -> None:
    ended = company("digest", "send", "--to", "cfo@acme.com")
    assert ended.code == 1
    assert "no mail server is configured" in ended.err
