"""``sign_in.oidc``: read, or refused with file, line and remedy, and no secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.oidc import GroupRule, OidcProvider

SECRET = "s3cret-of-the-client"
START = """public_url: https://tk.acme.com
sign_in:
  oidc:
    - name: okta
      issuer: https://acme.okta.com
      client_id: 0oa1
      client_secret: ${OKTA_SECRET}
"""


def load(folder: Path, text: str) -> tuple[OidcProvider, ...]:
    file = folder / "tollkeeper.yaml"
    file.write_text(text)
    return config.load(file, {"OKTA_SECRET": SECRET}).oidc


def test_a_provider_is_read(tmp_path: Path) -> None:
    (found,) = load(
        tmp_path,
        START
        + """
      label: Okta
      scopes: [openid, email, groups]
      claims: {groups: realm_access.roles}
      groups:
        tollkeeper-admins: admin
        "core engineers": {role: lead, team: Core}
        search: {team: search}
        "*": member
      create_users: true
      email_domains: [Acme.com]
      allow_private: [Okta.internal]
      session_h: 9
""",
    )
    assert found.client_secret == SECRET
    assert SECRET not in repr(found)
    assert (found.path, found.label) == ("/login/oidc/okta", "Okta")
    assert found.scopes == ("openid", "email", "groups")
    assert found.groups_claim == "realm_access.roles"
    assert found.rules == (
        GroupRule("tollkeeper-admins", Role.ADMIN),
        GroupRule("core engineers", Role.LEAD, "Core"),
        GroupRule("search", None, "search"),
        GroupRule("*", Role.MEMBER),
    )
    assert found.gives_roles
    assert found.create_users
    assert found.takes("a@ACME.com")
    assert not found.takes("a@evil-acme.com")
    assert found.private_hosts == {"okta.internal"}
    assert found.session_h == 9


def test_what_is_left_out_is_strict(tmp_path: Path) -> None:
    (found,) = load(tmp_path, START)
    assert (found.rules, found.create_users, found.trusts_emails) == ((), False, False)
    assert (found.label, found.signs_out, found.session_h) == ("okta", False, 24)


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    text = START.replace("client_secret: ${OKTA_SECRET}", f"client_secret_file: {tmp_path}/secret")
    assert load(tmp_path, text)[0].client_secret == SECRET


@pytest.mark.parametrize(
    ("change", "words", "line"),
    [
        (("public_url: https://tk.acme.com", ""), "needs public_url", 4),
        (("name: okta", "name: Okta/../x"), "small letters, digits and -", 4),
        (("https://acme.okta.com", "http://acme.okta.com"), "must begin with https://", 5),
        (("https://acme.okta.com", "https://10.0.0.5"), "points inside", 5),
        (("https://acme.okta.com", "https://sso"), "points inside", 5),
        (("https://acme.okta.com", "https://169.254.169.254"), "points inside", 5),
        (("https://acme.okta.com", "https://a@acme.okta.com"), "user or password", 5),
        (("https://acme.okta.com", "https://acme.okta.com?x=1"), "has no ?", 5),
        (
            ("acme.okta.com", "acme.okta.com/.well-known/openid-configuration"),
            "is the address of the discovery document",
            5,
        ),
        (("client_id: 0oa1", 'client_id: ""'), "length >= 1", 6),
        (("client_secret: ${", "client_secret_file: x\n      client_secret: ${"), "leave one", 7),
        (("client_secret: ${OKTA_SECRET}", "client_secret_file: /not/there"), "No such file", 7),
        (("client_id", "label: ''\n      klient_id"), "no such option", 7),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, change: tuple[str, str], words: str, line: int
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, START.replace(*change))
    assert words in str(caught.value)
    assert caught.value.line == line
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("create_users: true", "needs groups that give a role"),
        ("create_users: true\n      groups: {x: {team: core}}", "needs groups that give a role"),
        ("groups: {x: boss}", "'boss' is no role"),
        ("groups: {x: {rolle: admin}}", "known here: role, team"),
        ("groups: {x: {}}", "gives a role, a team, or both"),
        ("groups: {x: {team: 7}}", "gives a role, a team, or both"),
        ("groups: {x: [admin]}", "is no role"),
        ('groups: {x: {team: "a\\u202eb"}}', "invisible"),
        ("email_domains: [acme]", "is no domain"),
        ('email_domains: ["@acme.com"]', "is no domain"),
        ('scopes: ["open id"]', "are at most 20 words"),
        ("allow_private: [a/b]", "is no host"),
        ("session_h: 0", "is 1 to 168 hours"),
        ("session_h: 169", "is 1 to 168 hours"),
        (f"label: {'x' * 41}", "is longer than 40"),
        ("claims: {group: x}", "did you mean 'groups'?"),
    ],
)
def test_more_that_cannot_be_meant(tmp_path: Path, more: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"{START}      {more}\n")
    assert words in str(caught.value)
    assert caught.value.line >= 8


def test_two_of_one_name_or_issuer_are_one_too_many(tmp_path: Path) -> None:
    entry = START[START.index("    - name") :]
    with pytest.raises(ConfigError, match="two providers 'okta'"):
        load(tmp_path, START + entry)
    with pytest.raises(ConfigError, match="two providers have this issuer"):
        load(tmp_path, START + entry.replace("name: okta", "name: other"))
