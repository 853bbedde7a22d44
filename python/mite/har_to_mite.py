"""From a HAR file, as browsers record one, to the source of a journey that does the same requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from ._host import Refused

__all__ = ["convert", "har_to_journey"]

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

# What the client says by itself, or what belongs to one connection.
DROPPED_HEADERS = frozenset({"accept-encoding", "connection", "content-length", "cookie", "host", "transfer-encoding"})


def _field(value: Any, key: str, kind: type, where: str) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(key), kind):
        what = "text" if kind is str else "a list" if kind is list else "an object"
        raise Refused(f"{where} has no {key!r} that is {what}")
    return value[key]


def _requests(har: Any) -> Iterator[tuple[dict[str, Any], float]]:
    """Each request, and how many seconds after the one before it began."""
    if not isinstance(har, dict):
        raise Refused("it is no JSON object")
    previous: datetime | None = None
    for number, entry in enumerate(_field(_field(har, "log", dict, "it"), "entries", list, "its log"), 1):
        where = f"entry {number}"
        request = _field(entry, "request", dict, where)
        method = _field(request, "method", str, where).upper()
        url = _field(request, "url", str, where)
        if method not in METHODS:
            raise Refused(f"{where} is a {method}, which a session cannot send")
        if urlsplit(url).scheme not in ("http", "https"):
            continue  # a socket, an image inside the page
        try:
            began = datetime.fromisoformat(_field(entry, "startedDateTime", str, where).replace("Z", "+00:00"))
        except ValueError as error:
            raise Refused(f"{where} began at no time that can be read: {error}") from None
        gap = max(0.0, (began - previous).total_seconds()) if previous else 0.0
        previous = began
        yield {**request, "method": method}, gap


def _headers(request: dict[str, Any]) -> dict[str, str]:
    headers = {}
    for header in request.get("headers") or ():
        name = _field(header, "name", str, "a header")
        if not name.startswith(":") and name.lower() not in DROPPED_HEADERS:
            headers[name] = _field(header, "value", str, f"header {name}")
    return headers


def _body(request: dict[str, Any]) -> str | None:
    posted = request.get("postData")
    if not isinstance(posted, dict):
        return None
    if posted.get("text"):
        return str(posted["text"])
    return urlencode([(p.get("name", ""), p.get("value", "")) for p in posted.get("params") or ()]) or None


def _step(request: dict[str, Any]) -> Iterator[str]:
    method, url = request["method"], request["url"]
    name = f"{method} {urlsplit(url).path or '/'}"
    yield f"    async with ctx.transaction({name!r}):"
    yield f"        await ctx.http.{method.lower()}("
    yield f"            {url!r},"
    headers = _headers(request)
    if headers:
        yield "            headers={"
        yield from (f"                {name!r}: {value!r}," for name, value in headers.items())
        yield "            },"
    body = _body(request)
    if body is not None:
        yield f"            data={body!r},"
    yield "        )"


def har_to_journey(har: Any, sleep_time: float = 1) -> str:
    """The source of a module with a journey of the HAR's requests.

    Between two of them it sleeps `sleep_time` seconds; with 0, as long as lay between them in the HAR.
    """
    lines: list[str] = []
    sleeps = False
    for number, (request, gap) in enumerate(_requests(har)):
        seconds = sleep_time or round(gap, 3)
        if number > 0 and seconds > 0:
            lines.append(f"    await asyncio.sleep({seconds:g})")
            sleeps = True
        lines.extend(_step(request))
    if not lines:
        raise Refused("there is no HTTP request in it")
    head = ["import asyncio", ""] if sleeps else []
    head += ["from mite_http import mite_http", "", "", "@mite_http", "async def journey(ctx):"]
    return "\n".join([*head, *lines, ""])


def convert(source: str, target: str, sleep_time: float = 1) -> None:
    """`mite har SOURCE TARGET`."""
    try:
        with open(source, encoding="utf-8-sig") as file:
            har = json.load(file)
    except OSError as error:
        raise Refused(error.strerror or str(error)) from None
    except ValueError as error:
        raise Refused(f"it is no JSON: {error}") from None
    text = har_to_journey(har, sleep_time)
    try:
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error.strerror}") from None
