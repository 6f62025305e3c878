"""Providers' keys: kept for one address, never shown, never sent elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import NOW, Folder
from tollkeeper.domain.errors import BadRequest, NotFound
from tollkeeper.services import secrets
from tollkeeper.services.secrets import OpenedSecrets, StoredSecret
from tollkeeper.storage.vault import KeyFileVault

OPENAI = "https://api.openai.com/v1"
CANARY = "sk-canary-0123456789"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    yield opened
    opened.store.close()


def keep(folder: Folder, provider: str, base_url: str, secret: str = CANARY) -> None:
    secrets.set_secret(folder.store, folder.vault, provider, base_url, secret, NOW)


def opened(folder: Folder, **base_urls: str) -> OpenedSecrets:
    return secrets.open_secrets(folder.store.provider_secrets(), folder.vault, base_urls)


def test_a_key_is_kept_listed_without_itself_and_removed(folder: Folder) -> None:
    keep(folder, "openai", OPENAI, f"  {CANARY}\n")
    keep(folder, "anthropic", "https://api.anthropic.com")
    listed = secrets.list_secrets(folder.store)
    assert listed == [StoredSecret("anthropic", NOW), StoredSecret("openai", NOW)]
    assert CANARY not in repr(listed)
    found = opened(folder, openai=OPENAI, gemini="https://g.example")
    assert found == OpenedSecrets({"openai": CANARY}, [], [])
    assert CANARY not in repr(found)
    secrets.remove_secret(folder.store, "openai")
    assert opened(folder, openai=OPENAI).secrets == {}
    with pytest.raises(NotFound, match="openai"):
        secrets.remove_secret(folder.store, "openai")


@pytest.mark.parametrize(
    "secret", ["", "  \n", "sk-\r\nX-Evil: 1", "sk 1", "sk-é", "sk-\0", "x" * 8_193]
)
def test_what_cannot_be_a_key_is_refused(folder: Folder, secret: str) -> None:
    with pytest.raises(BadRequest) as refused:
        keep(folder, "openai", OPENAI, secret)
    assert not secret.strip() or secret not in str(refused.value)
    assert secrets.list_secrets(folder.store) == []


@pytest.mark.parametrize(
    "moved_to",
    [
        "https://evil.example/v1",
        "http://api.openai.com/v1",
        "https://api.openai.com:444/v1",
        "https://api.openai.com/v2",
        "https://api.openai.com.evil.example/v1",
        "https://api.openai.com@evil.example/v1",
    ],
)
def test_a_key_is_never_given_out_for_another_address(folder: Folder, moved_to: str) -> None:
    keep(folder, "openai", OPENAI)
    assert opened(folder, openai=moved_to) == OpenedSecrets({}, ["openai"], [])
    assert secrets.drop_moved(folder.store, folder.vault, {"openai": moved_to}) == ["openai"]
    assert folder.store.provider_secrets() == {}
    # Moving back does not bring it back.
    assert opened(folder, openai=OPENAI).secrets == {}


@pytest.mark.parametrize(
    "same", [OPENAI + "/", "HTTPS://API.OpenAI.com/v1", " https://api.openai.com/v1 "]
)
def test_another_way_to_write_the_address_changes_nothing(folder: Folder, same: str) -> None:
    keep(folder, "openai", OPENAI)
    assert opened(folder, openai=same).secrets == {"openai": CANARY}
    assert secrets.drop_moved(folder.store, folder.vault, {"openai": same}) == []


def test_a_provider_that_is_not_configured_keeps_its_key(folder: Folder) -> None:
    keep(folder, "openai", OPENAI)
    assert secrets.drop_moved(folder.store, folder.vault, {}) == []
    assert opened(folder, openai=OPENAI).secrets == {"openai": CANARY}


def test_a_key_copied_to_another_provider_is_unreadable_there(folder: Folder) -> None:
    keep(folder, "openai", OPENAI)
    sealed = folder.store.provider_secrets()["openai"]
    folder.store.set_provider_secret("lab", sealed, NOW)
    assert opened(folder, lab=OPENAI, openai=OPENAI) == OpenedSecrets(
        {"openai": CANARY}, [], ["lab"]
    )


def test_a_wrong_key_file_destroys_nothing(folder: Folder) -> None:
    keep(folder, "openai", OPENAI)
    other = KeyFileVault(b"o" * 32)
    moved = {"openai": "https://evil.example"}
    sealed = folder.store.provider_secrets()
    assert secrets.open_secrets(sealed, other, moved) == OpenedSecrets({}, [], ["openai"])
    assert secrets.drop_moved(folder.store, other, moved) == []
    assert opened(folder, openai=OPENAI).secrets == {"openai": CANARY}
