"""The first start: everything once, whoever comes first, whatever is killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import NOW, Folder
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import KeyRejected
from tollkeeper.services import first_run, keys, people, sign_in
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory

_SCRIPT = """
import sys
from pathlib import Path
from tollkeeper.bootstrap import open_store, open_vault
from tollkeeper.ports import DataFolder
from tollkeeper.services.first_run import first_run

data = DataFolder(Path(sys.argv[1]))
store = open_store(data)
made = first_run(store, open_vault(data), 1)
print("did it" if made else "was done")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    yield opened
    opened.store.close()


def test_an_empty_store_gets_what_a_first_call_needs(folder: Folder) -> None:
    assert first_run.is_first_run(folder.store)
    made = first_run.first_run(folder.store, folder.vault, NOW)
    assert made is not None
    assert not first_run.is_first_run(folder.store)
    assert folder.store.org_name() == "default"
    assert [(u.email, u.role, u.team) for u in folder.store.users()] == [
        ("admin@localhost", Role.ADMIN, "default")
    ]
    directory = SqliteKeyDirectory(folder.data.store)
    key = asyncio.run(keys.verify(made.key_token, directory, folder.vault, NOW))
    directory.close()
    assert (key.org, key.team, key.user_name, key.expires_at_us) == (
        "default",
        "default",
        "admin@localhost",
        None,
    )
    token = made.sign_in_path.removeprefix(sign_in.LINK_PATH)
    assert sign_in.sign_in(folder.store, folder.vault, token, NOW).user == made.admin
    assert made.key_token not in repr(made)


@pytest.mark.parametrize("late_us", [0, sign_in.LINK_LIFETIME_US])
def test_after_the_first_start_only_its_link_leads_in_and_once(
    folder: Folder, late_us: int
) -> None:
    """Whatever address it listens on: nobody has a password, and there is nothing to sign up."""
    made = first_run.first_run(folder.store, folder.vault, NOW)
    assert made is not None
    assert folder.store.users_with_password() == frozenset()
    assert folder.store.invitations() == []
    assert folder.store.scim_tokens() == []
    token = made.sign_in_path.removeprefix(sign_in.LINK_PATH)
    if not late_us:
        sign_in.sign_in(folder.store, folder.vault, token, NOW)
    with pytest.raises(KeyRejected):
        sign_in.sign_in(folder.store, folder.vault, token, NOW + late_us)
    assert token not in repr(made)


def test_the_second_start_changes_nothing(folder: Folder) -> None:
    first_run.first_run(folder.store, folder.vault, NOW, org="Acme")
    before = folder.store.revision()
    assert first_run.first_run(folder.store, folder.vault, NOW) is None
    assert folder.store.org_name() == "Acme"
    assert len(folder.store.users()) == 1
    assert folder.store.revision() == before + 1  # the lock is a write


def test_an_admin_who_is_there_already_is_used(folder: Folder) -> None:
    people.add_user(folder.store, "boss@acme.com", NOW, role=Role.ADMIN)
    made = first_run.first_run(folder.store, folder.vault, NOW)
    assert made is not None
    assert made.admin.email == "boss@acme.com"
    assert len(folder.store.users()) == 1


def test_a_switched_off_namesake_becomes_the_admin(folder: Folder) -> None:
    people.add_user(folder.store, "admin@localhost", NOW)
    people.deactivate_user(folder.store, "admin@localhost", NOW)
    made = first_run.first_run(folder.store, folder.vault, NOW)
    assert made is not None
    assert (made.admin.role, made.admin.active) == (Role.ADMIN, True)


def test_of_processes_that_start_at_once_one_does_it(tmp_path: Path) -> None:
    root = tmp_path / "data"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    answers = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * 4, answers
    assert sorted(out for out, _ in answers) == [b"did it\n"] + [b"was done\n"] * 3
    with_store = stores.open_folder(root).store
    assert len(with_store.users()) == len(with_store.teams()) == 1
    with_store.close()


def test_a_start_that_dies_halfway_is_repeated(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(folder.store, "add_login_link", die)
    with pytest.raises(Killed):
        first_run.first_run(folder.store, folder.vault, NOW)
    monkeypatch.undo()
    assert first_run.is_first_run(folder.store)
    assert folder.store.users() == []
    assert first_run.first_run(folder.store, folder.vault, NOW) is not None
