"""Reads the price list inside a wheel of LiteLLM, as data: the wheel is not imported.

Its numbers are binary floats written out ("7.500000000000001e-06" a token): they are rid of
that noise to twelve digits, and what stood there is kept beside it.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.price_data import PER, REQUESTS
from tollkeeper.domain.price_windows import instant_us
from tollkeeper.providers.genai_rows import plain

MEMBER = "litellm/model_prices_and_context_window_backup.json"
PUBLISHED = {"1.77.5": "2025-09-28", "1.84.4": "2026-05-31", "1.109.1": "2026-11-12"}
"""When the wheels that are used were published, by the package index."""

# Which of our providers one of theirs is, and what stands before a model's name there.
PROVIDERS = {
    "text-completion-openai": "openai",
    "azure_text": "azure",
    "azure_ai": "azure",
    "gemini": "google",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "bedrock_mantle": "aws",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "together_ai": "together",
    "xai": "x-ai",
    "cohere_chat": "cohere",
    "voyage": "voyageai",
    "moonshot": "moonshotai",
    "github_copilot": "github-copilot",
    "vercel_ai_gateway": "vercel",
    "meta_llama": "meta-llama",
    "qwen_ai_platform": "qwen",
}
# Not services that are billed by use, or lists of search engines, or our own machine.
LEFT_OUT = {
    "ollama",
    "lemonade",
    "chatgpt",
    "opencode_go",
    "sagemaker",
    "codestral",
    "text-completion-codestral",
    "text-completion-inception",
    "microsoft_365_copilot",
    "agentcore",
}
_PREFIX = re.compile(
    r"^(?:openai|azure|azure_ai|gemini|vertex_ai|bedrock|bedrock_mantle|fireworks_ai|together_ai|"
    r"xai|cohere|voyage|moonshot|mistral|groq|deepseek|perplexity|zai|minimax|meta|cerebras|"
    r"novita|databricks|ovhcloud|elevenlabs|github_copilot|cloudflare|vercel_ai_gateway|baseten|"
    r"typesafe|meta_llama|qwen_ai_platform)/"
)
_PLACE = re.compile(r"^(eu|us|global|global-standard|apac)/")
_REGIONAL = re.compile(r"(?:^|/)(?:\*|[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d|\d-month-commitment)/")
_PICTURE = re.compile(
    r"^(?:(?P<quality>low|medium|high|hd|standard)/)?(?P<size>\d+-x-\d+)/"
    r"(?:(?P<steps>\d+|max)-steps/)?(?:bedrock/)?(?P<model>.+)$"
)

# Fields and our quantities; the factor follows from ``PER``.
FIELDS = {
    "input_cost_per_token": u.INPUT,
    "output_cost_per_token": u.OUTPUT,
    "cache_read_input_token_cost": u.CACHE_READ,
    "cache_creation_input_token_cost": u.CACHE_WRITE,
    "cache_creation_input_token_cost_above_1hr": u.CACHE_WRITE_1H,
    "input_cost_per_audio_token": u.INPUT_AUDIO,
    "output_cost_per_audio_token": u.OUTPUT_AUDIO,
    "input_cost_per_image_token": u.INPUT_IMAGE,
    "output_cost_per_image_token": u.OUTPUT_IMAGE,
    "input_cost_per_video_token": u.INPUT_VIDEO,
    "output_cost_per_video_token": u.OUTPUT_VIDEO,
    "output_cost_per_reasoning_token": u.REASONING,
    "cache_read_input_audio_token_cost": u.CACHE_READ_AUDIO,
    "cache_read_input_image_token_cost": u.CACHE_READ_IMAGE,
    "citation_cost_per_token": u.CITATION_TOKENS,
    "ocr_cost_per_page": u.PAGES,
    "annotation_cost_per_page": u.ANNOTATED_PAGES,
    "input_cost_per_character": u.INPUT_CHARACTERS,
    "output_cost_per_image": u.IMAGES,
    "output_cost_per_pixel": u.OUTPUT_PIXELS,
    "output_cost_per_video_per_second": u.VIDEO_MS,
    "google_maps_grounding_cost_per_query": u.MAPS_SEARCHES,
    "code_interpreter_cost_per_session": u.CODE_SESSIONS,
    "input_cost_per_request": REQUESTS,
    "input_cost_per_text_message": u.MESSAGES,
}
TIERS = {
    "batches": "batch",
    "priority": "priority",
    "flex": "flex",
    "ultrafast": "ultrafast",
    "balanced": "balanced",
}
_FIELD = re.compile(
    r"^(?P<field>.+?)(?:_above_(?P<tokens>\d+)k_tokens)?"
    rf"(?:_(?P<tier>{'|'.join(TIERS)}))?$"
)
_AT_LEAST = {"x-ai"}  # their own code charges the long price from 200,000 on
_MS_PER_SECOND = 1000
_PICTURE_DECIMALS = 3
_HOUR_DECIMALS = 4


class Cell(NamedTuple):
    """One price: under which conditions, from how many tokens on ("" and 0: the ordinary one)."""

    when: tuple[tuple[str, str], ...]
    kind: str
    tokens: int
    quantity: str
    usd: str
    literal: str


class Listed(NamedTuple):
    """One model of theirs in our words. ``geo`` are factors by place."""

    provider: str
    model: str
    mode: str
    cells: list[Cell]
    geo: dict[str, str]
    secondary: bool  # listed as another provider's, which has its own row


def read_wheel(path: Path) -> list[Listed]:
    """Give the models of a wheel that are billed by use."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read(MEMBER)
    document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    listed = []
    for key, row in document.items():
        theirs = row.get("litellm_provider")
        if not theirs or " " in theirs or theirs in LEFT_OUT or row.get("mode") == "search":
            continue
        found = _listed(key, theirs, row)
        if found and (any(Decimal(cell.usd) for cell in found.cells) or found.geo):
            listed.append(found)
    return listed


