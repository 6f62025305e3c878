"""Puts the clients of the sign-in providers together.

Their libraries are imported where there is a provider: they take a while.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from tollkeeper import bootstrap, clock
from tollkeeper.config import Configuration
from tollkeeper.console.providers import SignOn
from tollkeeper.console.shared import Console, SignInWay
from tollkeeper.domain.oidc import OidcClient, OidcProvider
from tollkeeper.domain.outside import Target
from tollkeeper.http1.origin import Origin, Proxies
from tollkeeper.outgoing import OutsideClient


def clients_of(configuration: Configuration) -> list[OidcClient]:
    """Give a client for each provider of the configuration, in its order."""
    if not configuration.oidc:
        return []
    client: Any = import_module("tollkeeper.sso.client")
    settings = configuration.settings
    home = bootstrap.address_of(settings)
    # Only what the file says: a proxy of the environment is meant for providers of models.
    bypass = tuple(part.strip() for part in settings.no_proxy.split(",") if part.strip())
    proxies = Proxies("", settings.https_proxy, bypass)
    return [
        client.ProviderClient(
            provider,
            OutsideClient(settings.ca_file, provider.private_hosts, partial(_proxy, proxies)),
            home,
            clock.monotonic_s,
        )
        for provider in configuration.oidc
    ]


def _proxy(proxies: Proxies, target: Target) -> str:
    return proxies.for_origin(Origin(target.scheme, target.host, target.port))


def with_providers(console: Console, configuration: Configuration) -> Console:
    """Let a console offer the providers of the configuration."""
    clients = clients_of(configuration)
    ways = tuple(_way(client.provider) for client in clients)
    return replace(console, sign_in_ways=ways, sign_on=SignOn(clients))


def _way(provider: OidcProvider) -> SignInWay:
    way = SignInWay(f"Sign in with {provider.label}", provider.path)
    if not provider.signs_out:
        return way
    return way._replace(
        out_label=f"Sign out of {provider.label} too", out_path=f"{provider.path}/logout"
    )
