"""What replies say of their use: quantities, and the words in which each provider states them."""

from __future__ import annotations

from collections.abc import Mapping

from tollkeeper.demo.tools import Api
from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage, new_usage


def usage_of(api: Api, model: str, quantities: Mapping[str, int]) -> Usage:
    """Give the usage of a reply. Quantities are greater than zero."""
    raw = as_reported(api, quantities)
    return new_usage((quantities, model, "", "", "", False, (), "", None, raw, "", None))


def as_reported(api: Api, quantities: Mapping[str, int]) -> str:
    """Write quantities as their provider reports them, JSON."""
    count = quantities.get
    if api.wire == "anthropic":
        return _anthropic(quantities)
    fresh, cached = count(u.INPUT, 0), count(u.CACHE_READ, 0)
    output, reasoning = count(u.OUTPUT, 0), count(u.REASONING, 0)
    if api.wire == "gemini":
        return (
            f'{{"promptTokenCount":{fresh + cached},"cachedContentTokenCount":{cached},'
            f'"candidatesTokenCount":{output},"thoughtsTokenCount":{reasoning},'
            f'"totalTokenCount":{fresh + cached + output + reasoning}}}'
        )
    if api.endpoint == "embeddings":
        return f'{{"prompt_tokens":{fresh},"total_tokens":{fresh}}}'
    total = fresh + cached + output + reasoning
    if api.endpoint == "responses":
        return (
            f'{{"input_tokens":{fresh + cached},'
            f'"input_tokens_details":{{"cached_tokens":{cached}}},'
            f'"output_tokens":{output + reasoning},'
            f'"output_tokens_details":{{"reasoning_tokens":{reasoning}}},"total_tokens":{total}}}'
        )
    return (
        f'{{"prompt_tokens":{fresh + cached},"completion_tokens":{output + reasoning},'
        f'"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached}}},'
        f'"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}'
    )


def _anthropic(quantities: Mapping[str, int]) -> str:
    count = quantities.get
    short, long = count(u.CACHE_WRITE, 0), count(u.CACHE_WRITE_1H, 0)
    searches = count(u.WEB_SEARCHES, 0)
    tools = f',"server_tool_use":{{"web_search_requests":{searches}}}' if searches else ""
    return (
        f'{{"input_tokens":{count(u.INPUT, 0)},"cache_creation_input_tokens":{short + long},'
        f'"cache_read_input_tokens":{count(u.CACHE_READ, 0)},"cache_creation":'
        f'{{"ephemeral_5m_input_tokens":{short},"ephemeral_1h_input_tokens":{long}}},'
        f'"output_tokens":{count(u.OUTPUT, 0)}{tools}}}'
    )
