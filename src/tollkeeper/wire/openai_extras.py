"""What only some OpenAI-shaped providers add to a usage: costs, calls of tools, terms of a price.

A reply without any of it never comes here: see where ``chat_usage`` and its kin call this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.openai_chat_shapes import ChatUsage
from tollkeeper.wire.stated_costs import Statement, stated_cost

SONAR: Final = "sonar"
"""How Perplexity's models that search begin. Each of their calls is a search."""

_DEEP_RESEARCH: Final = "deep-research"
_CONTEXT_NOT_ASKED: Final = "low"  # Perplexity's own choice where a request does not say
_CONTEXTS: Final = frozenset({"low", "medium", "high"})

# Groq's words for what a compound system did on the way. Tools of others (MCP) are not its own.
_EXECUTED: Final[Mapping[str, str]] = {
    "search": u.WEB_SEARCHES,
    "web_search": u.WEB_SEARCHES,
    "browser_search": u.WEB_SEARCHES,
    "visit": u.WEB_FETCHES,
    "visit_website": u.WEB_FETCHES,
    "python": u.CODE_EXECUTIONS,
    "code_interpreter": u.CODE_EXECUTIONS,
    "code_execution": u.CODE_EXECUTIONS,
}
_NOT_BILLED_HERE: Final = frozenset({"mcp", "function"})


def with_statement(usage: Usage, counts: Statement) -> Usage:
    """Add the cost that a usage object states, and the calls of the provider's own tools."""
    cost = stated_cost(counts)
    return usage._replace(
        quantities=with_units(usage.quantities, tool_units(counts)),
        fault=usage.fault or cost.fault,
        provider_cost_nanos=cost.nanos,
        provider_list_nanos=cost.list_nanos,
    )


def with_search(usage: Usage, counts: ChatUsage) -> Usage:
    """Add what a search model of Perplexity bills beside the prompt and the answer.

    Deep research pays for each search, for what it cited and for its reasoning, none of
    which stands in the completion or the total; all others for the call, by how much context
    the search may bring.
    """
    if _DEEP_RESEARCH in usage.model:
        beside = {
            u.CITATION_TOKENS: counts.citation_tokens or 0,
            u.REASONING: counts.reasoning_tokens or 0,
            u.WEB_SEARCHES: counts.num_search_queries or 0,
        }
        return usage._replace(quantities=with_units(usage.quantities, beside))
    context = (counts.search_context_size or _CONTEXT_NOT_ASKED).lower()
    fault = usage.fault or ("" if context in _CONTEXTS else "unknown_search_context")
    return usage._replace(terms=f"search_context={context[:32]}", fault=fault)


def tool_units(counts: Statement) -> dict[str, int]:
    """Count the calls of the provider's own tools that a usage object states."""
    units: dict[str, int] = {}
    theirs = counts.server_tool_use_details or counts.server_tool_use
    if theirs is not None and theirs.web_search_requests:
        units[u.WEB_SEARCHES] = theirs.web_search_requests
    if counts.num_sources_used:
        units[u.WEB_SOURCES] = counts.num_sources_used
    made = counts.server_side_tool_usage_details
    if made is not None:
        units |= {
            u.WEB_SEARCHES: made.web_search_calls or 0,
            u.SOCIAL_SEARCHES: made.x_search_calls or 0,
            u.CODE_EXECUTIONS: made.code_interpreter_calls or 0,
            u.FILE_SEARCHES: made.file_search_calls or 0,
            u.DOCUMENT_SEARCHES: made.document_search_calls or 0,
        }
    return units


def executed_units(kinds: Iterable[str]) -> dict[str, int]:
    """Count what Groq's systems did by the kinds of its ``executed_tools``."""
    units: dict[str, int] = {}
    for kind in kinds:
        if kind not in _NOT_BILLED_HERE:
            name = _EXECUTED.get(kind, u.TOOL_CALLS)
            units[name] = units.get(name, 0) + 1
    return units


def with_units(quantities: Mapping[str, int], units: Mapping[str, int]) -> dict[str, int]:
    """Add units to quantities; what was not used is left out."""
    added = dict(quantities)
    for name, count in units.items():
        if count:
            added[name] = added.get(name, 0) + count
    return added
