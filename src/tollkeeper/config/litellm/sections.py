"""The sections beside ``model_list``: fallbacks, aliases of names, budgets, and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.config.litellm.carried import Carried
from tollkeeper.config.litellm.kinds import KINDS
from tollkeeper.config.yaml_file import Path

_NO_COUNTERPART: Final = "has no counterpart here"
_FALLBACKS: Final = ("fallbacks", "default_fallbacks")
_LITELLM_SAID: Final[Mapping[str, str]] = {
    "callbacks": "calls are recorded in the ledger; nothing is sent elsewhere",
    "success_callback": "calls are recorded in the ledger; nothing is sent elsewhere",
    "failure_callback": "calls are recorded in the ledger; nothing is sent elsewhere",
    "cache": "replies are not cached here",
    "cache_params": "replies are not cached here",
    "num_retries": "calls are sent once; clients send them again",
    "request_timeout": "see timeouts in docs/configuration.md",
    "drop_params": "requests are passed on as they come",
    "set_verbose": "see log_level",
    "tag_budget_config": "make a budget on the tag: scope tag:NAME",
    "default_team_settings": "make a budget on each team: scope each team",
    "max_end_user_budget_id": "make a budget on each customer: scope each customer",
    "context_window_fallbacks": "calls are not sent again elsewhere",
    "content_policy_fallbacks": "calls are not sent again elsewhere",
}
_GENERAL_SAID: Final[Mapping[str, str]] = {
    "master_key": "make an admin key with: tollkeeper keys issue --name admin --role admin",
    "database_url": "keys, teams and people are in LiteLLM's database and are not read; make them "
    "with the same calls as before (docs/litellm.md), or see store for a database of ours",
    "store_model_in_db": "models that were made in LiteLLM's pages are not read",
    "alerting": "see alerts in docs/configuration.md",
    "alerting_threshold": "see alerts in docs/configuration.md",
    "max_parallel_requests": "see limits.in_flight",
    "global_max_parallel_requests": "see limits.in_flight",
}
_ROUTER_SAID: Final[Mapping[str, str]] = {
    "routing_strategy": "calls go to the first target; they are not spread",
    "num_retries": "calls are sent once; clients send them again",
    "timeout": "see timeouts in docs/configuration.md",
    "redis_host": "no Redis is needed",
    "redis_port": "no Redis is needed",
    "redis_password": "no Redis is needed",
    "redis_url": "no Redis is needed",
}


def carry_sections(carried: Carried, data: Mapping[str, Any]) -> None:
    """Carry everything but the models over."""
    litellm = _section(carried, data, "litellm_settings")
    router = _section(carried, data, "router_settings")
    general = _section(carried, data, "general_settings")
    _aliases(carried, router)
    _fallbacks(carried, ("router_settings",), router)
    _fallbacks(carried, ("litellm_settings",), litellm)
    _budgets(carried, litellm)
    _provider_budgets(carried, router)
    _say(carried, "litellm_settings", litellm, _LITELLM_SAID)
    _say(carried, "router_settings", router, _ROUTER_SAID)
    _say(carried, "general_settings", general, _GENERAL_SAID)
    known = {"model_list", "litellm_settings", "router_settings", "general_settings"}
    for name in data:
        if name == "environment_variables":
            carried.note((name,), "set these variables before the start; values are not copied")
        elif name not in known:
            carried.note((name,), _NO_COUNTERPART)


def _section(carried: Carried, data: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    if isinstance(found, dict):
        return dict(found)
    if found is not None:
        carried.note((name,), "is no section, and is left out")
    return {}


def _aliases(carried: Carried, router: dict[str, Any]) -> None:
    """Let further names lead where a model's own name leads."""
    given = router.pop("model_group_alias", None)
    for name, other in given.items() if isinstance(given, dict) else ():
        path: Path = ("router_settings", "model_group_alias", name)
        target = other.get("model") if isinstance(other, dict) else other
        if isinstance(target, str) and target in carried.models:
            carried.models[name] = list(carried.models[target])
        else:
            carried.note(path, f"leads to {str(target)[:60]!r}, which is no model of this file")


