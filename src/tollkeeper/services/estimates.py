"""Estimates, where a provider did not say what a reply used: always marked as such, never zero.

Tokens are counted by OpenAI's newer vocabulary, which is OpenAI's own count, and taken times
what was measured for each family of models: what a message, a declared tool, a call of one and
the reply itself cost beside their text. What no text tells can only be put down for something:
pictures, files and the provider's own tools for a modest number, reasoning for what is usual
of the model (``model_habits``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from tollkeeper.domain.texts import ANY_TOOL, GeneratedText, RequestText
from tollkeeper.services import vocabulary

INPUT_BYTES_PER_TOKEN: Final = 4
OUTPUT_BYTES_PER_TOKEN: Final = 4
_TEXT_CHARACTERS_MAX: Final = 16 << 10
"""As much of a prompt is looked at; the rest is taken to be like its beginning."""


class Family(NamedTuple):
    """How one family of models counts, against OpenAI's vocabulary.

    Factors are thousandths: of the conversation's tokens (``text``), of those of the tools'
    JSON (``tools``), of the prescribed answer's JSON (``schema``), of the reply's (``reply``).
    The others are tokens: for each ``message``, once for a prompt (``start``), once if there
    are tools (``tools_start``), for each call and result in the conversation (``past_call``);
    for each ``call`` of a tool in the reply and each ``argument`` of it, once for a reply
    (``reply_start``) and for one that calls ``several`` tools. ``any_call`` and ``named_call``
    are what a call costs less where the request says that some tool, or which, must be called.
    Factors are fitted to one half of the recorded replies; `docs/accuracy.md` tells the error
    on the other half too.
    """

    text: int
    message: int
    start: int
    tools: int
    tools_start: int
    schema: int
    reply: int
    call: int
    reply_start: int
    argument: int = 0
    several: int = 0
    past_call: int = 0
    any_call: int = 0
    named_call: int = 0


OPENAI: Final = Family(1000, 4, 3, 520, 17, 800, 1000, 7, 0, several=14, past_call=4, named_call=7)
_GPT_5_4: Final = OPENAI._replace(reply_start=3)
_PLAIN: Final = Family(1000, 0, 0, 0, 0, 0, 1000, 0, 0)
OTHER: Final = Family(1050, 4, 3, 800, 20, 1000, 1000, 10, 1)
_CLAUDE: Final = Family(
    1140,
    1,
    5,
    1120,
    509,
    3500,
    1090,
    32,
    3,
    argument=10,
    past_call=28,
    any_call=15,
    named_call=30,
)
_CLAUDE_UNTIL_4: Final = _CLAUDE._replace(
    text=1190, message=0, start=6, tools_start=300, past_call=36
)
_CLAUDE_SINCE_4_7: Final = Family(
    1330, 4, 3, 2160, 341, 2000, 1400, 36, 2, argument=10, past_call=20
)
_FAMILIES: Final = (
    # The first pattern that is found in a model's name decides.
    (r"gpt-oss", Family(1000, 6, 60, 1000, 0, 0, 1010, 14, 4)),
    (r"claude-(?:[a-z]+-)?(?:4[-.][7-9]|[5-9])(?![0-9])", _CLAUDE_SINCE_4_7),
    (r"claude-(?:3|[a-z]+-4-(?:0|2025)|2|instant)", _CLAUDE_UNTIL_4),
    (r"claude", _CLAUDE),
    (r"gemini|gemma", Family(1060, 0, 0, 680, 0, 0, 1020, 0, 0, past_call=15)),
    (r"(?:mis|minis|magis|codes|devs|mix|pix|vox)tral", Family(1110, 1, 3, 1600, 2, 0, 1030, 2, 1)),
    (r"deepseek", Family(1050, 0, 3, 800, 200, 1000, 1030, 30, 0)),
    (r"llama", Family(1060, 4, 10, 1000, 0, 1000, 1000, 21, 1)),
    (r"qwen", Family(1000, 5, 10, 1000, 75, 1500, 1000, 13, 1)),
    (r"grok", Family(980, 20, 150, 800, 20, 800, 1000, 12, 0)),
    (r"nova", Family(1000, 0, 0, 1000, 850, 0, 1030, 14, 1)),
    (r"titan", Family(1110, 2, 0, 0, 0, 0, 950, 0, 3)),
    (r"command", Family(1000, 0, 0, 730, 4, 0, 1080, 0, 0)),
    (r"gpt-5\.[4-9]|gpt-[6-9]", _GPT_5_4),
    (r"gpt|chatgpt|davinci|babbage|codex|text-embedding|(?:^|/)o[1-9](?:-|$)", OPENAI),
)
_PATTERNS: Final = tuple((re.compile(pattern), family) for pattern, family in _FAMILIES)
_ARGUMENT: Final = re.compile(r'[{,]\s*"[^"]*"\s*:')
_WITHOUT_MESSAGES: Final = frozenset({"completions", "embeddings", "embed"})
UNSEEN_TOKENS: Final = 300
"""What a picture, a file or a tool of the provider's own is put down for: nobody sees its size."""


