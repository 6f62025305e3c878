"""Runs inside LiteLLM's own environment: prices recorded replies with LiteLLM's own code.

Reads one JSON object a line, writes one a line: ``{"name", "cost", "how", "error"}``. Whole
replies go through the provider's own ``transform_response``, streams through the provider's
own iterator and ``stream_chunk_builder``; then ``response_cost_calculator`` is asked, which is what
LiteLLM's own gateway asks: it takes the cost that a provider states, else ``completion_cost``.
Nothing of the project is imported here, and nothing of LiteLLM there.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import litellm
from litellm import ModelResponse, stream_chunk_builder
from litellm.cost_calculator import response_cost_calculator
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.litellm_core_utils.llm_response_utils.convert_dict_to_response import (
    convert_to_model_response_object,
)
from litellm.types.llms.openai import ResponsesAPIResponse
from litellm.types.utils import (
    EmbeddingResponse,
    ImageResponse,
    LlmProviders,
    ModelResponseStream,
    RerankResponse,
    TextCompletionResponse,
    TranscriptionResponse,
)
from litellm.utils import ProviderConfigManager

litellm.suppress_debug_info = True

PLAIN_OPENAI = frozenset({"openai", "azure"})
MESSAGES = [{"role": "user", "content": "?"}]


def main() -> None:
    answers = sys.stdout
    for line in sys.stdin:
        row = json.loads(line)
        answer: dict[str, Any] = {"name": row["name"], "cost": None, "how": "", "error": ""}
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                answer["how"], answer["cost"] = price(row)
            except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
                answer["error"] = f"{type(error).__name__}: {error}"[:200]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def price(row: dict[str, Any]) -> tuple[str, float]:
    """Give what was asked, and its answer in USD."""
    reply, call_type = reply_of(row)
    cost = response_cost_calculator(
        response_object=reply,
        model=row["asked"],
        custom_llm_provider=row["provider"],
        call_type=call_type,
        optional_params={},
    )
    return f"response_cost_calculator({type(reply).__name__})", cost


def reply_of(row: dict[str, Any]) -> tuple[Any, str]:
    """Make LiteLLM's own object of a reply, as its own code would after such a call."""
    wire, objects = row["wire"], row["objects"]
    last = objects[-1]
    match wire:
        case "responses":
            if row["streamed"]:
                last = [item["response"] for item in objects if "response" in item][-1]
            return ResponsesAPIResponse(**last), "responses"
        case "embeddings":
            return convert_to_model_response_object(
                last, EmbeddingResponse(), response_type="embedding"
            ), "embedding"
        case "completions":
            return TextCompletionResponse(**last), "text_completion"
        case "transcription":
            return convert_to_model_response_object(
                last, TranscriptionResponse(), response_type="audio_transcription"
            ), "transcription"
        case "images":
            return convert_to_model_response_object(
                last, ImageResponse(), response_type="image_generation"
            ), "image_generation"
        case "rerank":
            return RerankResponse(**last), "rerank"
    return (streamed(row) if row["streamed"] else whole(row)), "completion"


def whole(row: dict[str, Any]) -> ModelResponse:
    body = row["objects"][0]
    if row["provider"] in PLAIN_OPENAI:
        return convert_to_model_response_object(body, ModelResponse())
    config = config_of(row)
    return config.transform_response(
        model=row["asked"],
        raw_response=httpx.Response(
            200, json=body, headers=row["headers"], request=httpx.Request("POST", "http://r/")
        ),
        model_response=ModelResponse(),
        logging_obj=logging_for(row),
        request_data={},
        messages=MESSAGES,
        optional_params={},
        litellm_params={},
        encoding=litellm.encoding,
        api_key="",
        json_mode=False,
    )


def config_of(row: dict[str, Any]) -> Any:
    if row["wire"] == "converse":
        return litellm.AmazonConverseConfig()
    return ProviderConfigManager.get_provider_chat_config(
        row["asked"], LlmProviders(row["provider"])
    )


def streamed(row: dict[str, Any]) -> ModelResponse:
    chunks = list(chunks_of(row))
    built = stream_chunk_builder(chunks, messages=MESSAGES)
    if built is None:
        raise ValueError("stream_chunk_builder gave nothing")
    return built


def chunks_of(row: dict[str, Any]) -> Iterator[ModelResponseStream]:
    objects = row["objects"]
    if row["provider"] in PLAIN_OPENAI:
        for chunk in objects:
            yield ModelResponseStream(**chunk)
        return
    if row["wire"] == "converse":
        from litellm.llms.bedrock.chat.invoke_handler import AWSEventStreamDecoder

        decoder = AWSEventStreamDecoder(model=row["asked"])
        for item in objects:
            yield decoder.converse_chunk_parser(item["payload"])
        return
    yield from _from_iterator(row, objects)


def _from_iterator(row: dict[str, Any], objects: Iterable[Any]) -> Iterator[ModelResponseStream]:
    provider = row["provider"]
    if provider in {"gemini", "vertex_ai"}:
        from litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini import (
            ModelResponseIterator,
        )

        parser = ModelResponseIterator(iter(()), True, logging_for(row))
    else:
        config = config_of(row)
        parser = config.get_model_response_iterator(iter(()), True, False)
    if parser is None:
        for chunk in objects:
            yield ModelResponseStream(**chunk)
        return
    for item in objects:
        made = parser.chunk_parser(item)
        if made is not None:
            yield made


def logging_for(row: dict[str, Any]) -> Logging:
    made = Logging(
        model=row["asked"],
        messages=MESSAGES,
        stream=row["streamed"],
        call_type="completion",
        start_time=None,
        litellm_call_id="r",
        function_id="r",
    )
    made.update_environment_variables(
        model=row["asked"], user="", optional_params={}, litellm_params={}
    )
    return made


if __name__ == "__main__":
    main()
