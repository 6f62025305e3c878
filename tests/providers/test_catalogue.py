"""The catalogue of providers, and settings that are faulty, with what to do about them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.routing import AuthStyle, CutPolicy, Dialect, Provider
from tollkeeper.providers.catalogue import login_providers, provider_from, with_api_key
from tollkeeper.providers.kinds import KINDS, LOGIN_KINDS
from tollkeeper.providers.price_data import shipped_price_book

PRICED = frozenset(shipped_price_book().providers())


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.root])
def test_a_known_name_needs_only_a_key(name: str) -> None:
    kind = KINDS[name]
    provider = provider_from(name, {"api_key": "k"} if kind.takes_key else {})
    assert provider.bases
    assert set(provider.auth) == set(provider.bases)
    assert not kind.price_id or kind.price_id in PRICED
    for address in (provider.root, *provider.bases.values()):
        parts = urlsplit(address)
        assert address == address.rstrip("/")
        assert parts.scheme == "https" or parts.hostname == "127.0.0.1"
        assert address.startswith(provider.root)
    if kind.takes_key:
        assert provider.api_key == "k"


STOPS, WORKS_ON = CutPolicy.CANCEL, CutPolicy.DRAIN
OPENAI_SHAPED = {
    # name → (where its chats go, whether usage must be asked for, what a cut stream does)
    "openai": ("https://api.openai.com/v1", True, STOPS),
    "groq": ("https://api.groq.com/openai/v1", False, WORKS_ON),
    "deepseek": ("https://api.deepseek.com/v1", True, STOPS),
    "moonshot": ("https://api.moonshot.ai/v1", True, STOPS),
    "xai": ("https://api.x.ai/v1", False, STOPS),
    "openrouter": ("https://openrouter.ai/api/v1", False, STOPS),
    "perplexity": ("https://api.perplexity.ai", False, WORKS_ON),
    "together": ("https://api.together.xyz/v1", True, STOPS),
    "huggingface": ("https://router.huggingface.co/v1", True, WORKS_ON),
    "fireworks": ("https://api.fireworks.ai/inference/v1", True, STOPS),
    "cerebras": ("https://api.cerebras.ai/v1", True, WORKS_ON),
    "zai": ("https://api.z.ai/api/paas/v4", True, STOPS),
    "alibaba": ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", True, WORKS_ON),
    "minimax": ("https://api.minimax.io/v1", True, WORKS_ON),
    "anthropic": ("https://api.anthropic.com/v1", True, STOPS),
    "google": ("https://generativelanguage.googleapis.com/v1beta/openai", True, WORKS_ON),
    "vllm": ("http://127.0.0.1:8000/v1", True, STOPS),
    "lmstudio": ("http://127.0.0.1:1234/v1", True, STOPS),
    "ollama": ("http://127.0.0.1:11434/v1", True, STOPS),
}


@pytest.mark.parametrize("name", OPENAI_SHAPED)
def test_whoever_speaks_openais_dialect_is_reached_by_name(name: str) -> None:
    base, injects_usage, cut_policy = OPENAI_SHAPED[name]
    provider = provider_from(name, {"api_key": "k"})
    assert provider.bases[Dialect.OPENAI] == base
    assert provider.auth[Dialect.OPENAI] is AuthStyle.BEARER
    assert (provider.injects_usage, provider.cut_policy) == (injects_usage, cut_policy)


def test_the_most_used_ones() -> None:
    openai = provider_from("openai", {"api_key": "k"})
    assert openai == Provider(
        name="openai",
        kind="openai",
        price_id="openai",
        root="https://api.openai.com",
        bases={Dialect.OPENAI: "https://api.openai.com/v1"},
        auth={Dialect.OPENAI: AuthStyle.BEARER},
        api_key="k",
    )
    anthropic = provider_from("anthropic", {"api_key": "k"})
    assert anthropic.bases[Dialect.ANTHROPIC] == "https://api.anthropic.com/v1"
    assert anthropic.auth[Dialect.ANTHROPIC] is AuthStyle.X_API_KEY
    assert anthropic.auth[Dialect.OPENAI] is AuthStyle.BEARER
    google = provider_from("google", {"api_key": "k"})
    assert google.bases == {
        Dialect.GEMINI: "https://generativelanguage.googleapis.com",
        Dialect.OPENAI: "https://generativelanguage.googleapis.com/v1beta/openai",
    }
    assert google.cut_policy is CutPolicy.DRAIN
    assert not provider_from("mistral", {}).injects_usage
    assert provider_from("moonshot", {}).price_id == "moonshotai"
    assert provider_from("xai", {}).price_id == "x-ai"


def test_login_services_are_there_without_settings() -> None:
    providers = login_providers()
    assert set(providers) == set(LOGIN_KINDS)
    assert providers["chatgpt"].bases[Dialect.OPENAI] == "https://chatgpt.com/backend-api/codex"
    assert providers["chatgpt"].auth[Dialect.OPENAI] is AuthStyle.NONE
    with pytest.raises(ConfigError, match="login"):
        provider_from("chatgpt", {"api_key": "k"})


def test_a_server_of_ones_own_needs_no_key() -> None:
    lab = {"kind": "openai", "base_url": "http://10.0.0.7:8000/v1"}
    for provider in (provider_from("lab", lab), provider_from("ollama", {})):
        assert set(provider.auth.values()) == {AuthStyle.NONE}
    keyed = provider_from("lab", {**lab, "api_key": "k"})
    assert keyed.auth == {Dialect.OPENAI: AuthStyle.BEARER}
    # A vendor's own server always wants one: it may come later, from the store.
    for name in ("openai", "anthropic", "kimi-code"):
        auth = provider_from(name, {}).auth
        assert (AuthStyle.NONE in auth.values()) == (name == "kimi-code")
    azure = provider_from("azure", {"base_url": "https://acme.openai.azure.com"})
    assert azure.auth == {Dialect.OPENAI: AuthStyle.API_KEY}


def test_a_key_may_come_later() -> None:
    for name in ("anthropic", "ollama", "kimi-code"):
        keyed = with_api_key(provider_from(name, {}), "k")
        assert keyed == provider_from(name, {"api_key": "k"})
    with pytest.raises(ConfigError, match="login"):
        with_api_key(provider_from("chatgpt", {}), "k")


@pytest.mark.parametrize(
    ("name", "settings", "root", "bases"),
    [
        (
            "lab",
            {"kind": "openai", "base_url": "http://10.0.0.7:8000/v1"},
            "http://10.0.0.7:8000",
            {"openai": "http://10.0.0.7:8000/v1"},
        ),
        (
            "lab",
            {"kind": "openai", "base_url": "http://10.0.0.7:8000"},
            "http://10.0.0.7:8000",
            {"openai": "http://10.0.0.7:8000/v1"},
        ),
        (
            "lab",
            {"kind": "openai", "base_url": "http://10.0.0.7:8000/"},
            "http://10.0.0.7:8000",
            {"openai": "http://10.0.0.7:8000"},
        ),
        (
            "lab",
            {"kind": "openai", "base_url": "https://llm.acme.com/team/openai/v3/"},
            "https://llm.acme.com/team/openai",
            {"openai": "https://llm.acme.com/team/openai/v3"},
        ),
        (
            "anthropic",
            {"base_url": "https://proxy.acme.com/anthropic"},
            "https://proxy.acme.com/anthropic",
            {
                "anthropic": "https://proxy.acme.com/anthropic/v1",
                "openai": "https://proxy.acme.com/anthropic/v1",
            },
        ),
        (
            "google",
            {"base_url": "http://127.0.0.1:9000"},
            "http://127.0.0.1:9000",
            {"gemini": "http://127.0.0.1:9000", "openai": "http://127.0.0.1:9000/v1beta/openai"},
        ),
        (
            "google",
            {"base_url": "http://127.0.0.1:9000/v1beta"},
            "http://127.0.0.1:9000",
            {
                "gemini": "http://127.0.0.1:9000/v1beta",
                "openai": "http://127.0.0.1:9000/v1beta/openai",
            },
        ),
        (
            "gpu",
            {"kind": "vllm", "base_url": "http://gpu-box:8000/v1"},
            "http://gpu-box:8000",
            {
                "openai": "http://gpu-box:8000/v1",
                "anthropic": "http://gpu-box:8000/v1",
                "cohere": "http://gpu-box:8000",
            },
        ),
        (
            "moonshot",
            {"base_url": "https://api.moonshot.cn/v1"},
            "https://api.moonshot.cn",
            {
                "openai": "https://api.moonshot.cn/v1",
                "anthropic": "https://api.moonshot.cn/anthropic/v1",
            },
        ),
        *(
            (
                "azure",
                {"base_url": f"https://acme.openai.azure.com{end}"},
                "https://acme.openai.azure.com",
                {"openai": "https://acme.openai.azure.com/openai/v1"},
            )
            for end in ("", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/")
        ),
        (
            "vertex",
            {"project": "acme-1", "location": "europe-west4"},
            "https://europe-west4-aiplatform.googleapis.com",
            {
                "gemini": "https://europe-west4-aiplatform.googleapis.com/v1/projects/acme-1"
                "/locations/europe-west4/publishers/google"
            },
        ),
        (
            "vertex",
            {"project": "acme.com:acme-1", "location": "global"},
            "https://aiplatform.googleapis.com",
            {
                "gemini": "https://aiplatform.googleapis.com/v1/projects/acme.com:acme-1"
                "/locations/global/publishers/google"
            },
        ),
    ],
)
def test_addresses_that_an_operator_gives(
    name: str, settings: dict[str, Any], root: str, bases: dict[str, str]
) -> None:
    provider = provider_from(name, settings)
    assert provider.root == root
    assert provider.bases == bases
    assert set(provider.auth) == set(provider.bases)


@pytest.mark.parametrize(
    ("name", "settings", "price_id"),
    [
        ("openai", {"base_url": "https://proxy.acme.com/v1"}, "openai"),
        ("second", {"kind": "openai"}, "openai"),
        ("lab", {"kind": "openai", "base_url": "http://lab:1/v1"}, ""),
        ("lab", {"kind": "openai", "base_url": "http://lab:1/v1", "price_id": "groq"}, "groq"),
        ("azure-eu", {"kind": "azure", "base_url": "https://eu.openai.azure.com"}, "azure"),
        ("ollama", {}, ""),
    ],
)
def test_a_vendors_prices_hold_for_its_own_servers(
    name: str, settings: dict[str, Any], price_id: str
) -> None:
    assert provider_from(name, settings).price_id == price_id


def test_all_settings() -> None:
    provider = provider_from(
        "lab",
        {
            "kind": "openai",
            "base_url": "http://lab.acme.com/v1",
            "allow_http": True,
            "api_key": " a-secret ",
            "headers": {"x-team": "core"},
            "prices": {"input": 0, "output": 1.5, "cache_read": "0.05", "reasoning": 1e-7},
            "models": ["qwen3", "llama"],
            "cut_policy": "drain",
            "login": False,
        },
    )
    assert provider.custom_prices == {
        "input": "0",
        "output": "1.5",
        "cache_read": "0.05",
        "reasoning": "0.0000001",
    }
    assert provider.api_key == "a-secret"
    assert provider.headers == {"x-team": "core"}
    assert provider.models == ("qwen3", "llama")
    assert provider.cut_policy is CutPolicy.DRAIN
    assert not provider.login
    assert "a-secret" not in repr(provider)


LAB = {"kind": "openai", "base_url": "http://lab:8000/v1"}


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("lab", {}, ["not a provider known by name", "kind", "base_url", "openai, anthropic"]),
        ("lab", {"kind": "opnai"}, ["no kind 'opnai'", "known"]),
        ("lab/x", LAB, ["letters"]),
        ("", LAB, ["letters"]),
        ("azure", {"api_key": "k"}, ["base_url is missing", "azure.com"]),
        ("bedrock", {}, ["region is missing", "us-east-1"]),
        ("openai", {"apikey": "k"}, ["unknown setting 'apikey'", "api_key"]),
        ("openai", {"api_key": 5}, ["api_key must be text"]),
        ("openai", {"login": "no"}, ["login must be true or false"]),
        ("openai", {"cut_policy": "stop"}, ["cut_policy", "drain or cancel"]),
        ("openai", {"models": "gpt"}, ["list of model names"]),
        ("openai", {"models": [""]}, ["list of model names"]),
        ("openai", {"headers": ["x"]}, ["headers"]),
        ("openai", {"headers": {"x y": "1"}}, ["impossible name"]),
        ("openai", {"headers": {"x": "a\r\nb: c"}}, ["one line"]),
        ("openai", {"headers": {"Host": "x"}}, ["cannot be set"]),
        ("openai", {"prices": 5}, ["million tokens"]),
        ("openai", {"prices": {}}, ["million tokens"]),
        ("openai", {"prices": {"in": 5}}, ["no quantity 'in'", "input"]),
        ("openai", {"prices": {"input": -1}}, ["zero or more"]),
        ("openai", {"prices": {"input": True}}, ["zero or more"]),
        ("openai", {"prices": {"input": "abc"}}, ["zero or more"]),
        ("openai", {"prices": {"input": float("nan")}}, ["zero or more"]),
        ("openai", {"prices": {"input": float("inf")}}, ["zero or more"]),
        ("vertex", {"project": "p"}, ["both project and location"]),
        ("vertex", {"project": "p/../x", "location": "l"}, ["both project and location"]),
        ("openai", {"project": "p", "location": "l"}, ["vertex"]),
    ],
)
def test_faulty_settings_say_what_to_do(
    name: str, settings: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        provider_from(name, settings)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "lab:8000",
        "ftp://lab/v1",
        "file:///etc/passwd",
        "//lab/v1",
        "http:///v1",
        "https://",
        "https://user:secret@lab/v1",
        "https://lab/v1?key=secret",
        "https://lab/v1#x",
        "https://lab/v1?",
        "https://lab:99999/v1",
        "https://lab:x/v1",
        "https://lab/../v1",
        "https://lab/%2e%2e/v1",
        "https://lab//v1",
        "https://lab/v1\r\nX: y",
        "https://lab/v 1",
        "https://l\u00e4b/v1",
        "https://lab\\@evil/v1",
        "https://[::1/v1",
        "http://api.example.com/v1",
        "http://8.8.8.8/v1",
        "http://169.254.169.254/v1",
        "http://lab.example.com/v1",
        "http://[2001:4860:4860::8888]/v1",
    ],
)
def test_addresses_that_nobody_should_give(base_url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        provider_from("lab", {"kind": "openai", "base_url": base_url})
    assert "base_url" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.8.8.8", "[::1]", "localhost", "10.1.2.3", "192.168.1.5", "172.16.0.9"),
        *("[fd00::1]", "ollama", "gpu.local", "llm.internal", "llm.ml.svc.cluster.local", "a.lan"),
    ],
)
def test_plain_http_is_for_hosts_nearby(host: str) -> None:
    assert provider_from("lab", {"kind": "openai", "base_url": f"http://{host}:8000/v1"})


def test_plain_http_elsewhere_must_be_allowed() -> None:
    settings = {"kind": "openai", "base_url": "http://llm.example.com/v1"}
    with pytest.raises(ConfigError, match="allow_http"):
        provider_from("lab", settings)
    assert provider_from("lab", {**settings, "allow_http": True})


def test_the_sandbox_needs_nothing() -> None:
    sandbox = provider_from("sandbox", {})
    assert set(sandbox.bases) == {Dialect.OPENAI, Dialect.ANTHROPIC, Dialect.GEMINI}
    assert set(sandbox.auth.values()) == {AuthStyle.NONE}
    assert sandbox.models == ("echo",)
    assert sandbox.custom_prices is not None
    assert sandbox.custom_prices["output"] == "4.00"
    assert sandbox.cut_policy is CutPolicy.CANCEL
    own = provider_from("sandbox", {"prices": {"input": 9}, "models": ["mine"]})
    assert (own.custom_prices, own.models) == ({"input": "9"}, ("mine",))
    with pytest.raises(ConfigError) as caught:
        provider_from("sandbox", {"api_key": "k"})
    assert "login" not in str(caught.value)
    # It is a provider of any name, wherever it runs.
    bench = provider_from("bench", {"kind": "sandbox", "base_url": "http://127.0.0.1:9/v1"})
    assert bench.bases[Dialect.ANTHROPIC] == "http://127.0.0.1:9/v1"
    assert bench.bases[Dialect.GEMINI] == "http://127.0.0.1:9"
