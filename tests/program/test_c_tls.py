"""TLS sockets of journeys in C, against a server with a CA of the test's own."""

import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from c_journeys import HEADER, Run, of_type, run_c  # noqa: F401
from helpers import totals, wait_for_line

SOURCE = """
MITE_JOURNEY(journey)
{
    struct mite_socket *s = mite_connect(ctx, mite_config(ctx, "address", ""), .timeout_ms = 5000,
                                         .verify = (int)mite_config_int(ctx, "verify", 0),
                                         .ca_file = mite_config(ctx, "ca", NULL),
                                         .cert_file = mite_config(ctx, "cert", NULL),
                                         .key_file = mite_config(ctx, "key", NULL),
                                         .server_name = mite_config(ctx, "name", NULL));
    char echo[70000], sent[70000];
    memset(sent, 'x', sizeof sent);
    mite_write(ctx, s, sent, sizeof sent);
    mite_read_exactly(ctx, s, echo, sizeof echo);
    mite_check(ctx, memcmp(sent, echo, sizeof sent) == 0);
    mite_write_text(ctx, s, "bye\\r\\n");
    mite_check(ctx, strcmp(mite_read_line(ctx, s), "bye") == 0);
    mite_check(ctx, mite_read_line(ctx, s) == NULL);
}
"""


def openssl(directory: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and server.pem for 127.0.0.1 and shop.test with its key in the same file."""
    directory = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(directory, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA")
    openssl(directory, "req", *key[:3], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=shop.test")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:shop.test\n")
    openssl(
        directory, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-out", "server.crt", "-days", "2", "-extfile", "names",
    )  # fmt: skip
    (directory / "server.pem").write_text((directory / "server.crt").read_text() + (directory / "server.key").read_text())
    return directory


def serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Echoes what comes until a "bye" line, then closes."""
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(plain, server_side=True) as peer:
                while data := peer.recv(65536):
                    peer.sendall(data)
                    if data.endswith(b"bye\r\n"):
                        break
        except OSError:
            plain.close()


@pytest.fixture(params=[False, True], ids=["server", "mutual"])
def echo(request: pytest.FixtureRequest, certificates: Path) -> "Iterator[tuple[str, bool]]":
    """The address of a TLS echo server, and whether it wants a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem")
    if request.param:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates / "ca.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, context), daemon=True)
        thread.start()
        yield f"tls://127.0.0.1:{listener.getsockname()[1]}", request.param
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_tls(run_c: Run, certificates: Path, echo: tuple[str, bool]) -> None:
    address, mutual = echo
    client = {"MITE_CONF_cert": str(certificates / "server.pem")} if mutual else {}
    environment = {"MITE_CONF_address": address, **client}
    trusting = {**environment, "MITE_CONF_ca": str(certificates / "ca.pem")}

    for good in (trusting, {**trusting, "MITE_CONF_name": "shop.test"}, {**environment, "MITE_CONF_verify": "-1"}):
        result, _ = run_c(SOURCE, env=good, command=("journey", "run", "--fiber-stack=262144"))
        assert result.returncode == 0, result.stdout
    for option in (f"--ca-file={certificates / 'ca.pem'}", "--insecure"):
        result, _ = run_c(SOURCE, "journey", option, "--fiber-stack=262144", env=environment)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({}, "--ca-file names what is trusted"),
        ({"MITE_CONF_name": "other.test", "MITE_CONF_ca": "CA"}, "the certificate is not trusted: hostname mismatch"),
        ({"MITE_CONF_ca": "/none.pem"}, "cannot read the certificates in /none.pem"),
        ({"MITE_CONF_verify": "-1", "MITE_CONF_cert": "/none.pem"}, "cannot use the client certificate /none.pem"),
    ],
)
def test_what_tls_refuses(run_c: Run, certificates: Path, echo: tuple[str, bool], more: dict[str, str], sentence: str) -> None:
    more = {key: value.replace("CA", str(certificates / "ca.pem")) for key, value in more.items()}
    result, messages = run_c(
        SOURCE, "journey", "--fiber-stack=262144", env={"MITE_CONF_address": echo[0], **more}
    )
    exception = of_type(messages, "exception")[-1]
    assert exception["ex_type"] == "SocketError" and sentence in exception["message"], exception["message"]


RESET = """
#include <stdio.h>
#include <unistd.h>
static void block(void *arg) { fprintf(stderr, "blocks\\n"); usleep(2800000); }
MITE_JOURNEY(journey)
{
    struct mite_socket *s = mite_connect(ctx, mite_config(ctx, "address", ""), .verify = -1);
    char c;
    mite_read(ctx, s, &c, 1); /* the peer has closed */
    mite_write(ctx, s, "x", 1); /* which it answers with a reset */
    mite_blocking(ctx, block, NULL);
}
"""


def test_a_reset_connection_does_not_end_the_run(
    start: "Callable[..., subprocess.Popen[str]]", tmp_path: Path, certificates: Path
) -> None:
    """It is closed when the loop is over already, and there the peer's reset must not kill the process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem")

    def hang_up(listener: socket.socket) -> None:
        context.wrap_socket(listener.accept()[0], server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up, args=(listener,), daemon=True)
        thread.start()
        (tmp_path / "j.c").write_text(HEADER + RESET)
        process = start(
            "journey", "test", "j.c:journey", "--no-collector", cwd=tmp_path,
            env={"MITE_CONF_address": f"tls://127.0.0.1:{listener.getsockname()[1]}"},
        )  # fmt: skip
        wait_for_line(process.stderr, "blocks")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # its two seconds are over before the call is
        stdout, stderr = process.communicate(timeout=60)
        thread.join(10)
    assert process.returncode == 130, stderr
    assert totals(stdout).journeys == 1


def test_a_peer_that_hangs_up_in_the_handshake(run_c: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True)
        thread.start()
        _, messages = run_c(RESET, env={"MITE_CONF_address": f"tls://127.0.0.1:{listener.getsockname()[1]}"})
        thread.join(10)
    said = of_type(messages, "exception")[0]["message"]
    assert re.search("TLS handshake: (the peer has closed|Connection reset by peer)$", said), said


def test_a_peer_without_tls(run_c: Run, target: str) -> None:
    result, messages = run_c(
        SOURCE, "journey", "--fiber-stack=262144", env={"MITE_CONF_address": target.replace("http", "tls")}
    )
    assert "TLS handshake" in of_type(messages, "exception")[-1]["message"]
