"""``model_list``: each deployment becomes a provider, a target, and perhaps a price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tollkeeper.config.litellm.carried import Carried, decimal_of, variable_of
from tollkeeper.config.litellm.kinds import KEYLESS, KINDS, MAKERS, NEEDED, VARIABLES
from tollkeeper.config.yaml_file import Path
from tollkeeper.domain.money import plain_price

_MILLION: Final = Decimal(1_000_000)
_PRICES: Final[Mapping[str, str]] = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
}
_PLACES: Final[Mapping[str, Mapping[str, str]]] = {
    "bedrock": {"aws_region_name": "region"},
    "vertex": {"vertex_project": "project", "vertex_location": "location"},
}
_SECRETS: Final[Mapping[str, str]] = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_OF_ONE_VENDOR: Final = frozenset({"openai", "anthropic"})
"""Kinds of which another address is another vendor's server."""
_ACCOUNT: Final = (
    *("api_base", "base_url", "api_key", "headers", "extra_headers", *_SECRETS),
    *(name for places in _PLACES.values() for name in places),
)
"""What tells two accounts apart."""
_TAKEN: Final = frozenset(
    {"model", "api_key", "api_base", "base_url", "order", "rpm", "tpm", "max_budget"}
    | {"budget_duration", "weight", "headers", "extra_headers", "custom_llm_provider"}
    | {*_PRICES, *_SECRETS, *(name for places in _PLACES.values() for name in places)}
)
_INFO_SAID: Final = frozenset({"id", "mode", "base_model", "description", "supports_vision"})


class Target(NamedTuple):
    """Where calls for a name may go. Lower orders come first."""

    order: int
    place: int
    text: str


def carry_models(carried: Carried, listed: object) -> None:
    """Carry a ``model_list`` over."""
    if not isinstance(listed, list):
        carried.note(("model_list",), "is no list, so there are no models")
        return
    found: dict[str, list[Target]] = {}
    for place, entry in enumerate(listed):
        path: Path = ("model_list", place)
        name = entry.get("model_name") if isinstance(entry, dict) else None
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(params, dict):
            carried.note(path, "has no model_name or no litellm_params, and is left out")
            continue
        target = _target(carried, path, name, params)
        if target:
            order = params.get("order")
            place_of = order if type(order) is int else 0
            found.setdefault(name, []).append(Target(place_of, place, target))
            _rates(carried, path, entry, params, target)
            _money(carried, path, entry, params, target)
        _say_rest(carried, path, entry, params)
    for name, targets in found.items():
        texts = list(dict.fromkeys(each.text for each in sorted(targets)))
        if texts != [name.removesuffix("/*")] and texts != [name]:
            carried.models[name] = texts
        if len(texts) > 1:
            carried.note(
                ("model_list", targets[0].place, "model_name"),
                f"{name} has {len(texts)} deployments: calls go to the first that speaks the "
                "caller's API; they are not spread, and not sent again elsewhere",
            )


def _target(carried: Carried, path: Path, name: str, params: Mapping[str, Any]) -> str:
    """Give where a deployment's calls go, "" where that cannot be said."""
    model = carried.text((*path, "litellm_params", "model"), params.get("model", ""))
    word, _, rest = model.partition("/")
    said = params.get("custom_llm_provider")
    if isinstance(said, str) and said in KINDS and word != said:
        word, rest = said, model
    kind = KINDS.get(word)
    if kind is None or not rest:
        kind = next((maker for start, maker in MAKERS.items() if model.startswith(start)), "")
        rest = model
        if not kind and (params.get("api_base") or params.get("base_url")):
            kind = "openai"  # LiteLLM speaks OpenAI's API to what it does not know
    if not kind:
        carried.note(
            (*path, "litellm_params", "model"),
            f"there is no provider {word[:40]!r} here; {name[:60]!r} is left out",
        )
        return ""
    if kind == "bedrock":
        rest = rest.removeprefix("converse/").removeprefix("invoke/")
    provider = _provider(carried, path, kind, params)
    if "*" not in rest:
        return f"{provider}/{rest}"
    if name in {"*", rest} or (name == model and provider == word):
        return provider  # the name of the model is kept
    carried.note(
        (*path, "litellm_params", "model"),
        f"a pattern keeps a model's name here, and cannot change it: ask for {provider}/NAME",
    )
    return ""


