"""Price files that come from elsewhere: read as data, refused whole where anything is wrong."""

from __future__ import annotations

import io
import os
import ssl
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from outgoing_proxy import OutgoingProxy
from tollkeeper.http1.origin import Proxies
from tollkeeper.providers import genai_source, price_refresh
from tollkeeper.providers.genai_source import UnusableSource, read_file
from tollkeeper.providers.price_download import Outside
from tollkeeper.providers.price_refresh import PricesUnusable, fetch

DATA = Path(str(distribution("genai-prices").locate_file("genai_prices/data.py"))).read_bytes()


def say_nothing(what: str) -> None:
    pass


def wheel(content: bytes, *, name: str = "genai_prices/data.py", times: int = 1) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for _ in range(times):
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_wheel_is_read_without_being_run(tmp_path: Path) -> None:
    path = tmp_path / "genai_prices-0.2.3-py3-none-any.whl"
    path.write_bytes(wheel(DATA))
    source = read_file(path)
    assert source.release == "0.2.3"
    assert len(source.providers) > 40


ONE = "[Provider(id='p', name='P', models=[ModelInfo(id='m', prices=ModelPrice(input_mtok=%s))])]"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no list of providers"),
        (b"providers: list = __import__('pathlib').Path('ran').touch()", "is no data"),
        (b"providers: list = [Provider(*[1])]", "is no data"),
        (b"providers: list = [open('/etc/passwd').read()]", "is no data"),
        (b"providers: list = [x for x in range(10)]", "no plain data"),
        (b"providers: list = " + b"[" * 90 + b"]" * 90, "nested too deeply"),
        (b"providers: list = " + b"(" * 5_000, "cannot|can be read"),
        (b"providers: list = []", "not a list of providers"),
        (b"providers: list = [Provider(id='p')]", "'name' is missing"),
        (b"\xff\xfe", "can be read"),
        (ONE % "Decimal('-1')", "'prices'"),
        (ONE % "Decimal('NaN')", "'prices'"),
        (ONE % "Decimal('Infinity')", "'prices'"),
        (ONE % "Decimal('1e9')", "'prices'"),
        (ONE % "Decimal('1e999999')", "'prices'"),
        (ONE % f"Decimal('0.{'1' * 60}')", "a number of 62 characters"),
        (ONE % "Decimal('two')", "not a number"),
        (ONE % "'2'", "'prices'"),
        (
            ONE % "TieredPrices(base=Decimal('1'), tiers=[Tier(start=0, price=Decimal('1'))])",
            "'prices'",
        ),
        (DATA[: len(DATA) // 2], "can be read"),
    ],
)
def test_hostile_and_broken_data_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, str):
        content = f"providers: list = {content}".encode()
    path = tmp_path / "data.py"
    path.write_bytes(content)
    with pytest.raises(PricesUnusable, match=reason):
        fetch(str(path), say_nothing)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04 and nothing more", "not a wheel"),
        (wheel(DATA)[:-500], "not a wheel"),
        (wheel(b"x", name="../genai_prices/data.py"), "0 times"),
        (wheel(b"x", name="/genai_prices/data.py"), "0 times"),
        (wheel(b"x" * 5_000_000), "would unpack"),
        (wheel(b"x" * (33 << 20)), "would unpack"),
    ],
)
def test_hostile_and_broken_wheels_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "genai_prices-0.2.4-py3-none-any.whl"
    path.write_bytes(content)
    with pytest.raises(PricesUnusable, match=reason):
        fetch(str(path), say_nothing)
    assert sorted(it.name for it in tmp_path.iterdir()) == [path.name]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_wheel_with_two_data_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.whl"
    path.write_bytes(wheel(DATA, times=2))
    with pytest.raises(PricesUnusable, match="2 times"):
        fetch(str(path), say_nothing)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{}", "not a list of providers"),
        (b'{"version": 3, "providers": []}', "not a list of providers"),  # from the future
        (b"[1]", "is no object"),
        (
            b'[{"id":"p","name":"P","models":[{"id":"m","prices":{"input_mtok":NaN}}]}]',
            "not a number",
        ),
        (b'[{"id":"p","name":"P","models":[{"id":"m","prices":{"input_mtok":-1}}]}]', "'prices'"),
        (b'[{"id":"p","name":"P","models":[{"id":"m","prices":{"input_mtok":"1"}}]}]', "'prices'"),
        (
            b'[{"id":"p","name":"P","models":[{"id":"m","prices":{"input_mtok":1e400}}]}]',
            "'prices'",
        ),
        (b'[{"id":"p","name":"P","models":[{"id":"m","match":{"like":"x"}}]}]', "'match'"),
        (b"[" * 100_000, "can be read"),
        (b'[{"id":"p","name":"P"', "can be read"),
        (b"", "can be read"),
    ],
)
def test_hostile_and_broken_json_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(PricesUnusable, match=reason):
        fetch(str(path), say_nothing)


