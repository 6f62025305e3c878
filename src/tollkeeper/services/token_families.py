"""How each family of models counts tokens, against OpenAI's newer vocabulary.

Read off recorded calls; `docs/accuracy.md` tells the errors, also of factors that were fitted
to one half of them and measured on the other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from tollkeeper.services.vocabulary import Pieces

AS_JSON: Final = "json"
AS_TYPESCRIPT: Final = "typescript"
AS_TEXTS: Final = "texts"


def _all(thousandths: int) -> Pieces:
    return Pieces(thousandths, thousandths, 0, thousandths, thousandths)


class Family(NamedTuple):
    """How one family of models counts.

    Factors are thousandths: by kind of piece of the conversation (``text``) and of the reply
    (``reply``), of the tokens of the declared tools (``tools``, written as ``tools_as``), of
    each of their texts (``tool_text``), of the prescribed answer's JSON (``schema``).

    The others are tokens. In a prompt: for each ``message``, once (``start``), once if there
    are tools (``tools_start``) or a schema (``schema_start``), for each ``tool``, for each
    call and result in the conversation (``past_call``), where a tool must be called
    (``any_choice``) and is named (``named_choice``), where reasoning is asked for
    (``thinking``). In a reply: once (``reply_start``), for each ``call`` of a tool and each
    ``argument`` of it, for ``several`` calls; ``any_call`` and ``named_call`` are what a call
    costs less where the request says that some tool, or which, must be called.
    ``reads_seals`` tells that sealed reasoning in a request counts as what is in it;
    ``own_tool`` is what a tool of the provider's own adds, whose words nobody sees.
    """

    text: Pieces = _all(1000)
    reply: Pieces = _all(1000)
    message: int = 0
    start: int = 0
    tools_as: str = AS_JSON
    tools: int = 1000
    tools_start: int = 0
    tool: int = 0
    tool_text: int = 0
    any_choice: int = 0
    named_choice: int = 0
    schema: int = 0
    schema_start: int = 0
    thinking: int = 0
    past_call: int = 0
    call: int = 0
    argument: int = 0
    several: int = 0
    any_call: int = 0
    named_call: int = 0
    reply_start: int = 0
    reads_seals: bool = False
    own_tool: int = 300


_NEWER: Final = 84  # what newer GPTs count for tools, in chat completions alone
OPENAI: Final = Family(
    message=4,
    start=3,
    tools_as=AS_TYPESCRIPT,
    tools_start=1,
    named_choice=8,
    schema=1000,
    schema_start=4,
    past_call=4,
    call=7,
    several=14,
    named_call=7,
)
_GPT_5: Final = OPENAI._replace(start=2, tools_start=_NEWER)
_GPT_5_4: Final = _GPT_5._replace(reply_start=3)
OTHER: Final = Family(
    text=_all(1050),
    message=4,
    start=3,
    tools=800,
    tools_start=20,
    schema=1000,
    call=10,
    reply_start=1,
)
_CLAUDE: Final = Family(
    text=Pieces(1145, 700, 0, 1030, 1900),
    reply=Pieces(1160, 1080, 0, 920, 1560),
    message=2,
    start=5,
    tools=1120,
    tools_start=509,
    any_choice=100,
    named_choice=100,
    schema=1920,
    schema_start=120,
    thinking=28,
    past_call=28,
    call=32,
    argument=10,
    any_call=15,
    named_call=30,
    reply_start=3,
    own_tool=2300,
)
_CLAUDE_UNTIL_4: Final = _CLAUDE._replace(
    tools_start=300, any_choice=40, named_choice=0, past_call=36
)
_CLAUDE_SINCE_4_7: Final = _CLAUDE._replace(
    text=_all(1330),
    reply=_all(1400),
    message=4,
    start=3,
    tools=2160,
    tools_start=341,
    thinking=0,
    past_call=20,
    call=36,
    reply_start=2,
)
_GEMINI_2_0: Final = Family(
    text=Pieces(1000, 0, 1000, 1000, 1500, 650),
    reply=Pieces(1000, 0, 1000, 1000, 1000, 1000),
    tools_as=AS_TEXTS,
    argument=-2,
    own_tool=100,
)
_GEMINI_2_5: Final = _GEMINI_2_0._replace(tool=18, tool_text=2500, past_call=12, call=7, argument=0)
_GEMINI_3: Final = _GEMINI_2_5._replace(
    tool=16, tool_text=3750, past_call=10, call=6, reads_seals=True
)
_LLAMA: Final = Family(text=_all(1060), message=4, start=5, schema=1000, call=21, reply_start=1)
_FAMILIES: Final = (
    # The first pattern that is found in a model's name decides.
    (
        r"gpt-oss",
        Family(reply=_all(1010), message=6, start=60, past_call=0, call=14, reply_start=4),
    ),
    (r"claude-(?:[a-z]+-)?(?:4[-.][7-9]|[5-9])(?![0-9])", _CLAUDE_SINCE_4_7),
    (r"claude-(?:3|[a-z]+-4-(?:0|2025)|2|instant)", _CLAUDE_UNTIL_4),
    (r"claude", _CLAUDE),
    (r"gemini-(?:1|2\.0)|gemma", _GEMINI_2_0),
    (r"gemini-2", _GEMINI_2_5),
    (r"gemini", _GEMINI_3),
    (
        r"(?:mis|minis|magis|codes|devs|mix|pix|vox)tral",
        Family(
            text=Pieces(1060, 0, 1000, 1060, 1060),
            reply=Pieces(1030, 0, 1000, 1030, 1030),
            message=1,
            start=3,
            tools=1600,
            tools_start=2,
            past_call=5,
            call=2,
            reply_start=1,
        ),
    ),
    (
        r"deepseek",
        Family(
            text=_all(1050),
            reply=_all(1030),
            start=3,
            tools=1400,
            tools_start=236,
            schema=1000,
            past_call=12,
            call=30,
        ),
    ),
    (r"llama-?3[-.p][1-3]", _LLAMA._replace(start=30)),
    (r"llama", _LLAMA),
    (
        r"qwen",
        Family(message=4, start=5, tools_start=91, schema=1500, call=13, reply_start=1),
    ),
    (
        r"grok",
        Family(
            text=_all(980),
            message=20,
            start=150,
            tools=1240,
            tools_start=42,
            schema=800,
            past_call=15,
            call=12,
        ),
    ),
    (r"nova-2", Family(reply=_all(1030), start=46, tools_start=800, call=14, reply_start=1)),
    (r"nova", Family(reply=_all(1030), tools_start=350, call=14, reply_start=1)),
    (r"titan", Family(text=_all(1110), reply=_all(950), message=2, reply_start=3)),
    (r"command", Family(reply=_all(1080), tools=730, tools_start=4)),
    (r"gpt-5\.[4-9]|gpt-[6-9]", _GPT_5_4),
    (r"gpt-5", _GPT_5),
    (r"gpt|chatgpt|davinci|babbage|codex|text-embedding|(?:^|/)o[1-9](?:-|$)", OPENAI),
)
_PATTERNS: Final = tuple((re.compile(pattern), family) for pattern, family in _FAMILIES)
_WITHOUT_MESSAGES: Final = frozenset({"completions", "embeddings", "embed"})


@lru_cache(500)
def family_of(model: str, endpoint: str) -> Family:
    """Give how a model counts; ``endpoint`` is the kind of call."""
    name = model.lower()
    family = next((family for pattern, family in _PATTERNS if pattern.search(name)), OTHER)
    if endpoint in _WITHOUT_MESSAGES:
        return Family(text=family.text, reply=family.reply)
    if endpoint == "responses" and family.tools_as == AS_TYPESCRIPT:
        newer = family.tools_start == _NEWER
        return family._replace(
            reply_start=family.reply_start + 1,
            tools_start=3 if newer else -3,
            schema_start=1,
            past_call=8 if newer else 3,
        )
    return family
