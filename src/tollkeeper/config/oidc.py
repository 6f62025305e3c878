"""``sign_in.oidc`` in tollkeeper.yaml: the providers that people sign in at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from tollkeeper.config import yaml_file
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.oidc import ISSUER_CHARS_MAX, NAME, SESSION_H, GroupRule, OidcProvider
from tollkeeper.domain.outside import host_of, target_of
from tollkeeper.services.names import clean_name
from tollkeeper.services.sign_in import SESSION_LIFETIME_US

PROVIDERS_MAX: Final = 10
SESSION_H_MAX: Final = SESSION_LIFETIME_US // (3600 * 1_000_000)
_SECTION: Final = ("sign_in", "oidc")
_LABEL_CHARS_MAX: Final = 40
_SECRET_CHARS_MAX: Final = 4_000
_SCOPES: Final = ("openid", "email", "profile")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,100}")
_PART: Final = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_PART}(?:\.{_PART})+")
_DISCOVERY: Final = "/.well-known/openid-configuration"
_GROUP_EXAMPLE: Final = "groups: {tollkeeper-admins: admin, engineers: {role: member, team: core}}"


class OidcClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where claims stand; dots lead into objects, as in ``realm_access.roles``."""

    groups: str = "groups"
    email: str = "email"
    name: str = "name"


class OidcOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider. ``groups`` maps a group to a role, or to role and team."""

    name: str
    issuer: str
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    client_secret: str = ""
    client_secret_file: str = ""
    label: str = ""
    scopes: list[str] = []
    claims: OidcClaims = OidcClaims()
    groups: dict[str, Any] = {}
    create_users: bool = False
    email_domains: list[str] = []
    trust_emails: bool = False
    sign_out: bool = False
    allow_private: list[str] = []
    session_h: int = SESSION_H


def oidc_providers(
    document: yaml_file.Document, listed: Sequence[OidcOptions], public_url: str
) -> tuple[OidcProvider, ...]:
    """Read the section. Raises ConfigError, which names the line and shows no secret."""
    if listed and not public_url:
        raise document.error(
            _SECTION,
            "needs public_url, because the provider sends people back there",
            "public_url: https://tollkeeper.example.com",
        )
    if len(listed) > PROVIDERS_MAX:
        raise document.error(_SECTION, f"at most {PROVIDERS_MAX} providers")
    found: dict[str, OidcProvider] = {}
    issuers: set[str] = set()
    for number, options in enumerate(listed):
        path: yaml_file.Path = (*_SECTION, number)
        made = _provider(document, path, options)
        if made.name in found:
            raise document.error((*path, "name"), f"there are two providers {made.name!r}")
        if made.issuer in issuers:
            raise document.error(
                (*path, "issuer"), "two providers have this issuer", "one client is enough"
            )
        found[made.name] = made
        issuers.add(made.issuer)
    return tuple(found.values())


def _provider(
    document: yaml_file.Document, path: yaml_file.Path, options: OidcOptions
) -> OidcProvider:
    if not NAME.fullmatch(options.name):
        reason = "a provider's name is 1 to 40 small letters, digits and -"
        raise document.error((*path, "name"), reason, "it stands in the redirect URI")
    named = frozenset(_hosts(document, (*path, "allow_private"), options.allow_private))
    rules = tuple(_rules(document, (*path, "groups"), options.groups))
    if options.create_users and not any(rule.role is not None for rule in rules):
        raise document.error(
            (*path, "create_users"), "needs groups that give a role", _GROUP_EXAMPLE
        )
    return OidcProvider(
        name=options.name,
        label=_label(document, path, options),
        issuer=_issuer(document, (*path, "issuer"), options.issuer, named),
        client_id=options.client_id,
        client_secret=_secret(document, path, options),
        scopes=_scopes(document, (*path, "scopes"), options.scopes or _SCOPES),
        groups_claim=options.claims.groups,
        email_claim=options.claims.email,
        name_claim=options.claims.name,
        rules=rules,
        create_users=options.create_users,
        domains=frozenset(_domains(document, (*path, "email_domains"), options.email_domains)),
        trusts_emails=options.trust_emails,
        signs_out=options.sign_out,
        private_hosts=named,
        session_h=_session_h(document, (*path, "session_h"), options.session_h),
    )


def _label(document: yaml_file.Document, path: yaml_file.Path, options: OidcOptions) -> str:
    try:
        label = clean_name(options.label or options.name, "the label")
    except BadRequest as error:
        raise document.error((*path, "label"), error.message) from None
    if len(label) > _LABEL_CHARS_MAX:
        raise document.error((*path, "label"), f"is longer than {_LABEL_CHARS_MAX} characters")
    return label


def _issuer(
    document: yaml_file.Document, path: yaml_file.Path, text: str, named: frozenset[str]
) -> str:
    try:
        target_of(text, named)
    except ValueError as error:
        raise document.error(path, f"the address {error}") from None
    if "?" in text or len(text) > ISSUER_CHARS_MAX:
        raise document.error(path, f"has no ? and at most {ISSUER_CHARS_MAX} characters")
    if text.endswith(_DISCOVERY):
        raise document.error(
            path, "is the address of the discovery document", f"leave {_DISCOVERY} out"
        )
    return text


def _secret(document: yaml_file.Document, path: yaml_file.Path, options: OidcOptions) -> str:
    """Give the secret; "" for a public client, which PKCE alone protects."""
    if options.client_secret and options.client_secret_file:
        raise document.error(
            (*path, "client_secret_file"), "client_secret is given as well", "leave one out"
        )
    at = (*path, "client_secret")
    secret = options.client_secret
    if options.client_secret_file:
        at = (*path, "client_secret_file")
        try:
            with Path(options.client_secret_file).open(encoding="utf-8") as file:
                secret = file.read(_SECRET_CHARS_MAX + 1).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise document.error(at, f"cannot be read: {reason}") from None
        if not secret:
            raise document.error(at, "the file is empty")
    if len(secret) > _SECRET_CHARS_MAX or not secret.isprintable():
        raise document.error(at, f"is one line of at most {_SECRET_CHARS_MAX} characters")
    return secret


def _session_h(document: yaml_file.Document, path: yaml_file.Path, hours: int) -> int:
    if not 1 <= hours <= SESSION_H_MAX:
        raise document.error(path, f"is 1 to {SESSION_H_MAX} hours: no session lasts longer")
    return hours


def _scopes(
    document: yaml_file.Document, path: yaml_file.Path, listed: Sequence[str]
) -> tuple[str, ...]:
    if len(listed) > 20 or not all(map(_SCOPE.fullmatch, listed)):
        raise document.error(path, "are at most 20 words", "scopes: [openid, email, profile]")
    return tuple(dict.fromkeys(("openid", *listed)))


def _rules(
    document: yaml_file.Document, path: yaml_file.Path, listed: Mapping[str, Any]
) -> Iterator[GroupRule]:
    for group, given in listed.items():
        at = (*path, group)
        words = given if isinstance(given, dict) else {"role": given}
        unknown = sorted(set(words) - {"role", "team"})
        if unknown:
            raise document.error((*at, unknown[0]), "no such option", "known here: role, team")
        role_word, team = words.get("role", ""), words.get("team", "")
        if not isinstance(team, str) or not (role_word or team):
            raise document.error(at, "gives a role, a team, or both", _GROUP_EXAMPLE)
        try:
            role = Role(role_word) if role_word else None
        except ValueError:
            known = f"one of: {', '.join(Role)}"
            raise document.error(at, f"{str(role_word)[:40]!r} is no role", known) from None
        try:
            yield GroupRule(group, role, clean_name(team, "the team's name") if team else "")
        except BadRequest as error:
            raise document.error((*at, "team"), error.message) from None


def _domains(
    document: yaml_file.Document, path: yaml_file.Path, listed: Iterable[str]
) -> Iterator[str]:
    for number, text in enumerate(listed):
        if not _DOMAIN.fullmatch(text.lower()):
            raise document.error((*path, number), "is no domain", "write acme.com")
        yield text.lower()


def _hosts(
    document: yaml_file.Document, path: yaml_file.Path, listed: Iterable[str]
) -> Iterator[str]:
    for number, text in enumerate(listed):
        try:
            yield host_of(text)
        except ValueError:
            raise document.error((*path, number), "is no host", "write sso.internal") from None
