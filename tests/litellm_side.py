"""LiteLLM beside us: asks it, in an environment of its own, what recorded replies cost.

What is asked of it stands in ``litellm_worker``. A reply that its code cannot take in at all
(another API than the provider's usual one) is not held against it.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tools import LITELLM_VERSION, require_litellm
from whole_corpus import Recorded

__all__ = ["LITELLM_VERSION", "Answer", "answers", "question"]

WORKER = Path(__file__).with_name("litellm_worker.py")
_WIRES = {
    "openai_responses": "responses",
    "openai_embeddings": "embeddings",
    "openai_completions": "completions",
    "openai_images": "images",
    "openai_transcription": "transcription",
    "bedrock_converse": "converse",
    "rerank": "rerank",
}
_NAMES = {
    "google": "gemini",
    "vertex": "vertex_ai",
    "together": "together_ai",
    "alibaba": "dashscope",
    "cohere": "cohere_chat",
    "local": "openai",
    "other": "openai",
}
_NOT_ASKED = frozenset({"interactions", "batch", "batch_results", "runs", "stored_runs"})
_NO_PRICE = ("isn't mapped yet", "ModelNotMappedError")


class Answer(NamedTuple):
    """What LiteLLM said: USD, or why not. ``no_price`` tells that it knows no price."""

    usd: float | None
    error: str

    @property
    def no_price(self) -> bool:
        return any(words in self.error for words in _NO_PRICE)


def question(record: Recorded) -> dict[str, Any] | None:
    """Put a record into words for the worker; None where it has no fitting way to be asked."""
    if record.reader in _NOT_ASKED or (record.reader == "bedrock_invoke" and record.streamed):
        return None  # their parsers want AWS's frames, or the API is not known to it
    kind = str(record.row["body_kind"])
    text = str(record.row["response_body"])
    try:
        if kind in {"aws-eventstream", "jsonl"}:
            objects = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            objects = record.objects()
    except ValueError:
        return None
    provider = _NAMES.get(record.kind, record.kind)
    if record.reader == "openai_completions" and provider == "openai":
        provider = "text-completion-openai"
    return {
        "name": record.name,
        "provider": provider,
        "asked": record.asked_for,
        "wire": _WIRES.get(record.reader, "chat"),
        "streamed": record.streamed,
        "objects": objects,
        "headers": {
            name: str(value)
            for name, value in (record.row["response_headers"] or {}).items()
            if name.lower().startswith("x-")
        },
    }


def answers(questions: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Answer]]:
    """Ask everything, one after the other. Raises CouldNotRun where LiteLLM cannot be had."""
    python = require_litellm() / "bin" / "python"
    worker = subprocess.Popen(
        [str(python), "-W", "ignore", str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # The prices that came with the release, not those of the day.
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": str(Path.home())},
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    asking = threading.Thread(target=_ask, args=(worker.stdin, questions), daemon=True)
    asking.start()
    try:
        for line in worker.stdout:
            said = json.loads(line)
            yield said["name"], Answer(said["cost"], said["error"])
    finally:
        worker.terminate()
        worker.wait()


def _ask(stdin: Any, questions: Iterable[dict[str, Any]]) -> None:
    for one in questions:
        stdin.write(json.dumps(one) + "\n")
    stdin.close()
