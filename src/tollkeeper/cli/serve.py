"""``tollkeeper serve``: the gateway, the console and, at first, the sandbox."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from tollkeeper import __version__, bootstrap, clock, config
from tollkeeper.cli.context import DataOption
from tollkeeper.config import Configuration
from tollkeeper.domain.errors import ConfigError
from tollkeeper.ports import DataFolder
from tollkeeper.storage import folder_lock
from tollkeeper.supervisor import Child, Supervisor
from tollkeeper.telemetry import LogSink

app = typer.Typer(add_completion=False)

_GATEWAY: Final = "tollkeeper.bootstrap.gateway"
_CONSOLE: Final = "tollkeeper.bootstrap.console"
_SANDBOX: Final = "tollkeeper.sandbox.process"
_STOP_S: Final = 15.0


class Role(enum.StrEnum):
    """Which processes to run here."""

    ALL = "all"
    GATEWAY = "gateway"
    CONSOLE = "console"


@app.command()
def serve(
    role: Annotated[
        Role, typer.Argument(help="Run one role alone, where several machines share the work.")
    ] = Role.ALL,
    file: Annotated[
        Path | None, typer.Option("--config", help="The configuration. Default: tollkeeper.yaml.")
    ] = None,
    data: DataOption = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: 4000.")] = None,
    tls_cert: Annotated[str | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="Private key, PEM.")] = None,
) -> None:
    """Start everything on one port, and keep it running until Ctrl-C.

    Examples:

        tollkeeper serve

        tollkeeper serve --port 8080 --data /var/lib/tollkeeper

        tollkeeper serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
    """
    options: dict[tuple[str, ...], Any] = {
        ("data",): None if data is None else str(data),
        ("listen", "host"): host,
        ("listen", "port"): port,
        ("listen", "tls_cert"): tls_cert,
        ("listen", "tls_key"): tls_key,
    }
    given = {path: value for path, value in options.items() if value is not None}
    configuration = config.load(file, config.environment(), given)
    config.hand_on(given)
    raise typer.Exit(run(role, configuration))


class Extras(NamedTuple):
    """What a deployment has beside its own processes: others, and a greeting of its own.

    ``greet`` gives the greeting once the console answers as well.
    """

    greet: Callable[[], str]
    children: Sequence[Child]


def run(role: Role, configuration: Configuration, extras: Extras | None = None) -> int:
    """Run the processes of a role until told to stop; give the exit code."""
    settings = configuration.settings
    data = DataFolder(Path(settings.data), settings.store, settings.ledger)
    lock = folder_lock.hold(data.run / f"serve-{role}.lock")
    log = LogSink("supervisor", level=settings.log_level.upper())
    try:
        _make_socket_folder(data)
        greeting = "" if extras else _prepare(configuration, data)
        children = _children(role, configuration, data)
        names = {child.name for child in children}
        awaited = {child.name for child in children if extras or child.after not in names}
        if extras:
            children = [*extras.children, *children]

        def on_ready(name: str) -> None:
            if name in awaited:
                awaited.remove(name)
                if not awaited:
                    typer.echo(extras.greet() if extras else greeting)

        return asyncio.run(_run(children, on_ready))
    finally:
        log.close()
        lock.release()


async def _run(children: list[Child], on_ready: Any) -> int:
    return await Supervisor(children, on_ready).run()


def _prepare(configuration: Configuration, data: DataFolder) -> str:
    """Make what a first start needs, and give the text to greet with.

    On a folder that is in use already nothing heavy is imported: the start takes as long
    as the gateway takes.
    """
    address = bootstrap.address_of(configuration.settings)
    ready = f"Tollkeeper {__version__} is ready on {address}"
    if bootstrap.is_prepared(data):
        return f"{ready}\n  Sign in with a link from: tollkeeper users link EMAIL"
    store = bootstrap.open_store(data)
    try:
        first_run = import_module("tollkeeper.services.first_run").first_run
        made = first_run(
            store, bootstrap.open_vault(data), clock.now_us(), org=configuration.settings.org
        )
    finally:
        store.close()
    if made is None:
        return ready
    path = made.sign_in_path
    if configuration.settings.sign_in.passwords:
        path += import_module("tollkeeper.services.sign_in").PASSWORD_STEP
    return _GREETING.format(ready=ready, address=address, path=path, key=made.key_token)


_GREETING: Final = """\
{ready}

  Sign in    {address}{path}
             (works once, for 15 minutes; later: tollkeeper users link admin@localhost)
  First key  {key}
             (shown only now; more with: tollkeeper keys issue)

  A first call, answered by the built-in sandbox:

    curl {address}/v1/chat/completions \\
      -H "Authorization: Bearer {key}" \\
      -d '{{"model": "sandbox/echo", "messages": [{{"role": "user", "content": "Hello"}}]}}'
"""


def _children(role: Role, configuration: Configuration, data: DataFolder) -> list[Child]:
    """Say which processes to run, in the order in which they are to be stopped."""
    settings = configuration.settings
    common = ["--data", str(data.root), "--log-level", settings.log_level]
    if configuration.file is not None:
        common += ["--config", str(configuration.file)]
    drain_s = settings.timeouts.drain_s
    alone = () if role is Role.ALL else ("--alone",)
    children = []
    if role is not Role.CONSOLE:
        children.append(Child("gateway", _GATEWAY, (*common, *alone), drain_s + _STOP_S))
    if role is not Role.GATEWAY:
        children.append(Child("console", _CONSOLE, (*common, *alone), _STOP_S, after="gateway"))
    if role is not Role.CONSOLE and bootstrap.wants_sandbox(configuration, data):
        socket = str(data.socket("sandbox"))
        children.append(Child("sandbox", _SANDBOX, ("--socket", socket), _STOP_S))
    return children


def _make_socket_folder(data: DataFolder) -> None:
    folder = data.socket("console").parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_mode & 0o077 and folder != data.run.resolve():
        raise ConfigError("the folder for sockets can be read by others", file=str(folder))
