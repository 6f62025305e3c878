"""Keys of a team and of no person: they stay when people leave, and end with the team."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import NOW, Folder, add_person
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.errors import KeyRejected, NotAllowed
from tollkeeper.services import keys, people
from tollkeeper.services.key_documents import emails_of, key_document
from tollkeeper.services.key_rotation import Rotation, rotate
from tollkeeper.services.keys import KeyRequest


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    opened.store.set_org_name("Acme")
    add_person(opened.store, "root@acme.com", "", Role.ADMIN)
    yield opened
    opened.store.close()


def test_a_service_key_outlives_whoever_issued_it(folder: Folder) -> None:
    store, vault = folder.store, folder.vault
    lead = add_person(store, "lead@acme.com", "core", Role.LEAD)
    own = keys.issue(
        *(store, vault, KeyRequest("laptop", email=lead.email), keys.OPERATOR, NOW),
    )
    service = keys.issue(
        *(store, vault, KeyRequest("indexer", team="core"), keys.issuer_of_user(lead), NOW),
    )
    document = key_document(service.record, emails_of(store), NOW)
    assert (document["user"], document["team"], document["created_by"]) == (
        *(None, "core", "lead@acme.com"),
    )
    people.deactivate_user(store, lead.email, NOW)
    with pytest.raises(KeyRejected):
        keys.verify_stored(own.token, store, vault, NOW, KeyKind.VIRTUAL)
    assert keys.verify_stored(service.token, store, vault, NOW, KeyKind.VIRTUAL).team == "core"

    successor = add_person(store, "next@acme.com", "core", Role.LEAD)
    wanted = Rotation(service.record.key.key_id, 0)
    again = rotate(store, vault, wanted, keys.issuer_of_user(successor), NOW)
    people.set_team_active(store, "core", False)
    with pytest.raises(KeyRejected):
        keys.verify_stored(again.token, store, vault, NOW, KeyKind.VIRTUAL)


@pytest.mark.parametrize("role", [Role.MEMBER, Role.FINANCE, Role.AUDITOR])
def test_only_leads_and_admins_issue_keys_of_a_team(folder: Folder, role: Role) -> None:
    person = keys.issuer_of_user(add_person(folder.store, "p@acme.com", "core", role))
    with pytest.raises(NotAllowed):
        keys.issue(folder.store, folder.vault, KeyRequest("x", team="core"), person, NOW)
