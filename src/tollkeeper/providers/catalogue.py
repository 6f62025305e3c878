"""The catalogue: from an operator's settings to a provider, with errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.money import plain_price
from tollkeeper.domain.price_data import PER
from tollkeeper.domain.routing import AuthStyle, AwsKey, CutPolicy, Dialect, Provider
from tollkeeper.providers import aws
from tollkeeper.providers.addresses import addresses, checked_base_url, vertex_base_url
from tollkeeper.providers.kinds import KINDS, LOGIN_KINDS, Kind

Settings = Mapping[str, Any]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_FIELDS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_SETTINGS: Final = (
    "kind",
    "base_url",
    "api_key",
    "headers",
    "prices",
    "price_id",
    "models",
    "cut_policy",
    "login",
    "allow_http",
    "project",
    "location",
    *aws.SETTINGS,
)


def provider_from(name: str, settings: Settings) -> Provider:
    """Make a provider from its entry in the configuration.

    A name that is a known kind needs no more than a key, and none where callers bring a
    login or the store keeps it. Any other name needs ``kind``, and ``base_url`` unless it is
    a second account of that kind. A server of one's own without a key has AuthStyle.NONE.
    Raises ConfigError, which names the setting at fault.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError("a provider's name is letters, digits, '.', '_' and '-'")
    unknown = [str(setting) for setting in settings if setting not in _SETTINGS]
    if unknown:
        raise ConfigError(
            f"unknown setting {unknown[0]!r}", hint=f"known settings: {', '.join(_SETTINGS)}"
        )
    kind_name, kind = _kind(name, settings)
    api_key = _text(settings, "api_key")
    if api_key and not kind.takes_key:
        raise _takes_no_key(kind_name)
    base_url = checked_base_url(
        _text(settings, "base_url"), allow_http=_flag(settings, "allow_http", default=False)
    )
    base_url, region = _place(kind_name, settings, base_url)
    root, bases = addresses(kind, base_url)
    aws_key = _aws_key(kind_name, settings, root, region)
    if aws_key is not None and api_key:
        raise ConfigError("give either api_key or access_key_id, not both")
    provider = Provider(
        name=name,
        kind=kind_name,
        price_id=_price_id(name, kind, settings),
        root=root,
        bases=bases,
        auth=_auth(kind, bases, keyless=not api_key and _may_be_keyless(kind, settings)),
        api_key=api_key,
        headers=_headers(settings.get("headers")),
        injects_usage=kind.injects_usage,
        cut_policy=_cut_policy(kind, _text(settings, "cut_policy")),
        custom_prices=_prices(settings.get("prices")) or kind.prices,
        models=_models(settings.get("models")) or kind.models,
        login=_flag(settings, "login", default=True),
        region=region,
        profiles=aws.profiles_from(settings.get("profiles")),
    )
    return provider if aws_key is None else _signing(provider, aws_key)


def with_api_key(provider: Provider, api_key: str) -> Provider:
    """Give a provider the key that was kept elsewhere than in the configuration.

    Raises ConfigError for a service that takes none.
    """
    kind = KINDS[provider.kind]
    if not kind.takes_key:
        raise _takes_no_key(provider.kind)
    if provider.kind == aws.KIND:
        aws_key = aws.stored_access_key(api_key, provider.root, provider.region)
        if aws_key is not None:
            return _signing(provider, aws_key)
    auth = _auth(kind, provider.bases, keyless=False)
    return replace(provider, api_key=api_key, auth=auth)


def _signing(provider: Provider, aws_key: AwsKey) -> Provider:
    auth = dict.fromkeys(provider.bases, AuthStyle.AWS_SIGNATURE)
    return replace(provider, aws_key=aws_key, auth=auth)


def _place(kind_name: str, settings: Settings, base_url: str) -> tuple[str, str]:
    """Give the base URL, from where the vendor has it if that is given, and the region."""
    location = _text(settings, "location")
    if kind_name == aws.KIND:
        region = _text(settings, "region")
        if "project" in settings or (location and region):
            raise ConfigError("bedrock has a region, and neither a project nor a second location")
        return aws.bedrock_place(base_url, region or location)
    foreign = next((setting for setting in aws.SETTINGS if setting in settings), "")
    if foreign:
        raise ConfigError(f"{foreign} belongs to kind bedrock")
    if "project" in settings or "location" in settings:
        if kind_name != "vertex" or base_url:
            raise ConfigError("project and location belong to kind vertex, without a base_url")
        base_url = vertex_base_url(_text(settings, "project"), location)
    return base_url, ""


