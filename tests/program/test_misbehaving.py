"""Whatever a server does, a request ends, what failed is counted with a sentence, and the run goes on."""

from collections.abc import Iterator
from pathlib import Path

import badserver
import pytest

from helpers import Mite, totals

SOURCE = """
import acurl
from mite_http import mite_http

@mite_http
async def visit(ctx):
    await ctx.http.get(ctx.config["url"])

@mite_http
async def tour(ctx):
    for path in ctx.config["paths"].split():
        try:
            response = await ctx.http.get(ctx.config["url"] + "/" + path)
            print(path, "status", response.status_code, sep=": ")
        except (acurl.AcurlError, acurl.RequestError) as error:
            print(path, error, sep=": ")
"""


@pytest.fixture(scope="module", params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    folder = tmp_path_factory.mktemp("certificate") if request.param == "https" else None
    if folder:
        badserver.make_certificate(folder)
    with badserver.serve(folder) as url:
        yield url


@pytest.fixture(scope="module")
def plain_server() -> Iterator[str]:
    with badserver.serve() as url:
        yield url


@pytest.fixture(autouse=True)
def journeys(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(SOURCE)


ERRORS = [
    ("cut", "the server closed the connection in the middle of its answer"),
    ("cut_chunk", "the server closed the connection in the middle of its answer"),
    ("cut_head", "the server closed the connection"),
    ("silent", "the server closed the connection without an answer"),
    ("reset", "the server closed the connection in the middle of its answer"),
    ("garbage", "the answer breaks the protocol"),
    ("other_protocol", "the answer breaks the protocol"),
    ("bad_chunk", "the answer breaks the protocol"),
    ("bad_length", "the answer breaks the protocol"),
    ("bad_gzip", "the answer breaks the protocol"),
    ("zero_byte", "the answer breaks the protocol"),
    ("endless_head", "the answer breaks the protocol: its head is larger than 256 KiB"),
    ("endless_body", "the body is larger than 1000000 bytes (--max-body-size)"),
    ("bomb", "the body is larger than 1000000 bytes (--max-body-size)"),
    ("stall", "the answer was not whole within 2 s"),
    ("to_a_file", "only http and https are known"),
    ("round_and_round", "more than 5 redirects"),
]
# What libcurl takes, or gives up on in its own words.
ERRORS_OF_OURS = [
    ("two_lengths", "it has two different Content-Length"),
    ("length_and_chunks", "it has both a Transfer-Encoding and a Content-Length"),
    ("switch", "it switches to another protocol, which nobody asked for"),
    ("bad_trailer", "a trailer of it is no header line"),
    ("endless_interim", "the answer was not whole within 2 s"),
]


ANSWERS = [("no_location", 302), ("not_modified", 304), ("drip", 200), ("two_answers", 200)]


@pytest.mark.parametrize(("path", "sentence"), ERRORS + ERRORS_OF_OURS)
def test_it_is_an_error_with_a_sentence(mite: Mite, plain_server: str, path: str, sentence: str) -> None:
    url = f"{plain_server}/{path}"
    result = mite(
        "journey", "test", "bad:visit", f"--add-to-config=url:{url}", "--iterations=3", "--volume=3", "--no-collector",
        "--max-body-size=1000000", "--timeout=2",
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert totals(result.stdout).errors == 3
    text = " ".join(result.stdout.split())
    assert sentence in text
    assert f"GET {url}" in text


@pytest.mark.parametrize("transport", ["native", "curl"])
def test_the_same_over_tls_and_over_libcurl(mite: Mite, server: str, transport: str) -> None:
    errors = ERRORS + (ERRORS_OF_OURS if transport == "native" else [])
    expected = errors + [(path, f"status: {status}") for path, status in ANSWERS]
    paths = " ".join(path for path, _ in expected)
    result = mite(
        "journey", "run", "bad:tour", f"--add-to-config=url:{server}", f"--add-to-config=paths:{paths}",
        f"--http-transport={transport}", "--insecure", "--max-body-size=1000000", "--timeout=2",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    for line, (path, sentence) in zip(lines, expected):
        assert line.startswith(path + ": ") and sentence in line
    assert len(lines) > len(expected)


def test_it_is_an_answer(mite: Mite, plain_server: str) -> None:
    """A 3xx without a Location, an answer in pieces, one answer too many."""
    for path, _ in ANSWERS:
        result = mite(
            "journey", "test", "bad:visit", f"--add-to-config=url:{plain_server}/{path}", "--iterations=3",
            "--no-collector",
        )
        assert result.returncode == 0, result.stderr
        assert totals(result.stdout)[:3] == (3, 0, 3)
