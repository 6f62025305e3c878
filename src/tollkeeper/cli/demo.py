"""``tollkeeper demo``: a made-up company with ninety days of history, and live traffic."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tollkeeper import __version__, bootstrap, clock, config
from tollkeeper.cli.serve import Extras, Role, run
from tollkeeper.demo import folder
from tollkeeper.demo.configuration import HOST, provider_urls
from tollkeeper.demo.folder import Mark
from tollkeeper.domain.errors import BadRequest, ConfigError
from tollkeeper.ports import DataFolder
from tollkeeper.supervisor import Child

app = typer.Typer(add_completion=False)

FOLDER: Final = "tollkeeper-demo"
ENTRIES: Final = 200_000
ENTRIES_MAX: Final = 100_000_000
RATE_PER_S: Final = 0.2
_PROVIDER: Final = "tollkeeper.sandbox.process"
_TRAFFIC: Final = "tollkeeper.demo.traffic"
_STOP_S: Final = 5.0
_USUAL_PORT: Final = 4000


@app.command()
def demo(
    data: Annotated[
        Path, typer.Option("--data", help="The demo's own folder; made where it is missing.")
    ] = Path(FOLDER),
    entries: Annotated[
        int | None,
        typer.Option(min=500, max=ENTRIES_MAX, help=f"Calls in the history. Default: {ENTRIES}."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another number, another company.")] = None,
    rate: Annotated[
        float, typer.Option(min=0, max=200, help="Live calls a second; 0 for none.")
    ] = RATE_PER_S,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = _USUAL_PORT,
) -> None:
    """Try Tollkeeper on a made-up company: 120 people, 400 customers, 90 days of calls.

    Nothing leaves this machine: the providers are simulated, and no credentials are needed. The
    first start writes the history; later ones go on with what is there.

    Examples:

        tollkeeper demo

        tollkeeper demo --entries 10000000 --data /var/tmp/large-demo --rate 20

        tollkeeper demo --port 8080 --rate 0
    """
    os.umask(0o077)  # as everywhere: what lies in the folder is for this user alone
    mark = _prepared(data, entries, seed, port)
    provider_port = mark.provider_port if _is_free(mark.provider_port) else _free_port()
    # What is said here wins over the environment, which may be that of a real deployment.
    options: dict[tuple[str, ...], Any] = {
        ("data",): str(data),
        ("store",): "",
        ("listen", "host"): HOST,
        ("listen", "port"): port,
    }
    for name, url in provider_urls(provider_port).items():
        options["providers", name, "base_url"] = url
    configuration = config.load(data / folder.CONFIGURATION, config.environment(), options)
    config.hand_on(options)
    extras = Extras(
        _greeting(DataFolder(data), mark, port), _children(data, port, provider_port, rate)
    )
    raise typer.Exit(run(Role.ALL, configuration, extras))


def _prepared(data: Path, entries: int | None, seed: int | None, port: int) -> Mark:
    """Give the mark of a folder whose history is whole, writing it where it is not."""
    found = folder.mark_of(data)
    if found is not None and found.state == folder.READY:
        for name, wanted, there in (
            ("entries", entries, found.entries),
            ("seed", seed, found.seed),
        ):
            if wanted not in {None, there}:
                raise ConfigError(
                    f"the demo in this folder has --{name} {there}",
                    file=str(data),
                    hint="leave the option out, or name another folder with --data",
                )
        return found
    if not _is_free(port):
        raise BadRequest(f"port {port} is in use; choose another one with --port")
    company = import_module("tollkeeper.demo.company")
    filling = import_module("tollkeeper.demo.filling")
    begun = found or Mark(ENTRIES, company.SEED, 0, 0)
    mark = Mark(
        begun.entries if entries is None else entries,
        begun.seed if seed is None else seed,
        clock.now_us(),
        _free_port(),
    )
    with _progress(mark.entries) as tell, _stoppable() as stop_if_asked:

        def told(done: int) -> None:
            stop_if_asked()
            tell(done)

        filling.fill(DataFolder(data), mark, told)
    return mark


@contextmanager
def _stoppable() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C end the work between two steps, not within one: a query would fail of it."""
    asked: list[int] = []

    def stop_if_asked() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, lambda number, _frame: asked.append(number))
    try:
        yield stop_if_asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(entries: int) -> Iterator[Callable[[int], None]]:
    """Show how far the history is, on a terminal's standard error."""
    progress = import_module("rich.progress")
    console = import_module("rich.console").Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.completed:,} of {task.total:,}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("Writing ninety days of calls", total=entries)
        yield lambda done: bar.update(task, completed=done)


def _greeting(data: DataFolder, mark: Mark, port: int) -> Callable[[], str]:
    """Give who makes the greeting, with a fresh sign-in link, when everything is up."""

    def greet() -> str:
        people = import_module("tollkeeper.demo.people")
        sign_in = import_module("tollkeeper.services.sign_in")
        company = import_module("tollkeeper.demo.company").company_of(mark.now_us, mark.seed)
        admin = people.admin_of(company)
        vault = bootstrap.open_vault(data)
        store = bootstrap.open_store(data)
        try:
            user = store.user_with_email(admin.email)
            link = sign_in.make_link(store, vault, user, clock.now_us()).path
        finally:
            store.close()
        key = people.token_of(vault, admin.key_id)
        address = f"http://localhost:{port}"
        again = f"tollkeeper users link {admin.email} --data {data.root}"
        if port != _USUAL_PORT:  # the command takes the configured address, which a demo has not
            again += f" --url {address}"
        return _WORDS.format(
            version=__version__,
            address=address,
            link=link,
            key=key,
            again=again,
        )

    return greet


_WORDS: Final = """\
Tollkeeper {version} is ready on {address}, with a made-up company

  Sign in    {address}{link}
             (works once, for 15 minutes; another: {again})

  A call of your own, answered by a simulated provider:

    curl {address}/v1/chat/completions \\
      -H "Authorization: Bearer {key}" \\
      -d '{{"model": "gpt-5.4-mini", "messages": [{{"role": "user", "content": "Hello"}}]}}'
"""


def _children(data: Path, port: int, provider_port: int, rate: float) -> list[Child]:
    provider = ("--host", HOST, "--port", str(provider_port), "--gap-ms", "15")
    children = [Child("provider", _PROVIDER, provider, _STOP_S)]
    if rate:
        calls = ("--data", str(data), "--port", str(port), "--rate", str(rate))
        children.insert(0, Child("traffic", _TRAFFIC, calls, _STOP_S, after="console"))
    return children


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
