"""The section ``mail``: read, or refused where it cannot work or would show the password."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.config import Configuration
from tollkeeper.domain.errors import ConfigError


def load(folder: Path, text: str) -> Configuration:
    file = folder / "tollkeeper.yaml"
    file.write_text(text)
    return config.load(file, {"MAIL_PASSWORD": "hunter2"})


def test_a_mail_server_is_read(tmp_path: Path) -> None:
    text = "mail: {host: mx.acme.com, from: bot@acme.com, user: bot, password: '${MAIL_PASSWORD}'}"
    mail = load(tmp_path, text).settings.mail
    assert (mail.host, mail.port, mail.sender, mail.user, mail.password, mail.starttls) == (
        *("mx.acme.com", 587, "bot@acme.com", "bot", "hunter2"),
        True,
    )
    assert load(tmp_path, "org: acme\n").settings.mail.host == ""
    local = "mail: {host: 127.0.0.1, from: a@b.c, user: b, password: p, starttls: false}"
    assert not load(tmp_path, local).settings.mail.starttls


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("{from: bot@acme.com}", "mail.host"),
        ("{host: smtp.acme.com}", "mail.from"),
        ("{host: smtp.acme.com, from: no-address}", "mail.from"),
        ("{host: smtp.acme.com, from: 'a@b.c\\nBcc: d@e.f'}", "mail.from"),
        ("{host: smtp.acme.com, from: a@b.c, user: bot}", "go together"),
        ("{host: h.b, from: a@b.c, user: b, password: '${MAIL_PASSWORD}', starttls: false}", "way"),
        ("{host: h.b, from: a@b.c, port: 0}", "port"),
        ("{host: h.b, from: a@b.c, tls: yes}", "tls"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, section: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as raised:
        load(tmp_path, f"mail: {section}")
    assert "hunter2" not in str(raised.value)
    assert "tollkeeper.yaml" in str(raised.value)
