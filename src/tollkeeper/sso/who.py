"""From claims to somebody: where address, name and groups stand, and what may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.domain.oidc import Arrival, OidcProvider

GROUPS_MAX: Final = 2_000
_EMAIL: Final = "email"
_TEXT_CHARS_MAX: Final = 300

Claims = Mapping[str, Any]


def needs_more(provider: OidcProvider, claims: Claims) -> bool:
    """Tell whether the ID token leaves out what the provider's userinfo may have."""
    if not _text(found(claims, provider.email_claim)):
        return True
    return bool(provider.rules) and found(claims, provider.groups_claim) is None


def arrival_of(provider: OidcProvider, claims: Claims, userinfo: Claims) -> Arrival:
    """Say who has arrived. What is signed wins over what userinfo says.

    Whether an address is verified is believed from the same source as the address alone.
    """
    source = claims if _text(found(claims, provider.email_claim)) else userinfo
    name = _text(found(claims, provider.name_claim)) or _text(found(userinfo, provider.name_claim))
    groups = found(claims, provider.groups_claim)
    if groups is None:
        groups = found(userinfo, provider.groups_claim)
    return Arrival(
        issuer=provider.issuer,
        subject=claims["sub"],
        email=_text(found(source, provider.email_claim)),
        is_verified=_is_verified(provider, source),
        name=name,
        groups=_texts(groups),
    )


def found(claims: Claims, place: str) -> Any:
    """Give a claim by its name, or by a way of dots into objects; None where there is none."""
    if place in claims:
        return claims[place]
    here: Any = claims
    for step in place.split("."):
        here = here.get(step) if isinstance(here, Mapping) else None
    return here


def _is_verified(provider: OidcProvider, source: Claims) -> bool:
    """Tell whether the address is vouched for: ``email_verified`` speaks of ``email`` alone.

    Some providers say it as a text; some say nothing, which the operator may make up for.
    """
    said = source.get("email_verified") if provider.email_claim == _EMAIL else None
    if said is None:
        return provider.trusts_emails
    return said is True or said == "true"


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _TEXT_CHARS_MAX else ""


def _texts(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(text for text in map(_text, listed[:GROUPS_MAX]) if text)