def _aws_key(kind_name: str, settings: Settings, root: str, region: str) -> AwsKey | None:
    if kind_name != aws.KIND:
        return None
    parts = ("access_key_id", "secret_access_key", "session_token")
    access_key_id, secret, session_token = (_text(settings, part) for part in parts)
    return aws.access_key(access_key_id, secret, session_token, root, region)


def _takes_no_key(kind_name: str) -> ConfigError:
    reason = ": callers bring their own login" if kind_name in LOGIN_KINDS else ""
    return ConfigError(f"{kind_name} takes no api_key{reason}")


def login_providers() -> dict[str, Provider]:
    """Give the providers that exist without being configured: vendors' login services."""
    return {name: provider_from(name, {}) for name in LOGIN_KINDS}


def _kind(name: str, settings: Settings) -> tuple[str, Kind]:
    kind_name = _text(settings, "kind") or name
    kind = KINDS.get(kind_name)
    if kind is None:
        known = f"known: {', '.join(KINDS)}"
        if settings.get("kind"):
            raise ConfigError(f"there is no kind {kind_name!r}", hint=known)
        raise ConfigError(
            f"{name!r} is not a provider known by name",
            hint="for a compatible server give kind (openai, anthropic or google) and "
            f"base_url; {known}",
        )
    return kind_name, kind


def _may_be_keyless(kind: Kind, settings: Settings) -> bool:
    """Servers of one's own often take no key; a vendor always does."""
    return not kind.needs_key or bool(settings.get("base_url") and kind.root)


def _auth(kind: Kind, dialects: Iterable[Dialect], *, keyless: bool) -> dict[Dialect, AuthStyle]:
    return {
        dialect: AuthStyle.NONE if keyless else kind.dialects[dialect].auth for dialect in dialects
    }


def _price_id(name: str, kind: Kind, settings: Settings) -> str:
    """A vendor's prices hold for the vendor's own servers, not for compatible ones."""
    given = _text(settings, "price_id")
    if given:
        return given
    elsewhere = bool(settings.get("base_url")) and bool(kind.root) and name not in KINDS
    return "" if elsewhere else kind.price_id


def _cut_policy(kind: Kind, given: str) -> CutPolicy:
    if not given:
        return kind.cut_policy
    try:
        return CutPolicy(given)
    except ValueError:
        raise ConfigError(f"cut_policy is {given!r}", hint="use drain or cancel") from None


def _prices(prices: Any) -> dict[str, str] | None:
    if prices is None:
        return None
    if not isinstance(prices, Mapping) or not prices:
        raise ConfigError(
            "prices must say what a million tokens cost", hint="prices: {input: 0.5, output: 1.5}"
        )
    found: dict[str, str] = {}
    for quantity, price in prices.items():
        if quantity not in PER:
            raise ConfigError(
                f"prices knows no quantity {quantity!r}", hint=f"known: {', '.join(PER)}"
            )
        found[quantity] = _price(quantity, price)
    return found


def _price(quantity: str, typed: Any) -> str:
    price = plain_price(typed)
    if price is None:
        raise ConfigError(f"the price of {quantity} must be USD per million tokens, zero or more")
    return price


def _headers(headers: Any) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ConfigError("headers must be names with texts")
    for field, value in headers.items():
        if not isinstance(field, str) or not _FIELD_NAME.fullmatch(field):
            raise ConfigError(f"headers has an impossible name {field!r}")
        if field.lower() in _OWN_FIELDS:
            raise ConfigError(f"the header {field} cannot be set")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise ConfigError(f"the header {field} must be one line of ASCII text")
    return dict(headers)


def _models(models: Any) -> tuple[str, ...]:
    if models is None:
        return ()
    if not isinstance(models, list | tuple) or not all(
        isinstance(model, str) and model.strip() for model in models
    ):
        raise ConfigError("models must be a list of model names")
    return tuple(models)


def _text(settings: Settings, setting: str) -> str:
    value = settings.get(setting)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{setting} must be text")
    return value.strip()


def _flag(settings: Settings, setting: str, *, default: bool) -> bool:
    value = settings.get(setting)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ConfigError(f"{setting} must be true or false")
    return value
