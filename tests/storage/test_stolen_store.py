"""A copy of the store alone opens nothing: no secret stands in any of its files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import stores
from stores import NOW, add_person, issue_key
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.errors import KeyRejected
from tollkeeper.services import keys, secrets, sign_in
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
from tollkeeper.storage.vault import open_vault

PROVIDER_KEY = "sk-canary-of-the-provider-0123456789"


def test_no_file_of_the_store_holds_a_secret(tmp_path: Path) -> None:
    folder = stores.open_folder(tmp_path / "data")
    user = add_person(folder.store)
    virtual = issue_key(folder, email=user.email)
    admin = issue_key(folder, email=user.email, kind=KeyKind.ADMIN)
    secrets.set_secret(
        folder.store, folder.vault, "openai", "https://api.openai.com", PROVIDER_KEY, NOW
    )
    unused = sign_in.make_link(folder.store, folder.vault, user, NOW)
    used = sign_in.make_link(folder.store, folder.vault, user, NOW)
    token = used.path.removeprefix(sign_in.LINK_PATH)
    signed_in = sign_in.sign_in(folder.store, folder.vault, token, NOW)

    def search() -> None:
        canaries = [
            PROVIDER_KEY,
            virtual.token,
            virtual.token[-38:-6],
            admin.token[-38:-6],
            unused.path.removeprefix(sign_in.LINK_PATH),
            token,
            signed_in.cookie,
            sign_in.form_token(folder.vault, signed_in.cookie),
        ]
        files = [file for file in folder.data.root.iterdir() if file != folder.data.secret_key]
        assert folder.data.store in files
        for file in files:
            content = file.read_bytes()
            for canary in canaries:
                assert canary.encode() not in content, file.name
            assert folder.data.secret_key.read_bytes() not in content

    search()
    assert len(list(folder.data.root.iterdir())) == 4  # with the write-ahead log
    folder.store.close()
    search()
    # The search does find what is there in the clear.
    assert user.email.encode() in folder.data.store.read_bytes()


def test_with_another_key_file_the_store_opens_nothing(tmp_path: Path) -> None:
    folder = stores.open_folder(tmp_path / "data")
    user = add_person(folder.store)
    issued = issue_key(folder, email=user.email)
    link = sign_in.make_link(folder.store, folder.vault, user, NOW)
    secrets.set_secret(folder.store, folder.vault, "openai", "https://a.example", "sk-x", NOW)

    folder.data.secret_key.unlink()
    other = open_vault(folder.data.secret_key, store_exists=False)
    directory = SqliteKeyDirectory(folder.data.store)
    with pytest.raises(KeyRejected):
        asyncio.run(keys.verify(issued.token, directory, other, NOW))
    with pytest.raises(KeyRejected):
        sign_in.sign_in(folder.store, other, link.path.removeprefix(sign_in.LINK_PATH), NOW)
    opened = secrets.open_secrets(
        directory.provider_secrets(), other, {"openai": "https://a.example"}
    )
    assert opened.secrets == {}
    assert opened.unreadable == ["openai"]
    assert asyncio.run(keys.verify(issued.token, directory, folder.vault, NOW))
    directory.close()
    folder.store.close()