def _listed(key: str, theirs: str, row: Mapping[str, Any]) -> Listed | None:
    provider = PROVIDERS.get(theirs, "google" if theirs.startswith("vertex_ai") else theirs)
    name = _PREFIX.sub("", key).removeprefix(f"{theirs}/")
    if _REGIONAL.search(name):
        return None  # a region's own price, or capacity that is paid by the hour
    picture = _PICTURE.match(name)
    place = _PLACE.match(name)
    if place and not picture:
        return None
    when: tuple[tuple[str, str], ...] = ()
    if picture:
        name = picture["model"]
        when = _terms(size=picture["size"].replace("-x-", "x"), quality=picture["quality"])
        when = tuple(sorted((*when, *_terms(steps=picture["steps"]))))
    cells = list(_cells(provider, row, picture["size"] if picture else "", when))
    return Listed(
        provider, name, str(row.get("mode", "")), cells, _geo(row), theirs.startswith("vertex_ai")
    )


def _terms(**words: str | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, word) for name, word in words.items() if word)


def _cells(
    provider: str, row: Mapping[str, Any], size: str, when: tuple[tuple[str, str], ...]
) -> Iterator[Cell]:
    mode = row.get("mode")
    for name, value in row.items():
        if not isinstance(value, Decimal):
            continue
        match = _FIELD.match(name)
        quantity = FIELDS.get(match["field"]) if match else None
        if match and quantity:
            tier = _terms(tier=TIERS.get(match["tier"] or ""))
            tokens = int(match["tokens"] or 0) * 1000
            kind = "" if not tokens else "at_least" if provider in _AT_LEAST else "above"
            yield _cell(tuple(sorted((*when, *tier))), kind, tokens, quantity, value)
    yield from _media_cells(row, mode, size, when)
    yield from _search_cells(provider, row, when)
    yield from _ranged_cells(row, when)
    fast = (row.get("provider_specific_entry") or {}).get("fast")
    if isinstance(fast, Decimal):
        for field, quantity in FIELDS.items():
            if isinstance(row.get(field), Decimal) and quantity in u.TOKENS:
                yield _cell((("speed", "fast"),), "", 0, quantity, row[field] * fast)


