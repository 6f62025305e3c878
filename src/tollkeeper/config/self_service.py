"""What keys people may issue for themselves and their teams, in tollkeeper.yaml."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from tollkeeper.config import yaml_file
from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_words import UnclearWords
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.self_service import DAY_US, KEYS_MAX, Cap, SelfService, cap_of_words
from tollkeeper.services.names import clean_globs, clean_tags

_SECTION: Final[yaml_file.Path] = ("keys", "self_service")
_DAYS: Final = re.compile(r"([1-9][0-9]{0,3})d")
_ISSUERS: Final = (Role.MEMBER, Role.LEAD)


class SelfServiceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of ``keys.self_service``: whom it fits, and what keys they may issue."""

    models: list[str]
    providers: list[str]
    roles: list[str] = msgspec.field(default_factory=lambda: [str(role) for role in _ISSUERS])
    teams: list[str] = msgspec.field(default_factory=lambda: ["*"])
    keys_max: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = KEYS_MAX
    lifetime_max: str = "90d"
    key_budget_max: str = ""
    total_budget_max: str = ""
    networks_required: bool = False
    tags: dict[str, str] = {}


class KeyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``self_service`` bounds what whoever is no admin may issue; empty: as roles allow."""

    self_service: list[SelfServiceOptions] = []


def self_service(
    document: yaml_file.Document, listed: Sequence[SelfServiceOptions]
) -> tuple[SelfService, ...]:
    """Read the section, in order. Raises ConfigError, which names the line."""
    return tuple(_rule(document, (*_SECTION, number), each) for number, each in enumerate(listed))


def _rule(
    document: yaml_file.Document, path: yaml_file.Path, options: SelfServiceOptions
) -> SelfService:
    roles = {str(role): role for role in _ISSUERS}
    for role in options.roles:
        if role not in roles:
            raise document.error(
                (*path, "roles"), f"{role[:40]!r} issues no keys within bounds", "member, lead"
            )
    for option in ("models", "providers"):
        if not getattr(options, option):
            raise document.error(
                (*path, option), "an empty list allows nothing", "write ['*'] for all"
            )
    days = _DAYS.fullmatch(options.lifetime_max.strip())
    if days is None:
        raise document.error((*path, "lifetime_max"), "is a number of days", "write 90d")
    try:
        models = clean_globs(options.models, "model")
        providers = clean_globs(options.providers, "provider")
        tags = clean_tags(options.tags)
    except BadRequest as error:
        raise document.error(path, error.message) from None
    key_cap = _cap(document, path, "key_budget_max", options.key_budget_max)
    total_cap = _cap(document, path, "total_budget_max", options.total_budget_max)
    if total_cap is not None and (key_cap is None or key_cap[1:] != total_cap[1:]):
        raise document.error(
            (*path, "total_budget_max"),
            "needs key_budget_max beside it, in the same unit and window",
            "key_budget_max: 50 USD/month, total_budget_max: 100 USD/month",
        )
    return SelfService(
        roles=frozenset(roles[role] for role in options.roles),
        models=models,
        providers=providers,
        teams=tuple(options.teams),
        keys_max=options.keys_max,
        lifetime_max_us=int(days[1]) * DAY_US,
        key_budget_max=key_cap,
        total_budget_max=total_cap,
        networks_required=options.networks_required,
        tags=tags,
    )


def _cap(document: yaml_file.Document, path: yaml_file.Path, option: str, text: str) -> Cap | None:
    if not text:
        return None
    try:
        return cap_of_words(text, option)
    except UnclearWords as unclear:
        raise document.error((*path, option), unclear.reason, "write 50 USD/month") from None