def _provider(carried: Carried, path: Path, kind: str, params: Mapping[str, Any]) -> str:
    """Give the name of the provider with these settings, adding it where there is none."""
    account = (kind, *(str(params.get(name)) for name in _ACCOUNT))
    if account in carried.accounts:
        return carried.accounts[account]
    base = params.get("api_base") or params.get("base_url")
    names = set(carried.providers)
    name = kind
    if kind in names or (base and kind in _OF_ONE_VENDOR):
        numbered = (f"{kind}-{number}" for number in range(2, len(names) + 3))
        name = next(wanted for wanted in numbered if wanted not in names)
    carried.accounts[account] = name
    inner = (*path, "litellm_params")
    settings: dict[str, Any] = {} if name == kind else {"kind": kind}
    if base:
        option = "api_base" if params.get("api_base") else "base_url"
        settings["base_url"] = carried.text((*inner, option), base).rstrip("/")
    for theirs, ours in _PLACES.get(kind, {}).items():
        if params.get(theirs):
            settings[ours] = carried.text((*inner, theirs), params[theirs])
    for ours, variable in NEEDED.get(kind, {}).items():
        if ours not in settings and not (base and kind == "bedrock"):
            settings[ours] = f"${{{variable}}}"
    settings |= _credentials(carried, inner, kind, name, params)
    for option in ("headers", "extra_headers"):
        headers = params.get(option)
        for key, value in headers.items() if isinstance(headers, dict) else ():
            variable = variable_of(f"{name}_{key}", "")
            secret = carried.secret((*inner, option, key), value, variable)
            settings.setdefault("headers", {})[key] = secret
    carried.providers[name] = settings
    return name


def _credentials(
    carried: Carried, inner: Path, kind: str, name: str, params: Mapping[str, Any]
) -> dict[str, str]:
    """Give what a provider is called with, as variables.

    A key that stands in the file gets a variable of its provider's own: it must not be another
    vendor's key that is sent there.
    """
    said = {theirs: ours for theirs, ours in _SECRETS.items() if params.get(theirs)}
    if kind == "bedrock" and said:
        return {
            ours: carried.secret((*inner, theirs), params[theirs], variable_of(name, theirs))
            for theirs, ours in said.items()
        }
    usual = VARIABLES.get(kind, variable_of(kind))
    if params.get("api_key"):
        variable = usual if name == kind else variable_of(name)
        return {"api_key": carried.secret((*inner, "api_key"), params["api_key"], variable)}
    if kind == "bedrock":
        carried.note(inner, "AWS keys are not looked for: they are taken from variables here")
        return {
            "access_key_id": "${AWS_ACCESS_KEY_ID}",
            "secret_access_key": "${AWS_SECRET_ACCESS_KEY}",
        }
    elsewhere = params.get("api_base") or params.get("base_url")
    if kind in KEYLESS or (elsewhere and kind in _OF_ONE_VENDOR):
        return {}
    return {"api_key": f"${{{usual}}}"}


def _rates(
    carried: Carried, path: Path, entry: Mapping[str, Any], params: Mapping[str, Any], target: str
) -> None:
    """Add what a deployment may carry to the limits of its model."""
    model = target.partition("/")[2]
    for theirs, ours in (("rpm", "requests_per_minute"), ("tpm", "tokens_per_minute")):
        value = params.get(theirs, entry.get(theirs))
        if value is None:
            continue
        if type(value) is not int or value < 1 or not model:
            carried.note((*path, "litellm_params", theirs), "is no limit that can be kept here")
            continue
        limits = carried.rates.setdefault(model, {})
        limits[ours] = limits.get(ours, 0) + value


def _money(
    carried: Carried, path: Path, entry: Mapping[str, Any], params: Mapping[str, Any], target: str
) -> None:
    """Carry a deployment's own prices and its own budget over."""
    provider, _, model = target.partition("/")
    info = entry.get("model_info")
    both = {**(info if isinstance(info, dict) else {}), **params}
    usd: dict[str, str] = {}
    for theirs, ours in _PRICES.items():
        if theirs not in both:
            continue
        price = decimal_of(both[theirs])
        plain = None if price is None else plain_price((price * _MILLION).normalize())
        if plain is None:
            inner = "litellm_params" if theirs in params else "model_info"
            carried.note((*path, inner, theirs), "is no price, and is left out")
        else:
            usd[ours] = plain
    if usd:
        rule: dict[str, Any] = {"name": f"{target} of LiteLLM", "provider": provider}
        rule |= {"model": model or "*", "usd": usd}
        if rule not in carried.prices:
            carried.prices.append(rule)
    if params.get("max_budget") is not None:
        carried.budget(
            (*path, "litellm_params", "max_budget"),
            params["max_budget"],
            params.get("budget_duration"),
            f"model {target}",
            {"scope": "model", "match": model or "*"},
        )


def _say_rest(
    carried: Carried, path: Path, entry: Mapping[str, Any], params: Mapping[str, Any]
) -> None:
    """Name everything of a deployment that was not looked at."""
    inner = (*path, "litellm_params")
    for name in params:
        if name == "weight":
            carried.note((*inner, name), "calls are not spread by weight here")
        elif name not in _TAKEN:
            carried.note((*inner, name), "has no counterpart here")
    info = entry.get("model_info")
    for name in info if isinstance(info, dict) else {}:
        if name == "base_model":
            carried.note((*path, "model_info", name), "prices go by the model's name: see prices")
        elif name not in _PRICES and name not in _INFO_SAID:
            carried.note((*path, "model_info", name), "has no counterpart here")
    known = {"model_name", "litellm_params", "model_info", "rpm", "tpm"}
    carried.rest(path, (it for it in entry if it not in known), "has no counterpart here")