def _media_cells(
    row: Mapping[str, Any], mode: Any, size: str, when: tuple[tuple[str, str], ...]
) -> Iterator[Cell]:
    if mode == "rerank" and "input_cost_per_query" in row:
        yield _cell(when, "", 0, u.RERANK_SEARCHES, row["input_cost_per_query"])
    if mode in {"image_generation", "image_edit"} and "output_cost_per_image" not in row:
        if size and row.get("input_cost_per_pixel"):
            # The published price of a picture, which they have divided by its pixels.
            width, height = size.split("-x-")
            price = row["input_cost_per_pixel"] * int(width) * int(height)
            yield _cell(when, "", 0, u.IMAGES, round(price, _PICTURE_DECIMALS))
        elif "input_cost_per_image" in row:
            yield _cell(when, "", 0, u.IMAGES, row["input_cost_per_image"])
    if mode == "audio_transcription" and "input_cost_per_second" in row:
        yield _cell(when, "", 0, u.AUDIO_MS, row["input_cost_per_second"] / _MS_PER_SECOND)
    if mode == "video_generation":
        for field, value in row.items():
            found = re.fullmatch(r"output_cost_per_second(?:_(\d+p|\dk))?", field)
            if found and isinstance(value, Decimal):
                terms = tuple(sorted((*when, *_terms(resolution=found[1]))))
                yield _cell(terms, "", 0, u.VIDEO_MS, value / _MS_PER_SECOND)
    for field, value in row.items():
        found = re.fullmatch(r"output_cost_per_image_(0\.5K|[124]K|\d{3,4})", field)
        if found and isinstance(value, Decimal):
            yield _cell((*when, ("size", found[1])), "", 0, u.IMAGES, value)


def _search_cells(
    provider: str, row: Mapping[str, Any], when: tuple[tuple[str, str], ...]
) -> Iterator[Cell]:
    fees = row.get("search_context_cost_per_query") or {}
    sizes = {it: fees.get(f"search_context_size_{it}") for it in ("low", "medium", "high")}
    if len(set(sizes.values())) == 1 and isinstance(sizes["low"], Decimal):
        yield _cell(when, "", 0, u.WEB_SEARCHES, sizes["low"])
    elif provider == "perplexity":
        for word, fee in sizes.items():
            if isinstance(fee, Decimal):
                yield _cell((("search_context", word),), "", 0, REQUESTS, fee)
    if isinstance(row.get("file_search_cost_per_1k_calls"), Decimal):
        yield _cell(when, "", 0, u.FILE_SEARCHES, row["file_search_cost_per_1k_calls"] / 1000)


def _ranged_cells(row: Mapping[str, Any], when: tuple[tuple[str, str], ...]) -> Iterator[Cell]:
    for step in row.get("tiered_pricing") or ():
        start = int((step.get("range") or [0])[0])
        for field, value in step.items():
            if field in FIELDS and isinstance(value, Decimal):
                yield _cell(when, "above" if start else "", start, FIELDS[field], value)


def _cell(
    when: tuple[tuple[str, str], ...], kind: str, tokens: int, quantity: str, one: Decimal
) -> Cell:
    price = one * PER[quantity]
    if quantity == u.AUDIO_MS:
        price = round(price, _HOUR_DECIMALS)  # they divide hours into seconds and cut
    return Cell(when, kind, tokens, quantity, plain(price), f"{price.normalize():f}")


def _geo(row: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    factor = row.get("regional_processing_uplift_multiplier_us")
    if factor:  # they know two of OpenAI's regions, which all cost the same
        found.update(dict.fromkeys(("us", "eu", "au", "in", "jp"), f"{factor}"))
    special = row.get("provider_specific_entry") or {}
    if isinstance(special.get("us"), Decimal):
        found["us"] = f"{special['us']}"
    if row.get("regional_endpoint_uplift_multiplier"):
        found["regional"] = f"{row['regional_endpoint_uplift_multiplier']}"
    return found


class LiteLLMWitness:
    """What LiteLLM's wheels of the time said: see ``domain.price_history.Witness``."""

    def __init__(self, looks: Iterable[tuple[int, Mapping[tuple[str, str, str], Decimal]]]) -> None:
        self._looks = sorted(looks, key=lambda look: look[0])

    @staticmethod
    def of_wheels(folder: Path) -> LiteLLMWitness:
        """Read every wheel of LiteLLM in a folder whose day is known."""
        looks = []
        for version, day in PUBLISHED.items():
            for wheel in folder.glob(f"litellm-{version}-*.whl"):
                prices: dict[tuple[str, str, str], Decimal] = {}
                for it in sorted(read_wheel(wheel), key=lambda listed: listed.secondary):
                    for cell in it.cells:
                        if not cell.when and not cell.tokens:
                            place = (it.provider, it.model.lower(), cell.quantity)
                            prices.setdefault(place, Decimal(cell.usd))
                looks.append((instant_us(day), prices))
        return LiteLLMWitness(looks)

    def says(self, provider: str, model: str, quantity: str, before_us: int) -> Decimal | None:
        """Give a price as it stood at the latest look before a time, None if not known."""
        for at_us, prices in reversed(self._looks):
            if at_us < before_us:
                return prices.get((provider, model.lower(), quantity))
        return None