@lru_cache(500)
def family_of(model: str, endpoint: str) -> Family:
    """Give how a model counts; ``endpoint`` is the kind of call."""
    name = model.lower()
    family = next((family for pattern, family in _PATTERNS if pattern.search(name)), OTHER)
    if endpoint in _WITHOUT_MESSAGES:
        return _PLAIN._replace(text=family.text, reply=family.reply)
    if endpoint == "responses" and family.several:
        return family._replace(reply_start=family.reply_start + 1, tools_start=7, past_call=6)
    return family


def input_tokens(
    asked: RequestText | None, body_bytes: int, family: Family, bytes_per_token: float
) -> int:
    """Estimate a prompt's tokens: from its text where it is at hand, else from its size.

    ``bytes_per_token`` is what was learned of such prompts (0 where nothing was).
    """
    if asked is None:
        return max(1, round(body_bytes / (bytes_per_token or INPUT_BYTES_PER_TOKEN)))
    return max(1, _prompt_tokens(asked, family))


def output_tokens(said: int, family: Family, must_call: str = "") -> int:
    """Estimate the tokens of generated text that went by, from as much as is kept of it.

    Where a tool must be called (``must_call``, see ``RequestText``) the beginning of the call
    is given to the model, and not generated.
    """
    if not said:
        return 0
    if not isinstance(said, GeneratedText) or not said.sample:
        return -(-said // OUTPUT_BYTES_PER_TOKEN)
    counted = vocabulary.count(said.sample)
    sample_bytes = len(said.sample.encode("utf-8", "replace"))
    tokens = counted * family.reply * int(said) / (1000 * sample_bytes)
    beside = family.reply_start
    if said.calls:
        beside += family.call * said.calls + family.several * (said.calls > 1)
        beside += family.argument * len(_ARGUMENT.findall(said.sample))
        if must_call == ANY_TOOL:
            beside -= family.any_call
        elif must_call and family.named_call and said.sample.startswith(must_call):
            beside -= family.named_call
            tokens -= vocabulary.count(must_call) * family.reply / 1000
    return max(1, round(tokens) + beside)


def _prompt_tokens(asked: RequestText, family: Family) -> int:
    tokens = _counted(asked.text) * family.text
    if asked.tools:
        tokens += _counted(asked.tools) * family.tools + 1000 * family.tools_start
    if asked.schema:
        tokens += _counted(asked.schema) * family.schema
    beside = family.start + asked.messages * family.message + asked.calls * family.past_call
    return round(tokens / 1000) + beside + asked.unseen * UNSEEN_TOKENS


def _counted(text: str) -> float:
    sample = text[:_TEXT_CHARACTERS_MAX]
    if not sample:
        return 0
    return vocabulary.count(sample) * len(text) / len(sample)