def _fallbacks(carried: Carried, section: Path, settings: dict[str, Any]) -> None:
    """Put the targets of fallbacks behind a model's own."""
    own = {name: list(texts) for name, texts in carried.models.items()}
    for option in _FALLBACKS:
        given = settings.pop(option, None)
        if given is None:
            continue
        path = (*section, option)
        pairs = (
            [(name, given) for name in own]
            if option == "default_fallbacks"
            else [pair for each in given if isinstance(each, dict) for pair in each.items()]
            if isinstance(given, list)
            else []
        )
        for name, others in pairs:
            _append(carried, path, own, name, others)
        if pairs:
            carried.note(
                path,
                "targets are put in this order: the first that speaks the caller's API is used; "
                "a call that failed is not sent again elsewhere",
            )


def _append(
    carried: Carried, path: Path, own: Mapping[str, list[str]], name: str, others: object
) -> None:
    if name not in own:
        carried.note(path, f"{name[:60]!r} is no model of this file")
        return
    for other in others if isinstance(others, list) else [others]:
        if not isinstance(other, str) or other not in own:
            carried.note(path, f"{str(other)[:60]!r} is no model of this file")
            continue
        carried.models[name] += [it for it in own[other] if it not in carried.models[name]]


def _budgets(carried: Carried, litellm: dict[str, Any]) -> None:
    """Carry the budgets of ``litellm_settings`` over."""
    section: Path = ("litellm_settings",)
    zone = litellm.pop("timezone", None)
    carried.timezone = zone if isinstance(zone, str) else ""
    duration = litellm.pop("budget_duration", None)
    limit = litellm.pop("max_budget", None)
    if limit is not None:
        path = (*section, "max_budget")
        carried.budget(path, limit, duration, "all of us", {"scope": "org"})
    user = litellm.pop("max_internal_user_budget", None)
    user_duration = litellm.pop("internal_user_budget_duration", None)
    if user is not None:
        path = (*section, "max_internal_user_budget")
        carried.budget(path, user, user_duration, "each person", {"scope": "each user"})
    customer = litellm.pop("max_end_user_budget", None)
    if customer is not None:
        path = (*section, "max_end_user_budget")
        carried.budget(path, customer, None, "each customer", {"scope": "each end_customer"})
    _defaults(carried, litellm, "default_internal_user_params", "each person", "each user")
    _defaults(carried, litellm, "upperbound_key_generate_params", "each key", "each key")
    _defaults(carried, litellm, "default_key_generate_params", "each key", "each key")


def _defaults(
    carried: Carried, litellm: dict[str, Any], option: str, name: str, scope: str
) -> None:
    """Carry the budget that new people or keys are given over, as one on each of them."""
    given = litellm.pop(option, None)
    if not isinstance(given, dict):
        return
    path: Path = ("litellm_settings", option)
    limit = given.get("max_budget")
    if limit is not None and any(each["scope"] == scope for each in carried.budgets):
        carried.note((*path, "max_budget"), f"there is a budget on {scope} already")
    elif limit is not None:
        carried.budget(
            (*path, "max_budget"), limit, given.get("budget_duration"), name, {"scope": scope}
        )
    taken = {"max_budget", "budget_duration"}
    said = "new keys and people are given nothing by themselves; say it when they are made"
    carried.rest(path, (it for it in given if it not in taken), said)


def _provider_budgets(carried: Carried, router: dict[str, Any]) -> None:
    """Carry ``provider_budget_config`` over: a budget on all accounts of a provider."""
    given = router.pop("provider_budget_config", None)
    for word, figures in given.items() if isinstance(given, dict) else ():
        path: Path = ("router_settings", "provider_budget_config", word)
        kind = KINDS.get(word)
        if kind is None or not isinstance(figures, dict):
            carried.note(path, "there is no such provider here")
            continue
        limit = figures.get("budget_limit", figures.get("max_budget"))
        duration = figures.get("time_period", figures.get("budget_duration"))
        words = {"scope": "provider", "match": f"{kind}*"}
        carried.budget(path, limit, duration, f"provider {kind}", words)


def _say(
    carried: Carried, section: str, settings: Mapping[str, Any], said: Mapping[str, str]
) -> None:
    for name in settings:
        carried.note((section, name), said.get(name, _NO_COUNTERPART))
