"""Puts the made-up company into a store: teams, people, keys and budgets, with their past."""

from __future__ import annotations

from typing import Final

from tollkeeper.demo.company import ORG, TEAMS, Company, Person
from tollkeeper.demo.stories import DAY_US
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.ports import Store, Vault
from tollkeeper.services import keys, people

_FOUNDED_DAYS: Final = 1_000
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PURPOSE: Final = "demo key"


def settle_in(store: Store, vault: Vault, company: Company) -> None:
    """Add the teams, people and keys of a company to an empty store: all of them, or none."""
    founded_us = (company.today - _FOUNDED_DAYS) * DAY_US
    with store.together():
        store.set_org_name(ORG)
        for plan in TEAMS:
            people.add_team(store, plan.name, founded_us, parent=plan.parent)
        for person in company.people:
            _join(store, vault, person, role_of(company, person))
        for app in company.services:
            since = app.service.since
            issued_us = (company.today - since) * DAY_US if since else founded_us
            request = keys.KeyRequest(app.service.key_name, team=app.service.team)
            issue_key(store, vault, app.key_id, request, issued_us)
        _replace_leaked_key(store, vault, company)
        for person in company.people:
            if person.left_day is not None:
                people.deactivate_user(store, person.email, person.left_day * DAY_US)


def admin_of(company: Company) -> Person:
    """Give the person who may do everything."""
    return company.people[0]


def role_of(company: Company, person: Person) -> Role:
    """Say what somebody may do: the first of each team leads it."""
    first = next(each for each in company.people if each.team == person.team)
    if person is admin_of(company):
        return Role.ADMIN
    if person is company.people[1]:
        return Role.FINANCE
    return Role.LEAD if person is first else Role.MEMBER


def token_of(vault: Vault, key_id: str) -> str:
    """Give a key of the demo as callers bring it. It follows from the folder's secret."""
    return key_tokens.build(KeyKind.VIRTUAL, key_id, _secret(vault, key_id))


def issue_key(
    store: Store, vault: Vault, key_id: str, request: keys.KeyRequest, issued_us: int
) -> None:
    """Issue a key of the demo."""
    chosen = keys.ChosenKey(key_id, _secret(vault, key_id))
    keys.issue(store, vault, request, keys.OPERATOR, issued_us, chosen=chosen)


def _join(store: Store, vault: Vault, person: Person, role: Role) -> None:
    joined_us = person.joined_day * DAY_US
    people.add_user(
        store,
        person.email,
        joined_us,
        name=person.name,
        role=role,
        team=person.team,
        user_id=person.user_id,
    )
    if person.agents or role is not Role.MEMBER:
        issue_key(
            store, vault, person.key_id, keys.KeyRequest("laptop", email=person.email), joined_us
        )


def _replace_leaked_key(store: Store, vault: Vault, company: Company) -> None:
    owner, until_us = company.leaked, company.stories.leak.until_us
    keys.revoke(store, owner.key_id, keys.OPERATOR, until_us)
    request = keys.KeyRequest("laptop, new", email=owner.email)
    issue_key(store, vault, company.second_key_id, request, until_us)


def _secret(vault: Vault, key_id: str) -> str:
    number = int.from_bytes(vault.mac(key_id.encode(), purpose=_PURPOSE), "big")
    digits = []
    for _ in range(key_tokens.SECRET_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
