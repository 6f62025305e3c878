"""Checks of the providers that people sign in at: discovery, issuer and signing keys."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tollkeeper.bootstrap.checks import Check, Place, fail, ok
from tollkeeper.bootstrap.sign_on import clients_of
from tollkeeper.domain.oidc import OidcClient, ProviderFailed

_REMEDY: Final = (
    "compare issuer with what the provider calls it, and look whether this machine may reach it; "
    "ca_file names a company's own authority, allow_private its inner hosts"
)


def sign_in(place: Place, *, online: bool) -> Iterator[Check]:
    """Look at each provider of single sign-on. Nobody is signed in."""
    clients = clients_of(place.configuration)
    if not online:
        for client in clients:
            yield ok(_label(client), f"{client.provider.issuer}: not asked")
        return
    if clients:
        with ThreadPoolExecutor(len(clients), thread_name_prefix="doctor") as hands:
            yield from hands.map(_examined, clients)


def _examined(client: OidcClient) -> Check:
    provider = client.provider
    try:
        client.examine()
    except ProviderFailed as error:
        finding = f"{provider.issuer}: {error.what}: {error.reason}"
        return fail(_label(client), finding, _REMEDY)
    return ok(
        _label(client),
        f"{provider.issuer} answers, with signing keys; its redirect URI is {client.redirect_uri}",
    )


def _label(client: OidcClient) -> str:
    return f"sign-in {client.provider.name}"
