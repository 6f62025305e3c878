"""The demo's ``tollkeeper.yaml``: providers that are simulated, plans, and the two contracts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from tollkeeper.demo.company import ORG, Company
from tollkeeper.demo.prices import price_rules
from tollkeeper.domain.price_rules import ALWAYS_US, PriceRule

_KEYED: Final = ("anthropic", "openai", "google", "moonshot", "mistral")
_LAB: Final = "lab"
_LOGINS: Final = {"chatgpt": "/v1", "kimi-code": "/v1", "code-assist": ""}
"""Where vendors' own tools go with a login: here, too, so that nothing leaves this machine."""
HOST: Final = "127.0.0.1"
_SECOND_US: Final = 1_000_000


def provider_urls(port: int) -> dict[str, str]:
    """Give the address at which each provider of the demo is simulated."""
    url = f"http://{HOST}:{port}"
    logins = {name: url + path for name, path in _LOGINS.items()}
    return {**dict.fromkeys((*_KEYED, _LAB), url), **logins}


def configuration_text(company: Company, provider_port: int) -> str:
    """Write the configuration of the demo."""
    lines = [
        "# The made-up company of `tollkeeper demo`. Its providers are simulated on this machine.",
        f"org: {ORG}",
        "sandbox: off",
        "adoption: {group_min: 3}  # the usual 5 would hide most of a company of this size",
        "providers:",
    ]
    for name, url in provider_urls(provider_port).items():
        lines += [f"  {name}:", f"    base_url: {url}"]
        lines += ["    api_key: simulated"] if name in _KEYED else []
        lines += ["    kind: vllm"] if name == _LAB else []
    lines.append("prices:")
    for rule in price_rules(company.stories):
        lines += _rule_lines(rule)
    lines += [
        "plans:",
        "  - name: Claude for Mobile",
        "    provider: anthropic",
        "    team: Mobile",
        "    seats: 18",
        "    seat_usd: 100",
        "  - name: ChatGPT for Search",
        "    provider: chatgpt",
        "    team: Search",
        "    seats: 14",
        "    seat_usd: 30",
    ]
    return "\n".join(lines) + "\n"


def _rule_lines(rule: PriceRule) -> list[str]:
    lines = [f"  - name: {rule.name}", f"    provider: {rule.provider}"]
    lines.append(f"    discount_bp: {rule.discount_bp}")
    if rule.since_us > -ALWAYS_US:
        lines.append(f"    since: {_moment(rule.since_us)}")
    if rule.until_us < ALWAYS_US:
        lines.append(f"    until: {_moment(rule.until_us)}")
    lines.append(f"    reason: {rule.reason}")
    return lines


def _moment(at_us: int) -> str:
    return f'"{datetime.fromtimestamp(at_us // _SECOND_US, UTC):%Y-%m-%dT%H:%M:%SZ}"'
