"""The providers that are known by name: where they are, what they speak, how they bill.

Data only. Sources: the vendors' own documentation; for what happens to a stream that is cut,
OpenRouter's list of providers that stop work on cancellation; for usage in streams, recorded
replies. Prices come from the price book, by ``price_id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tollkeeper.domain.routing import AuthStyle, CutPolicy, Dialect

_OPENAI: Final = Dialect.OPENAI
_ANTHROPIC: Final = Dialect.ANTHROPIC
_GEMINI: Final = Dialect.GEMINI
_BEARER: Final = AuthStyle.BEARER


class Spoken(NamedTuple):
    """One dialect of a provider: the path of its base below the root, and where the key goes."""

    path: str
    auth: AuthStyle = AuthStyle.BEARER


class Kind(NamedTuple):
    """One kind of provider.

    ``root`` is "" where every customer has an address of their own: then the operator gives
    ``base_url``. The first of the ``dialects`` is its own; ``base_url`` is read as that
    one's. ``price_id`` is its id in the price book, "" where the operator sets the prices.
    ``injects_usage`` is false where a stream carries its usage without being asked, or
    where asking is refused. ``needs_key`` is false for servers that answer without one, and
    ``takes_key`` for a vendor's login service: callers bring their own login. ``models`` and
    ``prices`` (USD per million tokens) hold unless the operator sets others.
    """

    root: str
    dialects: Mapping[Dialect, Spoken]
    price_id: str = ""
    cut_policy: CutPolicy = CutPolicy.CANCEL
    injects_usage: bool = True
    needs_key: bool = True
    takes_key: bool = True
    models: tuple[str, ...] = ()
    prices: Mapping[str, str] | None = None


def _openai_at(path: str = "/v1") -> dict[Dialect, Spoken]:
    return {_OPENAI: Spoken(path)}


_NO_MORE: Final[Mapping[Dialect, Spoken]] = {}


def _local(port: int, more: Mapping[Dialect, Spoken] = _NO_MORE) -> Kind:
    """A model server on this machine: it stops when hung up on, and has no price list."""
    dialects = {_OPENAI: Spoken("/v1"), _ANTHROPIC: Spoken("/v1"), **more}
    return Kind(f"http://127.0.0.1:{port}", dialects, needs_key=False)


_DRAIN: Final = CutPolicy.DRAIN

SANDBOX_PRICES: Final[Mapping[str, str]] = {
    "input": "1.00",
    "cache_read": "0.10",
    "cache_write": "1.25",
    "cache_write_1h": "2.00",
    "input_image": "2.50",
    "input_audio": "6.00",
    "output": "4.00",
    "output_image": "40.00",
    "output_audio": "12.00",
}
"""Made-up prices, of the usual size, so that a call without credentials has a cost to look at."""

KINDS: Final[Mapping[str, Kind]] = {
    "openai": Kind("https://api.openai.com", _openai_at(), "openai"),
    "anthropic": Kind(
        "https://api.anthropic.com",
        {_ANTHROPIC: Spoken("/v1", AuthStyle.X_API_KEY), _OPENAI: Spoken("/v1")},
        "anthropic",
    ),
    "google": Kind(
        "https://generativelanguage.googleapis.com",
        {
            _GEMINI: Spoken("", AuthStyle.X_GOOG_API_KEY),
            _OPENAI: Spoken("/v1beta/openai"),
        },
        "google",
        _DRAIN,
    ),
    "azure": Kind("", {_OPENAI: Spoken("/openai/v1", AuthStyle.API_KEY)}, "azure"),
    "vertex": Kind(
        "https://aiplatform.googleapis.com",
        {_GEMINI: Spoken("/v1beta1/publishers/google", AuthStyle.X_GOOG_API_KEY)},
        "google",
        _DRAIN,
    ),
    "bedrock": Kind(
        "", {Dialect.BEDROCK: Spoken(""), _OPENAI: Spoken("/openai/v1")}, "aws", _DRAIN
    ),
    "mistral": Kind("https://api.mistral.ai", _openai_at(), "mistral", _DRAIN, injects_usage=False),
    "groq": Kind(
        "https://api.groq.com", _openai_at("/openai/v1"), "groq", _DRAIN, injects_usage=False
    ),
    "deepseek": Kind(
        "https://api.deepseek.com",
        {_OPENAI: Spoken("/v1"), _ANTHROPIC: Spoken("/anthropic/v1", AuthStyle.X_API_KEY)},
        "deepseek",
    ),
    "moonshot": Kind(
        "https://api.moonshot.ai",
        {_OPENAI: Spoken("/v1"), _ANTHROPIC: Spoken("/anthropic/v1")},
        "moonshotai",
    ),
    "xai": Kind("https://api.x.ai", _openai_at(), "x-ai", injects_usage=False),
    "together": Kind("https://api.together.xyz", _openai_at(), "together"),
    "fireworks": Kind("https://api.fireworks.ai", _openai_at("/inference/v1"), "fireworks"),
    "cerebras": Kind("https://api.cerebras.ai", _openai_at(), "cerebras", _DRAIN),
    "cohere": Kind(
        # Its compatible endpoint refuses stream_options.
        "https://api.cohere.ai",
        {_OPENAI: Spoken("/compatibility/v1"), Dialect.COHERE: Spoken("")},
        "cohere",
        injects_usage=False,
    ),
    "openrouter": Kind(
        "https://openrouter.ai",
        {_OPENAI: Spoken("/api/v1"), _ANTHROPIC: Spoken("/api/v1")},
        "openrouter",
        injects_usage=False,
    ),
    "perplexity": Kind(
        "https://api.perplexity.ai", _openai_at(""), "perplexity", _DRAIN, injects_usage=False
    ),
    "zai": Kind(
        "https://api.z.ai",
        {_OPENAI: Spoken("/api/paas/v4"), _ANTHROPIC: Spoken("/api/anthropic/v1")},
        "zai",
    ),
    "minimax": Kind(
        "https://api.minimax.io",
        {_OPENAI: Spoken("/v1"), _ANTHROPIC: Spoken("/anthropic/v1")},
        "minimax",
        _DRAIN,
    ),
    "alibaba": Kind(
        "https://dashscope-intl.aliyuncs.com",
        _openai_at("/compatible-mode/v1"),
        "dashscope",
        _DRAIN,
    ),
    "deepinfra": Kind("https://api.deepinfra.com", _openai_at("/v1/openai"), "deepinfra"),
    "novita": Kind("https://api.novita.ai", _openai_at("/openai/v1"), "novita"),
    "nebius": Kind("https://api.studio.nebius.com", _openai_at(), "nebius", _DRAIN),
    "sambanova": Kind("https://api.sambanova.ai", _openai_at(), "sambanova", _DRAIN),
    "huggingface": Kind("https://router.huggingface.co", _openai_at(), "", _DRAIN),
    "voyage": Kind("https://api.voyageai.com", _openai_at(), "voyageai", _DRAIN),
    "jina": Kind("https://api.jina.ai", _openai_at(), "", _DRAIN),
    "writer": Kind("https://api.writer.com", _openai_at(), "", _DRAIN),
    "ai21": Kind("https://api.ai21.com", _openai_at("/studio/v1"), "ai21", _DRAIN),
    # The key is a token of IBM's identity service; other regions are set by base_url.
    "watsonx": Kind("https://us-south.ml.cloud.ibm.com", {Dialect.WATSONX: Spoken("")}, "", _DRAIN),
    "databricks": Kind("", _openai_at("/serving-endpoints"), "databricks", _DRAIN),
    "snowflake": Kind("", _openai_at("/api/v2/cortex/v1"), "snowflake", _DRAIN),
    "cloudflare": Kind("", _openai_at("/ai/v1"), "cloudflare", _DRAIN),
    "heroku": Kind("https://us.inference.heroku.com", _openai_at(), "", _DRAIN),
    "crusoe": Kind("https://api.inference.crusoecloud.com", _openai_at(), "crusoe", _DRAIN),
    "portkey": Kind(
        "https://api.portkey.ai", {_OPENAI: Spoken("/v1", AuthStyle.X_PORTKEY_API_KEY)}, "", _DRAIN
    ),
    "pydantic-gateway": Kind(
        "https://gateway.pydantic.dev", _openai_at("/proxy/openai"), "", _DRAIN
    ),
    "nvidia": Kind("https://integrate.api.nvidia.com", _openai_at()),
    "baseten": Kind("https://inference.baseten.co", _openai_at(), "baseten"),
    "ollama": _local(11434, {Dialect.OLLAMA: Spoken("")}),
    # Its rerank and embeddings are also where Cohere has them.
    "vllm": _local(8000, {Dialect.COHERE: Spoken("")}),
    "lmstudio": _local(1234),
    "llamacpp": _local(8080),
    "sglang": Kind("http://127.0.0.1:30000", _openai_at(), needs_key=False),
    # The provider inside the product: it takes any model name, and lists one.
    "sandbox": Kind(
        "http://127.0.0.1:4010",
        {
            _OPENAI: Spoken("/v1", AuthStyle.NONE),
            _ANTHROPIC: Spoken("/v1", AuthStyle.NONE),
            _GEMINI: Spoken("", AuthStyle.NONE),
        },
        needs_key=False,
        takes_key=False,
        models=("echo",),
        prices=SANDBOX_PRICES,
    ),
    # What a vendor's own tool signs in to. Callers bring the login; nothing is billed by use.
    "chatgpt": Kind(
        "https://chatgpt.com",
        {_OPENAI: Spoken("/backend-api/codex", AuthStyle.NONE)},
        "openai",
        takes_key=False,
        needs_key=False,
    ),
    "code-assist": Kind(
        "https://cloudcode-pa.googleapis.com",
        {_GEMINI: Spoken("", AuthStyle.NONE)},
        "google",
        _DRAIN,
        takes_key=False,
        needs_key=False,
    ),
    "kimi-code": Kind(
        "https://api.kimi.com",
        {_OPENAI: Spoken("/coding/v1"), _ANTHROPIC: Spoken("/coding/v1")},
        "moonshotai",
        needs_key=False,
    ),
}

LOGIN_KINDS: Final = ("chatgpt", "code-assist", "kimi-code")
"""Kinds that work without any setting, because the caller brings everything they need."""
