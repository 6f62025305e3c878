"""Reads tollkeeper.yaml and the environment; the only place that does.

Order, the later wins: defaults, the file, ``TOLLKEEPER_*`` variables, command-line options.
A fault names file, line and remedy, and nothing of the configuration is used.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec
import yaml

from tollkeeper.config import budgets, rate_limits, self_service, terms, yaml_file
from tollkeeper.config.alert_options import AlertSettings, alert_settings
from tollkeeper.config.digest import digest_settings
from tollkeeper.config.mail import check_mail
from tollkeeper.config.oidc import oidc_providers
from tollkeeper.config.settings import NOT_YET, Settings
from tollkeeper.config.sharing import sharing
from tollkeeper.data_folder import SQLITE_LEDGER
from tollkeeper.domain.anomalies import RULES
from tollkeeper.domain.budget_raises import Overdraft
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.digests import DigestSettings
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.networks import read_network
from tollkeeper.domain.oidc import OidcProvider
from tollkeeper.domain.price_rules import PriceRule
from tollkeeper.domain.rate_limits import RateRule
from tollkeeper.domain.routing import Provider
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.self_service import SelfService
from tollkeeper.domain.sharing import Sharing
from tollkeeper.http1.origin import Proxies, parse_base_url
from tollkeeper.providers.catalogue import provider_from
from tollkeeper.storage.store.store_address import EXAMPLES, parse_store_url

DEFAULT_FILE = "tollkeeper.yaml"
PREFIX = "TOLLKEEPER_"
_SHORT = {"HOST": ("listen", "host"), "PORT": ("listen", "port")}
_OWN_WORDS = {"CONFIG"}
_STEP = re.compile(r"\.([^.\[\]]+)|\[([^\]]*)\]")


class Configuration(NamedTuple):
    """A configuration that was read and found good.

    ``file`` is None when there is none. ``providers`` carry the keys of the file only;
    those in the store are added by whoever can open them.
    """

    settings: Settings
    file: Path | None
    providers: dict[str, Provider]
    aliases: dict[str, list[str]]
    proxies: Proxies
    price_rules: tuple[PriceRule, ...] = ()
    seat_plans: tuple[SeatPlan, ...] = ()
    rate_limits: tuple[RateRule, ...] = ()
    self_service: tuple[SelfService, ...] = ()
    alerts: AlertSettings = AlertSettings()
    budgets: tuple[Budget, ...] = ()
    overdrafts: Mapping[str, Overdraft] = MappingProxyType({})
    oidc: tuple[OidcProvider, ...] = ()
    sharing: Sharing = Sharing()
    digest: DigestSettings = DigestSettings()


def environment() -> Mapping[str, str]:
    """Give the environment of this process."""
    return os.environ  # noqa: TID251 - this is the one place


def hand_on(options: Mapping[tuple[str, ...], Any]) -> None:
    """Put options into the environment, where the processes that we start read them."""
    for path, value in options.items():
        os.environ[PREFIX + "__".join(path).upper()] = str(value)  # noqa: TID251 - this is the place


def load(
    file: Path | None,
    variables: Mapping[str, str],
    options: Mapping[tuple[str, ...], Any] | None = None,
) -> Configuration:
    """Read the configuration. Raises ConfigError.

    ``file`` None means ``tollkeeper.yaml`` in the working folder, if there is one.
    ``options`` maps option paths, such as ("listen", "port"), to values that win over all.
    """
    file = _file(file, variables)
    document = _document(file, variables)
    data = document.data
    for section, message in NOT_YET.items():
        if data.get(section) is not None:
            raise document.error((section,), message)
    _lay_over(data, _from_variables(variables))
    _lay_over(data, options or {})
    settings = _convert(document, data)
    _check_listen(document, settings)
    _check_places(document, settings)
    check_mail(document, settings.mail)
    caps = budgets.budgets(document, settings.budgets, settings.timezone)
    alerts = alert_settings(document, settings.alerts, RULES)
    return Configuration(
        settings,
        file,
        _providers(document, settings),
        _aliases(document, settings),
        _proxies(settings, variables),
        terms.price_rules(document, settings.prices),
        terms.seat_plans(document, settings.plans),
        rate_limits.rate_limits(document, settings.rate_limits),
        self_service.self_service(document, settings.keys.self_service),
        alerts,
        caps,
        budgets.overdrafts(document, settings.budgets, caps),
        oidc_providers(document, settings.sign_in.oidc, settings.public_url),
        sharing(document, settings.statements),
        digest=digest_settings(document, settings.digest, settings, alerts.named),
    )


def sections(file: Path | None, variables: Mapping[str, str]) -> dict[str, str]:
    """Give the content of each section as it is in force, by name, to see which have changed.

    It holds secrets. Raises ConfigError.
    """
    data = _document(_file(file, variables), variables).data
    _lay_over(data, _from_variables(variables))
    return {name: json.dumps(data[name], sort_keys=True, default=str) for name in data}


def load_store_url(file: Path | None, variables: Mapping[str, str]) -> str:
    """Read where the store is, "" for the data folder, and look at nothing else.

    So a key can be revoked whatever else is wrong with the file. Raises ConfigError.
    """
    document, settings = _only(file, variables, "store")
    _check_store(document, settings)
    return settings.store


def load_ledger_url(file: Path | None, variables: Mapping[str, str]) -> str:
    """Read where the ledger is, "" for the data folder, and look at nothing else.

    Raises ConfigError.
    """
    return _only(file, variables, "ledger")[1].ledger


def _only(
    file: Path | None, variables: Mapping[str, str], option: str
) -> tuple[yaml_file.Document, Settings]:
    """Read one option at the top, from the file or the environment."""
    document = _document(_file(file, variables), variables, only=option)
    name = f"{PREFIX}{option.upper()}"
    values = {**document.data, **({option: variables[name]} if name in variables else {})}
    return document, _convert(document, values)


def _file(file: Path | None, variables: Mapping[str, str]) -> Path | None:
    """Say which file is read."""
    if file is None and variables.get(f"{PREFIX}CONFIG"):
        return Path(variables[f"{PREFIX}CONFIG"])
    if file is None and Path(DEFAULT_FILE).is_file():
        return Path(DEFAULT_FILE)
    return file


def _document(
    file: Path | None, variables: Mapping[str, str], *, only: str = ""
) -> yaml_file.Document:
    if file is None:
        return yaml_file.Document("", {}, {})
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=str(file)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", file=str(file)) from None
    return yaml_file.parse(text, str(file), variables, only=only)


def _from_variables(variables: Mapping[str, str]) -> dict[tuple[str, ...], Any]:
    """Read ``TOLLKEEPER_LISTEN__PORT=4001`` and the like as option paths."""
    values: dict[tuple[str, ...], Any] = {}
    for name, text in variables.items():
        word = name.removeprefix(PREFIX)
        if word == name or word in _OWN_WORDS:
            continue
        path = _SHORT.get(word) or tuple(word.lower().split("__"))
        if _is_text(path):
            values[path] = text  # a token of digits, or the word "on", is text as well
            continue
        try:
            values[path] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"{name}: not a value that YAML can read") from None
    return values


def _is_text(path: tuple[str, ...]) -> bool:
    """Tell whether an option takes text, or one of some words."""
    here: Any = Settings
    for step in path:
        if not (isinstance(here, type) and issubclass(here, msgspec.Struct)):
            return False
        here = {field.name: field.type for field in msgspec.structs.fields(here)}.get(step)
    words = get_args(here) if get_origin(here) is Literal else ()
    return here is str or (bool(words) and all(isinstance(word, str) for word in words))


def _lay_over(data: dict[str, Any], values: Mapping[tuple[str, ...], Any]) -> None:
    for path, value in values.items():
        inner = data
        for step in path[:-1]:
            following = inner.get(step)
            if not isinstance(following, dict):
                following = inner[step] = {}
            inner = following
        inner[path[-1]] = value


def _convert(document: yaml_file.Document, data: dict[str, Any]) -> Settings:
    if isinstance(data.get("sandbox"), bool):
        data["sandbox"] = "on" if data["sandbox"] else "off"  # as YAML reads these words
    try:
        return msgspec.convert(data, Settings)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        path = tuple(_steps(place.rstrip("`")))
        unknown = message.partition("unknown field `")[2].partition("`")[0]
        if not unknown:
            raise document.error(path, message[:1].lower() + message[1:]) from None
        known = _options_at(path)
        near = difflib.get_close_matches(unknown, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        raise document.error((*path, unknown), "no such option", hint) from None


def _steps(place: str) -> Iterator[str | int]:
    """Read a place in the options as the error words it: ``.prices[2].usd``."""
    for name, index in _STEP.findall(place):
        if name:
            yield name
        elif index.isdigit():
            yield int(index)


def _options_at(path: yaml_file.Path) -> list[str]:
    here: Any = Settings
    for step in path:
        if isinstance(step, int):
            (here,) = get_args(here)
            here = next((it for it in get_args(here) if _is_shape(it)), here)
        else:
            here = {field.name: field.type for field in msgspec.structs.fields(here)}[step]
    return sorted(field.name for field in msgspec.structs.fields(here))


def _is_shape(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _check_listen(document: yaml_file.Document, settings: Settings) -> None:
    listen = settings.listen
    if bool(listen.tls_cert) != bool(listen.tls_key):
        raise document.error(("listen",), "TLS needs both tls_cert and tls_key")
    for option in ("tls_cert", "tls_key"):
        path = getattr(listen, option)
        if path and not Path(path).is_file():
            raise document.error(("listen", option), f"there is no file {path!r}")
    for number, text in enumerate(listen.trusted_proxies):
        try:
            read_network(text)
        except ValueError as error:
            raise document.error(
                ("listen", "trusted_proxies", number),
                f"{text!r} is no network: {error}",
                "write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32",
            ) from None
    if settings.ca_file and not Path(settings.ca_file).is_file():
        raise document.error(("ca_file",), f"there is no file {settings.ca_file!r}")


def _check_places(document: yaml_file.Document, settings: Settings) -> None:
    """Refuse what would be obeyed in words only: a zone that is none, an engine to come."""
    try:
        ZoneInfo(settings.timezone)
    except (ValueError, OSError, LookupError):
        raise document.error(
            ("timezone",), f"{settings.timezone!r} is no time zone", "write Europe/Berlin"
        ) from None
    _check_ledger(document, settings)
    _check_store(document, settings)


def _check_ledger(document: yaml_file.Document, settings: Settings) -> None:
    usual = f"duckdb:///{settings.data}/ledger.duckdb"
    file = settings.ledger.removeprefix(SQLITE_LEDGER)
    if file != settings.ledger:
        if not file or file.endswith("/") or set(file) & set("?#"):
            raise document.error(
                ("ledger",), "names no file", f"write sqlite:///{settings.data}/ledger.sqlite3"
            )
    elif settings.ledger not in {"", usual}:
        raise document.error(
            ("ledger",),
            f"this version keeps it in {usual} or in a file of SQLite",
            f"leave the option out, or write sqlite:///{settings.data}/ledger.sqlite3",
        )


def _check_store(document: yaml_file.Document, settings: Settings) -> None:
    if not settings.store:
        return
    try:
        parse_store_url(settings.store)
    except ValueError as error:
        raise document.error(("store",), f"the address {error}", f"write {EXAMPLES}") from None


def _providers(document: yaml_file.Document, settings: Settings) -> dict[str, Provider]:
    providers: dict[str, Provider] = {}
    for name, options in settings.providers.items():
        try:
            provider = provider_from(name, options or {})
            for base in (provider.root, *provider.bases.values()):
                parse_base_url(base)
        except ConfigError as error:
            raise document.error(("providers", name), str(error)) from None
        except ValueError as error:
            raise document.error(("providers", name, "base_url"), str(error)) from None
        providers[name] = provider
    return providers


def _aliases(document: yaml_file.Document, settings: Settings) -> dict[str, list[str]]:
    aliases: dict[str, list[str]] = {}
    for name, targets in settings.models.items():
        texts = [targets] if isinstance(targets, str) else targets
        if not texts:
            raise document.error(("models", name), "an alias needs at least one target")
        for text in texts:
            provider = text.partition("/")[0]
            if provider not in settings.providers and provider != "sandbox":
                raise document.error(
                    ("models", name),
                    f"provider {provider!r} is not configured",
                    f"add it under providers, or use one of: {', '.join(settings.providers)}",
                )
        aliases[name] = texts
    return aliases


def _proxies(settings: Settings, variables: Mapping[str, str]) -> Proxies:
    def word(option: str, *names: str) -> str:
        return option or next((variables[name] for name in names if variables.get(name)), "")

    bypass = word(settings.no_proxy, "NO_PROXY", "no_proxy")
    https = word(settings.https_proxy, "HTTPS_PROXY", "https_proxy")
    http = word(settings.http_proxy, "http_proxy")  # HTTP_PROXY can come from a CGI request
    for url in (https, http):
        if url and not url.startswith("http://"):
            raise ConfigError(f"an outgoing proxy starts with http://, not {url.split(':')[0]}:")
    return Proxies(http, https, tuple(part.strip() for part in bypass.split(",") if part.strip()))
