"""Who carries requests: the choice, what it says about itself, and that the figures do not depend on it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import Mite, totals

SOURCE = """
from mite_http import mite_http

@mite_http
async def visit(ctx):
    url = ctx.config["url"]
    async with ctx.transaction("pages"):
        assert (await ctx.http.get(url + "/")).status_code == 200
        assert len((await ctx.http.get(url + "/bytes/100000")).body) == 100000
        assert "hello" in (await ctx.http.post(url + "/echo", data="hello")).text
        assert (await ctx.http.get(url + "/redirect/2")).status_code == 200
        assert (await ctx.http.get(url + "/gzip")).headers["content-encoding"] == "gzip"
        assert (await ctx.http.get(url + "/status/503")).status_code == 503

@mite_http
async def framed(ctx):
    await ctx.http.get(ctx.config["url"] + "/", headers={"TE": "trailers"})

@mite_http
async def addresses(ctx):
    await ctx.http.get(ctx.config["url"] + "/")
"""


@pytest.fixture
def journey(tmp_path: Path) -> str:
    (tmp_path / "walk.py").write_text(SOURCE)
    return "walk:visit"


def responses(stdout: str) -> tuple[int, int]:
    """Those of the native transport and those of libcurl, of which the summary tells when there are any."""
    found = re.search(r"([\d,]+) responses? over the native transport, ([\d,]+) responses? over libcurl", stdout)
    if not found:
        return totals(stdout).requests, 0
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))


@pytest.mark.parametrize("transport", ["auto", "native", "curl"])
def test_figures_are_the_same(mite: Mite, target: str, journey: str, transport: str) -> None:
    result = mite(
        "journey", "test", journey, f"--add-to-config=url:{target}", "--iterations=20", "--volume=5",
        f"--http-transport={transport}",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert totals(result.stdout)[:3] == (20 * 8, 0, 20)
    assert responses(result.stdout) == ((0, 160) if transport == "curl" else (160, 0))


def test_what_is_not_served_goes_to_libcurl(mite: Mite, target: str, journey: str) -> None:
    run = ("journey", "run", "walk:framed", f"--add-to-config=url:{target}")
    result = mite(*run)
    assert result.returncode == 0 and responses(result.stdout) == (0, 1), result.stdout
    result = mite(*run, "--http-transport=native")
    assert result.returncode == 1
    assert "a header changes how the message is framed: left to libcurl" in result.stdout + result.stderr


def test_a_proxy_is_libcurls(mite: Mite, target: str, journey: str) -> None:
    result = mite("journey", "run", "walk:addresses", f"--add-to-config=url:{target}", env={"http_proxy": target})
    assert responses(result.stdout) == (0, 1), result.stdout


@pytest.mark.parametrize("transport", ["native", "curl"])
def test_local_addresses_take_turns(mite: Mite, target: str, journey: str, transport: str) -> None:
    result = mite(
        "journey", "test", "walk:addresses", f"--add-to-config=url:{target}", "--iterations=10", "--volume=4",
        "--local-address=127.0.0.2", "--local-address=127.0.0.3", f"--http-transport={transport}",
    )
    assert result.returncode == 0 and totals(result.stdout)[:3] == (10, 0, 10), result.stdout + result.stderr


@pytest.mark.parametrize(
    "options, text",
    [
        (["--http-transport=curll"], "--http-transport=curll: auto, native or curl is expected"),
        (["--http-version=3"], "--http-version=3: auto, 1.1 or 2 is expected"),
        (["--http-transport=native", "--http-version=2"], "--http-version=2: HTTP/2 is libcurl's"),
        (["--local-address=eth0"], "--local-address=eth0: an address of this machine is expected"),
        (["--local-address=192.0.2.1"], "--local-address=192.0.2.1: Cannot assign requested address"),
        (["--resolve=shop.test:80:nowhere"], "HOST:PORT:ADDRESS is expected"),
    ],
)
def test_bad_options(mite: Mite, journey: str, options: list[str], text: str) -> None:
    result = mite("journey", "run", journey, *options)
    assert result.returncode == 2
    assert text in result.stderr and len(result.stderr.splitlines()) <= 2


CONFIG = """
daemon off; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ }}
http {{
    access_log {root}/access.log; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
    fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
    ssl_certificate {root}/server.crt; ssl_certificate_key {root}/server.key;
    server {{ listen 127.0.0.1:{h1} ssl; location / {{ return 200 "hello"; }} }}
    server {{ listen 127.0.0.1:{h2} ssl http2; location / {{ return 200 "hello"; }} }}
}}
"""


@pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="no nginx")
def test_tls(mite: Mite, journey: str, tmp_path: Path) -> None:
    """HTTP/1.1 over TLS is ours; a server that chooses HTTP/2 is libcurl's, unless it is not offered."""
    import socket

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "server.key", "-out", "server.crt"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = {"h1": one.getsockname()[1], "h2": two.getsockname()[1]}
        (tmp_path / "nginx.conf").write_text(CONFIG.format(root=tmp_path, **ports))
        process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")],
            env={"NGINX": f"{one.fileno()};{two.fileno()};"},
            pass_fds=(one.fileno(), two.fileno()),
        )
    try:
        for port, options, expected in [
            (ports["h1"], [], (10, 0)),
            (ports["h1"], ["--http-version=2"], (0, 10)),
            (ports["h2"], ["--volume=1"], (0, 10)),
            (ports["h2"], ["--http-version=1.1"], (10, 0)),
            (ports["h2"], ["--http-transport=native"], (10, 0)),
        ]:
            result = mite(
                "journey", "test", "walk:addresses", f"--add-to-config=url:https://127.0.0.1:{port}", "--iterations=10",
                "--volume=4", "--ca-file=server.crt", *options,
            )
            assert result.returncode == 0, result.stdout + result.stderr
            assert responses(result.stdout) == expected, (options, result.stdout)
    finally:
        process.terminate()
        process.wait()
