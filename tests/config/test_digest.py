"""The section ``digest``: read, or refused with file, line and remedy, and no secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.digests import DigestSettings
from tollkeeper.domain.errors import ConfigError

MAIL = "mail: {host: smtp.acme.com, from: tollkeeper@acme.com}\n"


def load(folder: Path, text: str) -> DigestSettings:
    file = folder / "tollkeeper.yaml"
    file.write_text(text)
    return config.load(file, {"TOKEN": "t0ken-secret"}).digest


def test_it_is_off_until_it_is_switched_on(tmp_path: Path) -> None:
    assert load(tmp_path, "timezone: Asia/Kolkata\n") == DigestSettings(zone="Asia/Kolkata")


def test_day_time_zone_addresses_and_chats_are_read(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        MAIL
        + """
alerts: {allow_private: [chat.internal]}
digest:
  enabled: true
  day: friday
  at: "17:30"
  timezone: Europe/Berlin
  company: [CFO@acme.com]
  leads: false
  chats:
    - slack://T1JJ3T3L2/A1BRTD4JD/${TOKEN}/#costs
    - {url: "mmost://chat.internal/${TOKEN}", team: Core, name: core}
""",
    )
    assert found[:4] == (True, 4, 17 * 60 + 30, "Europe/Berlin")
    assert (found.company, found.leads) == (("cfo@acme.com",), False)
    assert [(it.channel.name, it.channel.kind, it.team) for it in found.chats] == [
        ("digest-1", "Slack", ""),
        ("core", "Mmost", "Core"),
    ]
    assert "t0ken" not in repr(found)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("enabled: true", "nobody could be sent one"),
        ("day: someday", "Invalid|invalid"),
        ("at: noon", "08:00"),
        ("timezone: Mars/Base", "time zone"),
        ("company: [nobody]", "e-mail address"),
        ('chats: ["json://h.acme.com/t0ken-secret"]', "webhooks"),
        ('chats: ["mmost://chat.internal/t0ken-secret"]', "."),
        ('chats: [{url: "slack://t0ken-secret/b/c", name: "Ä B"}]', "small letters"),
        ('chats: [{url: "slack://a/b/c", name: x}, {url: "slack://a/c/d", name: x}]', "two"),
        ("weekly: true", "no such option"),
    ],
)
def test_a_fault_names_file_and_line_and_shows_no_secret(
    tmp_path: Path, entry: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        load(tmp_path, f"digest:\n  {entry}\n")
    assert f"{tmp_path / 'tollkeeper.yaml'}:" in str(raised.value)
    assert "t0ken" not in str(raised.value)
