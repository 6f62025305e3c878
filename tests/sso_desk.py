"""Our side of single sign-on for tests, between a store and a wicked provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loopback import HOST
from stores import NOW, SECOND, Folder
from tollkeeper.domain.access import Role
from tollkeeper.domain.oidc import GroupRule, OidcProvider
from tollkeeper.outgoing import OutsideClient
from tollkeeper.ports import User
from tollkeeper.services import single_sign_on
from tollkeeper.sso.client import ProviderClient
from wicked_provider import CLIENT_ID, CLIENT_SECRET, WickedProvider

HOME = "https://tk.acme.com"


def provider_of(issuer: str) -> OidcProvider:
    """Give a provider that lets everybody in whose address it vouches for."""
    return OidcProvider(
        name="acme",
        label="Acme",
        issuer=issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        rules=(GroupRule("*", Role.MEMBER),),
        create_users=True,
        private_hosts=frozenset({HOST}),
    )


class Desk:
    """Signs people in. ``provider`` may be changed before ``client`` is asked for; so may
    ``now_us`` and ``now_s``, the two clocks."""

    def __init__(self, folder: Folder, wicked: WickedProvider) -> None:
        self.folder = folder
        self.store, self.vault = folder.store, folder.vault
        self.wicked = wicked
        self.now_us = NOW
        self.now_s = 1_000.0
        self.provider = provider_of(wicked.issuer)
        self._client: ProviderClient | None = None

    def set(self, **changes: Any) -> None:
        self.provider = replace(self.provider, **changes)
        self._client = None

    @property
    def client(self) -> ProviderClient:
        if self._client is None:
            outside = OutsideClient(named=self.provider.private_hosts, try_s=5.0)
            self._client = ProviderClient(self.provider, outside, HOME, lambda: self.now_s)
        return self._client

    def begin(self, next_path: str = "/") -> single_sign_on.Begun:
        return single_sign_on.begin(self.client, self.vault, next_path, self.now_us)

    def finish(self, carried: str, query: Mapping[str, str]) -> single_sign_on.Arrived:
        return single_sign_on.finish(
            self.client, self.store, self.vault, carried, query, self.now_us
        )

    def sign_in(self, next_path: str = "/", **claims: Any) -> User:
        """Go the whole way, as whoever the claims say."""
        self.wicked.now_s = self.now_us // SECOND
        begun = self.begin(next_path)
        query = self.wicked.code_for(begun.address, **claims)
        return self.finish(begun.carried, query).signed_in.user
