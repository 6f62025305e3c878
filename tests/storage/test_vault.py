"""The key file and what is sealed with it: made once, kept private, and refused when wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.vault import KEY_FILE_BYTES, KeyFileVault, open_vault

KEY = bytes(range(32))
SECRET = "sk-ant-canary-0123456789"

# What version 1 made of KEY.
PEPPERED = "5f1355c85418c63c86b21c75fc3c0bb1c41d118bddfee0a82985699a41144bef"
SESSION = "87320580fa07aec6f56ffc29a40f44ee55e97cedcf1e788864bafdf75f3185de"
SEALED = (
    "010c048c4467dfcf69f1d87a2977da0320eb4a71d7fb30df05ebf149e0778885ec0c53e2ab8158a0"
    "879d651b8211b037c033a646f5507648c838210d8715e4805cc26c9151b5481bf39755904ed85432"
    "2740da119b4670b33bbd59b508372496cc6e1a38b80c85bf090dc068ea5edff97d1bc0609aed544e"
    "53"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secret.key"


def test_the_first_start_makes_a_key_file_that_only_its_owner_reads(path: Path) -> None:
    first = open_vault(path, store_exists=False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == KEY_FILE_BYTES
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]
    again = open_vault(path, store_exists=True)
    assert again.open(first.seal(SECRET, name="openai"), name="openai") == SECRET


def test_two_first_starts_have_two_keys(tmp_path: Path) -> None:
    first = open_vault(tmp_path / "one" / "secret.key", store_exists=False)
    second = open_vault(tmp_path / "two" / "secret.key", store_exists=False)
    assert first.key_hmac(b"secret") != second.key_hmac(b"secret")


def test_processes_that_start_at_once_agree_on_one_key(path: Path) -> None:
    script = (
        "import sys, pathlib; from tollkeeper.storage.vault import open_vault; "
        "print(open_vault(pathlib.Path(sys.argv[1]), store_exists=False).key_hmac(b'x').hex())"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        for _ in range(6)
    ]
    answers = {child.communicate(timeout=60)[0] for child in children}
    assert len(answers) == 1
    assert answers != {b""}
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]


def test_a_missing_key_file_beside_a_store_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="missing") as raised:
        open_vault(path, store_exists=True)
    assert str(path) in str(raised.value)
    assert "backup" in str(raised.value)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_file_that_others_can_open_is_refused(path: Path, mode: int) -> None:
    open_vault(path, store_exists=False)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}") as raised:
        open_vault(path, store_exists=True)
    assert f"chmod 600 {path}" in str(raised.value)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_file_of_another_length_is_refused(path: Path, size: int) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    path.write_bytes(b"k" * size)
    with pytest.raises(ConfigError, match="32 bytes"):
        open_vault(path, store_exists=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "secret.key", tmp_path / "file" / "data" / "secret.key"):
        with pytest.raises(ConfigError, match=str(tmp_path / "file")):
            open_vault(path, store_exists=False)


def test_a_folder_in_the_place_of_the_key_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        open_vault(path, store_exists=True)


# --------------------------------------------------------------------- sealing


@given(plain=st.text(max_size=200), name=st.text(max_size=40))
@settings(deadline=None)
def test_what_is_sealed_opens_again(plain: str, name: str) -> None:
    vault = KeyFileVault(KEY)
    assert vault.open(vault.seal(plain, name=name), name=name) == plain


def test_a_secret_does_not_open_under_another_name() -> None:
    vault = KeyFileVault(KEY)
    sealed = {name: vault.seal(f"key of {name}", name=name) for name in ("openai", "anthropic")}
    with pytest.raises(ValueError, match="another name"):
        vault.open(sealed["openai"], name="anthropic")
    with pytest.raises(ValueError, match="another name"):
        vault.open(sealed["anthropic"], name="openai")


def test_a_secret_does_not_open_with_another_key_file() -> None:
    sealed = KeyFileVault(KEY).seal(SECRET, name="openai")
    with pytest.raises(ValueError, match="another key file"):
        KeyFileVault(bytes(reversed(KEY))).open(sealed, name="openai")


def test_a_forged_fingerprint_does_not_help() -> None:
    other = KeyFileVault(bytes(reversed(KEY)))
    sealed = KeyFileVault(KEY).seal(SECRET, name="openai")
    forged = sealed[:1] + other.seal("x", name="openai")[1:9] + sealed[9:]
    with pytest.raises(ValueError, match="damaged"):
        other.open(forged, name="openai")


def test_every_single_changed_byte_is_noticed() -> None:
    vault = KeyFileVault(KEY)
    sealed = vault.seal(SECRET, name="openai")
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 0x01]) + sealed[at + 1 :]
        with pytest.raises(ValueError, match="openai") as raised:
            vault.open(changed, name="openai")
        assert SECRET not in str(raised.value)


def test_every_cut_is_noticed() -> None:
    vault = KeyFileVault(KEY)
    sealed = vault.seal(SECRET, name="openai")
    for length in range(len(sealed)):
        with pytest.raises(ValueError, match="openai"):
            vault.open(sealed[:length], name="openai")


def test_parts_of_two_sealed_secrets_cannot_be_combined() -> None:
    vault = KeyFileVault(KEY)
    first, second = (vault.seal(text, name="openai") for text in ("first", "second"))
    cut = 1 + 8 + 12 + 48
    with pytest.raises(ValueError, match="damaged"):
        vault.open(first[:cut] + second[cut:], name="openai")


def test_the_same_secret_never_looks_the_same() -> None:
    vault = KeyFileVault(KEY)
    sealed = {vault.seal(SECRET, name="openai") for _ in range(50)}
    assert len(sealed) == 50
    assert not any(SECRET.encode() in item for item in sealed)


# --------------------------------------------------------------------- hashing


def test_each_purpose_has_a_key_of_its_own() -> None:
    vault = KeyFileVault(KEY)
    hashes = {
        vault.key_hmac(b"message"),
        vault.mac(b"message", purpose="session"),
        vault.mac(b"message", purpose="form"),
        KeyFileVault(bytes(32)).mac(b"message", purpose="session"),
    }
    assert len(hashes) == 4
    assert all(len(value) == 32 for value in hashes)
    assert vault.mac(b"message", purpose="session") == KeyFileVault(KEY).mac(
        b"message", purpose="session"
    )


def test_hashes_stay_what_they_are_from_version_to_version() -> None:
    # Keys and sessions that are stored today must be good after every update.
    vault = KeyFileVault(KEY)
    assert vault.key_hmac(b"secret").hex() == PEPPERED
    assert vault.mac(b"message", purpose="session").hex() == SESSION
    assert vault.open(bytes.fromhex(SEALED), name="openai") == SECRET


def test_a_key_of_another_length_is_no_key() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyFileVault(b"short")
