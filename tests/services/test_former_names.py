"""Names that teams have left: nobody else gets them, and what stands under them, by accident."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import stores
from stores import NOW, Folder
from tollkeeper.domain.errors import Conflict
from tollkeeper.domain.scim import ScimRefused
from tollkeeper.services import former_names, people, people_changes, people_import, scim_groups


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A store in which "core" became "platform"."""
    opened = stores.open_folder(tmp_path)
    people.add_team(opened.store, "core", NOW)
    people.add_team(opened.store, "search", NOW)
    people.rename_team(opened.store, "core", "platform", NOW)
    yield opened
    opened.store.close()


def id_of(folder: Folder, name: str) -> str:
    return people.find_team(folder.store, name).team_id


def by_import(folder: Folder) -> None:
    plan = people_import.plan_of(folder.store, b"email,team\na@acme.com,core\n")
    (fault,) = plan.faults
    raise Conflict(fault.message, code="team_name_used")


WAYS: dict[str, Callable[[Folder], object]] = {
    "added": lambda f: people.add_team(f.store, " CORE ", NOW),
    "ensured": lambda f: people.ensure_team(f.store, "core", NOW),
    "renamed": lambda f: people.rename_team(f.store, "search", "core", NOW),
    "changed": lambda f: people_changes.change_team(
        f.store, id_of(f, "search"), NOW, name="Core", active=False
    ),
    "provisioned": lambda f: scim_groups.add(f.store, scim_groups.Wish("core", None, None), NOW),
    "imported": by_import,
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_a_former_name(folder: Folder, way: str) -> None:
    before = folder.store.teams()
    with pytest.raises((Conflict, ScimRefused)) as caught:
        WAYS[way](folder)
    assert caught.value.code == "team_name_used"
    assert "'platform' was called" in caught.value.message
    assert folder.store.teams() == before


def test_a_team_gets_its_own_name_back(folder: Folder) -> None:
    people.rename_team(folder.store, "platform", "Core", NOW)
    people.rename_team(folder.store, "Core", "core", NOW)
    with pytest.raises(Conflict) as caught:
        people.add_team(folder.store, "platform", NOW)
    assert caught.value.code == "team_name_used"


def test_whoever_says_so_takes_it_over_and_then_it_is_of_both(folder: Folder) -> None:
    people.rename_team(folder.store, "search", "core", NOW, take_over=True)
    people.rename_team(folder.store, "core", "find", NOW)
    for name in ("platform", "find"):  # both have calls under it
        with pytest.raises(Conflict) as caught:
            people.rename_team(folder.store, name, "core", NOW)
        assert caught.value.code == "team_name_used"
    assert people.add_team(folder.store, "core", NOW, take_over=True).name == "core"


def test_all_renamings_are_known_however_many(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_names, "_PAGE", 2)
    names = [f"team {number}" for number in range(5)]
    for before, after in zip(["search", *names], names, strict=False):
        people.rename_team(folder.store, before, after, NOW)
    known = former_names.former_names(folder.store)
    assert set(known) == {"core", "search", *names[:-1]}
    assert {each.name_now for each in known["search"]} == {"team 4"}