def test_a_file_that_is_too_large_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    with path.open("wb") as file:
        file.seek(genai_source.FILE_BYTES_MAX + 1)
        file.write(b" ")
    with pytest.raises(PricesUnusable, match="larger than 32 MB"):
        fetch(str(path), say_nothing)
    with pytest.raises(PricesUnusable, match="cannot be read"):
        fetch(str(tmp_path / "none.json"), say_nothing)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(UnusableSource, match="not a file"):
        read_file(tmp_path / "pipe.json")


# ------------------------------------------------------------------------ GitHub


class Served(NamedTuple):
    url: str
    context: ssl.SSLContext
    authority: bytes


@pytest.fixture
def serve() -> Iterator[Callable[[int, bytes], Served]]:
    """Serve one answer over TLS on loopback."""
    authority = trustme.CA()
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: bytes) -> Served:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        url = f"https://localhost:{server.server_port}/v2/data.json"
        return Served(url, trusting, authority.cert_pem.bytes())

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_github_is_reached_through_the_configured_proxy_and_authority(
    serve: Callable[[int, bytes], Served], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = serve(200, b'[{"id":"p","name":"P","models":[{"id":"m","prices":{"input_mtok":1}}]}]')
    monkeypatch.setattr(price_refresh, "GITHUB_URL", good.url)
    own = tmp_path / "own-authority.pem"
    own.write_bytes(good.authority)
    with OutgoingProxy() as proxy:
        proxies = Proxies(https=proxy.url("who:what@"))
        outside = Outside(proxies, str(own))
        assert fetch("github", say_nothing, outside).providers[0]["id"] == "p"
        (head,) = proxy.heads
        assert head.startswith(b"CONNECT localhost:")
        assert b"\r\nProxy-Authorization: Basic d2hvOndoYXQ=" in head
        bypassed = outside._replace(proxies=proxies._replace(bypass=("localhost",)))
        assert fetch("github", say_nothing, bypassed).providers[0]["id"] == "p"
        assert len(proxy.heads) == 1
        proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
        with pytest.raises(PricesUnusable, match=r"cannot be read: .*407") as refused:
            fetch("github", say_nothing, outside)
        assert "what" not in str(refused.value)
    with pytest.raises(PricesUnusable, match=r"cannot be read: .*certificate"):
        fetch("github", say_nothing, Outside())


def test_a_download_is_taken_whole_or_not_at_all(
    serve: Callable[[int, bytes], Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = serve(200, b'[{"id":"p","name":"P","models":[{"id":"m","prices":{"input_mtok":1}}]}]')
    monkeypatch.setattr(price_refresh, "GITHUB_URL", good.url)
    monkeypatch.setattr(ssl, "create_default_context", lambda: good.context)
    assert fetch("github", say_nothing).providers[0]["id"] == "p"
    gone = serve(404, b"")
    monkeypatch.setattr(price_refresh, "GITHUB_URL", gone.url)
    with pytest.raises(PricesUnusable, match="answers 404"):
        fetch("github", say_nothing)
    huge = serve(200, b" " * (genai_source.FILE_BYTES_MAX + 1))
    monkeypatch.setattr(price_refresh, "GITHUB_URL", huge.url)
    with pytest.raises(PricesUnusable, match="larger than 32 MB"):
        fetch("github", say_nothing)
    monkeypatch.setattr(
        ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    with pytest.raises(PricesUnusable, match=r"cannot be read: .*certificate"):
        fetch("github", say_nothing)
