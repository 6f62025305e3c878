"""The vault: one key file, from which every secret that must be kept is protected.

``secret.key`` holds 32 random bytes. HKDF-SHA256 derives one subkey for each purpose, so
that no key serves two. A provider's secret is sealed with AES-256-GCM under a data key of
its own, which is wrapped under the key-encryption key; both are bound to the secret's name
and to the format's version. So a sealed secret that is copied to another name, or opened
with another key file, is refused.

Sealed format, version 1::

    1 byte    version (1)
    8 bytes   fingerprint of the key file
    12 bytes  nonce of the wrapping
    48 bytes  data key, wrapped (32 bytes and a tag of 16)
    12 bytes  nonce of the secret
    rest      the secret, UTF-8, encrypted, and a tag of 16 bytes
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tollkeeper.domain.errors import ConfigError

KEY_FILE_BYTES = 32
_VERSION = b"\x01"
_FINGERPRINT_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_WRAPPED_BYTES = 32 + _TAG_BYTES
_HEAD_BYTES = len(_VERSION) + _FINGERPRINT_BYTES
_SEALED_BYTES_MIN = _HEAD_BYTES + _NONCE_BYTES + _WRAPPED_BYTES + _NONCE_BYTES + _TAG_BYTES


class KeyFileVault:
    """Seals, opens and hashes under subkeys of one key file's content."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_FILE_BYTES:
            raise ValueError(f"the key is {KEY_FILE_BYTES} bytes, not {len(key)}")
        self._root = key
        self._pepper = self._subkey("virtual key pepper v1")
        self._wrapping = AESGCM(self._subkey("provider secret wrapping v1"))
        self._fingerprint = self._subkey("fingerprint v1")[:_FINGERPRINT_BYTES]
        self._macs: dict[str, bytes] = {}

    @property
    def fingerprint(self) -> bytes:
        """What tells this key file from others, and nothing of what is in it."""
        return self._fingerprint

    def has_sealed(self, sealed: bytes) -> bool:
        """Tell whether a secret was sealed with this key file."""
        return sealed[1:_HEAD_BYTES] == self._fingerprint

    def key_hmac(self, secret: bytes) -> bytes:
        """Give HMAC-SHA256 of a virtual key's secret under the pepper."""
        return hmac.digest(self._pepper, secret, "sha256")

    def mac(self, message: bytes, *, purpose: str) -> bytes:
        """Give HMAC-SHA256 of a message under the purpose's own key."""
        key = self._macs.get(purpose)
        if key is None:
            key = self._macs[purpose] = self._subkey(f"mac v1: {purpose}")
        return hmac.digest(key, message, "sha256")

    def seal(self, plain: str, *, name: str) -> bytes:
        """Encrypt one secret under its name."""
        head = _VERSION + self._fingerprint
        data_key = AESGCM.generate_key(bit_length=256)
        wrapping_nonce = secrets.token_bytes(_NONCE_BYTES)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        wrapped = self._wrapping.encrypt(wrapping_nonce, data_key, _bound("key", head, name))
        sealed = AESGCM(data_key).encrypt(nonce, plain.encode(), _bound("secret", head, name))
        return head + wrapping_nonce + wrapped + nonce + sealed

    def open(self, sealed: bytes, *, name: str) -> str:
        """Decrypt a secret. Raises ValueError when name, key file or a byte is another."""
        if len(sealed) < _SEALED_BYTES_MIN or sealed[:1] != _VERSION:
            raise ValueError(f"the stored secret {name!r} has a format that is not known here")
        head = sealed[:_HEAD_BYTES]
        if not hmac.compare_digest(head[1:], self._fingerprint):
            raise ValueError(f"the stored secret {name!r} was sealed with another key file")
        nonce_at = _HEAD_BYTES + _NONCE_BYTES + _WRAPPED_BYTES
        wrapped = sealed[_HEAD_BYTES + _NONCE_BYTES : nonce_at]
        nonce = sealed[nonce_at : nonce_at + _NONCE_BYTES]
        secret = sealed[nonce_at + _NONCE_BYTES :]
        try:
            data_key = self._wrapping.decrypt(
                sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES],
                wrapped,
                _bound("key", head, name),
            )
            return AESGCM(data_key).decrypt(nonce, secret, _bound("secret", head, name)).decode()
        except InvalidTag:
            raise ValueError(
                f"the stored secret {name!r} is damaged, or was sealed under another name"
            ) from None

    def _subkey(self, purpose: str) -> bytes:
        derive = HKDF(
            algorithm=SHA256(), length=32, salt=None, info=b"tollkeeper\0" + purpose.encode()
        )
        return derive.derive(self._root)


def open_vault(path: Path, *, store_exists: bool) -> KeyFileVault:
    """Read the key file; create it on the first start.

    ``store_exists`` must be looked at before this is called: a store without its key file
    is refused, because every key and secret in it would be lost without a word.
    Raises ConfigError when the file is missing, readable by others or not a key.
    """
    key = _read(path)
    if key is None:
        if store_exists:
            raise ConfigError(
                "the key file is missing, but there is a store that needs it",
                file=str(path),
                hint="put the file back from your backup, or copy it from the data folder of "
                "another server on the same store; without it no virtual key and no provider "
                "key in the store can be used again",
            )
        _create(path)
        key = _read(path)
        if key is None:
            raise ConfigError("the key file vanished while it was created", file=str(path))
    return KeyFileVault(key)


def _bound(part: str, head: bytes, name: str) -> bytes:
    return b"\0".join((b"tollkeeper", part.encode(), head, name.encode()))


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            key = file.read(KEY_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"the key file cannot be read: {error.strerror}",
            file=str(path),
            hint="it belongs to the user that runs Tollkeeper",
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"the key file is open to other users (mode {stat.S_IMODE(mode):04o})",
            file=str(path),
            hint=f"run: chmod 600 {path}",
        )
    if len(key) != KEY_FILE_BYTES:
        raise ConfigError(
            f"the key file must hold {KEY_FILE_BYTES} bytes, no more and no less",
            file=str(path),
            hint="put the right file back from your backup",
        )
    return key


def _create(path: Path) -> None:
    """Write a new key file under another name first, so that nobody reads half of it."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - from a descriptor
                file.write(secrets.token_bytes(KEY_FILE_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was first: its key counts
                path.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(
            f"the data folder cannot be written: {error.strerror or error}",
            file=str(path.parent),
            hint="give this user write access to the folder, or name another one with --data",
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise
    finally:
        os.close(handle)
