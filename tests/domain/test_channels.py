"""Channels: which services may be used, and where they may be."""

from __future__ import annotations

import apprise
import pytest

from tollkeeper.domain.channels import FIXED, HOSTED, chat, webhook, webhook_key

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REFUSED = [
    *("json://10.0.0.1/x", "jsons://hooks.acme.com", "xml://h/", "form://h/", "https://a.b/c"),
    *("syslog://", "dbus://", "windows://", "gnome://", "macosx://", "file:///etc/passwd"),
    *("mqtt://10.0.0.1/t", "rsyslog://10.0.0.1", "irc://10.0.0.1/c", "smpp://h/", "nonsense"),
    *("slack:/token", "", "://", "slack://a b", "slack://a\\b", "slack://a\nb"),
    *("mailto://user:pass@127.0.0.1", "mailtos://localhost?to=a@b.c", "mailto://2130706433"),
    *("gotifys://0x7f.1/token", "matrixs://u:p@[::1]/#r", "ntfys://169.254.169.254/topic"),
    *("mmosts://intranet/token", "gotify://push.acme.com/token", "mmost://chat.acme.com/token"),
    *("mailtos://u:p@mail.acme.com?verify=no", "rockets://u:p@c.acme.com/#r&verify=false"),
    "mailtos://u:p@a.example@127.0.0.1/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_what_may_not_be_used_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        chat("c", url, ())
    for secret in ("pass", "token", "u:p"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops", "Slack", "slack://…"),
        ("mailtos://bot:hunter2@mail.acme.com:587?to=ops@acme.com", "Mail", "mailtos://mail.acme"),
        ("ntfy://our-topic", "Ntfy", "ntfy://…"),
        ("gotifys://push.acme.com/AbCdEfGhIjKlMnO", "Gotifys", "gotifys://push.acme.com/…"),
        ("workflows://prod.westus.logic.azure.com/643e69/234ab", "Teams", "workflows://…"),
    ],
)
def test_services_are_known_and_show_no_secret(url: str, kind: str, shown: str) -> None:
    made = chat("c", url, ())
    assert made.kind == kind
    assert made.shown.startswith(shown)
    for secret in ("TIiajk", "hunter2", "AbCd", "234ab", "our-topic"):
        assert secret not in made.shown + repr(made)


def test_a_host_that_is_named_may_be_inside_and_plain() -> None:
    assert chat("c", "gotify://10.0.0.5/token", {"10.0.0.5"}).shown == "gotify://10.0.0.5/…"


@pytest.mark.filterwarnings("ignore")  # of plugins that are loaded here and not used
def test_apprise_knows_every_service_that_may_be_used() -> None:
    known = apprise.manager_plugins.NotificationManager().schemas()
    assert {*FIXED, *HOSTED} <= set(known)


def test_a_webhook_needs_a_good_secret() -> None:
    made = webhook("w", "https://hooks.acme.com/t0ken", [SECRET], ())
    assert (made.shown, len(made.secrets)) == ("https://hooks.acme.com/…", 1)
    assert "t0ken" not in repr(made)
    for wrong in (
        "",
        "whsec_",
        "whsec_dG9vIHNob3J0",
        "hunter2hunter2",
        "whsec_!!!!",
        "whsec_" + "A" * 200,
    ):
        with pytest.raises(ValueError, match="secret"):
            webhook_key(wrong)
    with pytest.raises(ValueError, match="secret"):
        webhook("w", "https://hooks.acme.com/", [], ())
