"""LiteLLM's words for providers: ours, and the variable in which LiteLLM looks for the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS: Final[Mapping[str, str]] = {
    **{
        name: name
        for name in (
            *("openai", "azure", "anthropic", "bedrock", "mistral", "groq", "deepseek"),
            *("moonshot", "xai", "cerebras", "cohere", "openrouter", "perplexity", "zai"),
            *("minimax", "deepinfra", "novita", "nebius", "sambanova", "huggingface"),
            *("voyage", "ai21", "watsonx", "heroku", "baseten", "ollama", "vllm"),
            *("databricks", "snowflake", "cloudflare"),
        )
    },
    "text-completion-openai": "openai",
    "custom_openai": "openai",
    "openai_like": "openai",
    "litellm_proxy": "openai",
    "azure_text": "azure",
    "azure_ai": "azure",
    "anthropic_text": "anthropic",
    "gemini": "google",
    "vertex_ai": "vertex",
    "vertex_ai_beta": "vertex",
    "bedrock_converse": "bedrock",
    "codestral": "mistral",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "cohere_chat": "cohere",
    "dashscope": "alibaba",
    "jina_ai": "jina",
    "nvidia_nim": "nvidia",
    "ollama_chat": "ollama",
    "hosted_vllm": "vllm",
    "lm_studio": "lmstudio",
    "llamafile": "llamacpp",
}
"""LiteLLM's prefix of a model, and our kind of provider."""

KEYLESS: Final = frozenset({"ollama", "vllm", "lmstudio", "llamacpp", "vertex"})
"""Kinds that are left without a key where the file names none."""

VARIABLES: Final[Mapping[str, str]] = {
    "google": "GEMINI_API_KEY",
    "together": "TOGETHERAI_API_KEY",
    "fireworks": "FIREWORKS_AI_API_KEY",
    "perplexity": "PERPLEXITYAI_API_KEY",
    "nvidia": "NVIDIA_NIM_API_KEY",
    "alibaba": "DASHSCOPE_API_KEY",
    "jina": "JINA_AI_API_KEY",
}
"""Where LiteLLM looks for a key, where that is not the kind's name and ``_API_KEY``."""

NEEDED: Final[Mapping[str, Mapping[str, str]]] = {
    "azure": {"base_url": "AZURE_API_BASE"},
    "databricks": {"base_url": "DATABRICKS_API_BASE"},
    "snowflake": {"base_url": "SNOWFLAKE_API_BASE"},
    "cloudflare": {"base_url": "CLOUDFLARE_API_BASE"},
    "vertex": {"project": "VERTEXAI_PROJECT", "location": "VERTEXAI_LOCATION"},
    "bedrock": {"region": "AWS_REGION"},
}
"""Where LiteLLM looks for what a provider cannot do without."""

MAKERS: Final[Mapping[str, str]] = {
    "gpt-": "openai",
    "chatgpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "text-embedding-": "openai",
    "dall-e-": "openai",
    "whisper-": "openai",
    "tts-": "openai",
    "claude-": "anthropic",
    "command-": "cohere",
}
"""How names of models begin that LiteLLM takes without a prefix."""
