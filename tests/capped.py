"""Gateways under budgets, in processes of their own, and calls that all come at once."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from loopback import HOST, free_port
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import Deployment, Process
from tollkeeper import bootstrap, clock
from tollkeeper.domain.budgets import Balance, Budget
from tollkeeper.storage.store.sqlite_budgets import open_sqlite_budgets

MODEL = "lab/dime"


def lab(upstream: str, **more: Any) -> dict[str, Any]:
    """Give a configuration with one provider, whose calls cost ten cents each."""
    provider = {
        "kind": "openai",
        "api_key": "sk-canary-lab-0009",
        "base_url": f"{upstream}/v1",
        "prices": {"input": 0, "output": 0, "requests": 100},
        "models": ["dime"],
    }
    return {"providers": {"lab": provider}, **more}


def answer(conversation: Conversation) -> None:
    """Answer a chat as a provider does that serves it in no time."""
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    message = {"role": "assistant", "content": "done"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    conversation.answer(
        json_reply({"id": "c", "model": "dime", "choices": [choice], "usage": usage})
    )


def keep_budgets(made: Deployment, *budgets: Budget) -> None:
    """Keep budgets as they are given, in the store that a gateway looks at."""
    with closing(bootstrap.open_store(made.folder)) as store:
        for each in budgets:
            store.add_budget(each, clock.now_us(), "test")


def balances(made: Deployment) -> list[Balance]:
    """Read all rows of balances."""
    with closing(open_sqlite_budgets(made.folder.store)) as authority:
        return authority.balances()


@contextmanager
def capped(
    folder: Path, upstream: RoughUpstream, budgets: Sequence[Budget], **environment: str
) -> Iterator[Deployment]:
    """Run a gateway in front of a provider, under budgets."""
    made = Deployment(folder, upstream.url, lab(upstream.url))
    keep_budgets(made, *budgets)
    made.start(**environment)
    try:
        yield made
    finally:
        made.finish()


@contextmanager
def beside(made: Deployment, folder: Path) -> Iterator[int]:
    """Run a second gateway on the store of a first, with a folder of its own; gives its port."""
    data, port = folder / "data", free_port()
    data.mkdir(parents=True, mode=0o700)
    shutil.copy(made.folder.secret_key, data / "secret.key")
    file = folder / "tollkeeper.yaml"
    file.write_text(f"{made.config_file.read_text()}\nstore: sqlite:///{made.folder.store}\n")
    arguments = ["--config", str(file), "--data", str(data), "--alone"]
    listen = {"TOLLKEEPER_LISTEN__PORT": str(port)}
    process = Process("tollkeeper.bootstrap.gateway", arguments, listen)
    made.watch(process)
    try:
        yield port
    finally:
        process.end()


def chat(model: str = MODEL, **more: Any) -> bytes:
    """Give the body of a small chat."""
    return json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}
    ).encode()


async def _one(port: int, key: str, body: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(HOST, port)
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "host: x",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        "connection: close",
        f"content-length: {len(body)}",
    )
    head = "\r\n".join((*lines, "", ""))
    writer.write(head.encode() + body)
    reply = await reader.read()
    writer.close()
    return int(reply.split(b" ", 2)[1]), reply


def call_at_once(where: Sequence[tuple[int, str]], count: int) -> Counter[int]:
    """Make so many calls at the same moment, spread over gateways; count the statuses."""

    async def all_of_them() -> list[tuple[int, bytes]]:
        calls = (_one(*where[number % len(where)], chat(max_tokens=5)) for number in range(count))
        return await asyncio.gather(*calls)

    return Counter(status for status, _ in asyncio.run(all_of_them()))
