"""Providers' keys: set, list without showing, remove, and open for the gateway.

A key is sealed together with the address it was given for. When the provider's base URL
changes, the key is not sent to the new address: it counts as gone, and is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tollkeeper.domain.errors import BadRequest, NotFound
from tollkeeper.ports import Store, Vault
from tollkeeper.services import names

SECRET_CHARS_MAX: Final = 8_192


class StoredSecret(NamedTuple):
    """That a provider has a key, and since when. The key itself is never shown again."""

    provider: str
    set_at_us: int


class OpenedSecrets(NamedTuple):
    """The keys that may be used, by provider.

    ``moved`` names providers whose base URL is not the one their key was given for,
    ``unreadable`` those whose key cannot be opened (another key file, or damage).
    """

    secrets: dict[str, str]
    moved: list[str]
    unreadable: list[str]

    def __repr__(self) -> str:
        return f"OpenedSecrets({sorted(self.secrets)}, {self.moved}, {self.unreadable})"


def set_secret(
    store: Store, vault: Vault, provider: str, base_url: str, secret: str, now_us: int
) -> None:
    """Keep a provider's key, for this base URL, in place of any that was there.

    Raises BadRequest for a key that no provider could have given.
    """
    name = names.clean_name(provider, "the provider's name")
    secret = secret.strip()
    if not secret:
        raise BadRequest("the key is empty")
    if len(secret) > SECRET_CHARS_MAX:
        raise BadRequest(f"the key is longer than {SECRET_CHARS_MAX} characters")
    if not all("!" <= character <= "~" for character in secret):
        raise BadRequest("the key holds a space, a line break or a character that is not ASCII")
    plain = json.dumps({"base_url": _address(base_url), "secret": secret})
    store.set_provider_secret(name, vault.seal(plain, name=_seal_name(name)), now_us)


def list_secrets(store: Store) -> list[StoredSecret]:
    """List which providers have a key, by name."""
    return [StoredSecret(*item) for item in sorted(store.provider_secrets_set_at().items())]


def remove_secret(store: Store, provider: str) -> None:
    """Forget a provider's key. Raises NotFound when there is none."""
    try:
        store.remove_provider_secret(names.clean_name(provider, "the provider's name"))
    except LookupError:
        raise NotFound(
            f"no key is stored for provider {provider!r}", code="secret_not_found"
        ) from None


def open_secrets(
    sealed: Mapping[str, bytes], vault: Vault, base_urls: Mapping[str, str]
) -> OpenedSecrets:
    """Open the keys of the providers that ``base_urls`` names, each for its address only."""
    opened = OpenedSecrets({}, [], [])
    for provider in sorted(sealed.keys() & base_urls.keys()):
        try:
            content = json.loads(vault.open(sealed[provider], name=_seal_name(provider)))
        except ValueError:
            opened.unreadable.append(provider)
            continue
        if content["base_url"] == _address(base_urls[provider]):
            opened.secrets[provider] = content["secret"]
        else:
            opened.moved.append(provider)
    return opened


def drop_moved(store: Store, vault: Vault, base_urls: Mapping[str, str]) -> list[str]:
    """Delete the keys of providers whose base URL has changed, and name those providers.

    Keys that cannot be opened stay: a wrong key file must not destroy anything.
    """
    with store.together():
        moved = open_secrets(store.provider_secrets(), vault, base_urls).moved
        for provider in moved:
            store.remove_provider_secret(provider)
        return moved


def _address(base_url: str) -> str:
    """Write a base URL in one way: scheme and host in lower case, no slash at the end."""
    parts = urlsplit(base_url.strip())
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _seal_name(provider: str) -> str:
    return f"provider/{provider}"
