import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Union, final

_Text = Union[str, bytes]
_Pairs = Union[Mapping[Any, Any], Iterable[tuple[Any, Any]]]
_Callback = Union[Callable[["_Response", dict[str, Any]], Any], Callable[["_Response"], Any]]

class AcurlError(Exception):
    """A request failed before its response was whole: `curl failed with code N TEXT: what was being done`."""

class RequestError(Exception):
    """A request was redirected too often."""

class CaseInsensitiveDict(dict[str, str]):
    """A dict with text keys in any case; they are kept in lower case."""

@dataclass(frozen=True)
class Cookie:
    """One cookie. Given to a request or a session, it goes to its own domain, whatever the URL."""

    domain: str
    name: str
    value: str
    http_only: bool = ...
    include_subdomains: bool = ...
    path: str = ...
    is_secure: bool = ...
    expiration: int = ...
    def __post_init__(self) -> None: ...
    @property
    def has_expired(self) -> bool: ...
    def format(self) -> bytes:
        """A line of a Netscape cookie file."""

_Cookie = Cookie

def parse_cookie_string(line: _Text) -> Cookie:
    """The cookie in a line of a Netscape cookie file."""

def session_cookie_for_url(
    url: str,
    name: str,
    value: Union[str, Cookie],
    http_only: bool = ...,
    include_subdomains: bool = ...,
    is_secure: bool = ...,
    include_url_path: bool = ...,
) -> Cookie:
    """A cookie for the host of `url` that lives as long as its session."""

class Request:
    """What was sent. Made by hand, it sends nothing; it shows itself as a curl command."""

    method: bytes
    url: str
    auth: Union[tuple[str, str], None]
    data: Union[str, bytes, None]
    cert: Union[tuple[str, str], None]
    def __init__(
        self,
        method: _Text,
        url: str,
        headers: Iterable[_Text] = ...,
        cookies: Iterable[_Text] = ...,
        auth: Union[tuple[str, str], None] = ...,
        data: Union[str, bytes, None] = ...,
        cert: Union[tuple[str, str], None] = ...,
    ) -> None: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def cookies(self) -> dict[str, str]: ...
    def to_curl(self) -> str:
        """The same request as a command line for curl."""

@final
class _Response:
    """A response. Each attribute is made when it is read. Times are seconds, sizes are bytes."""

    @property
    def status_code(self) -> int: ...
    @property
    def url(self) -> str: ...
    @property
    def redirect_url(self) -> Union[str, None]: ...
    @property
    def headers(self) -> CaseInsensitiveDict: ...
    @property
    def headers_tuple(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def header(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    @property
    def encoding(self) -> str: ...
    @property
    def cookies(self) -> dict[str, str]: ...
    @property
    def history(self) -> list[_Response]: ...
    @property
    def request(self) -> Request: ...
    @property
    def start_time(self) -> float: ...
    @property
    def total_time(self) -> float: ...
    @property
    def namelookup_time(self) -> float: ...
    @property
    def connect_time(self) -> float: ...
    @property
    def appconnect_time(self) -> float: ...
    @property
    def pretransfer_time(self) -> float: ...
    @property
    def starttransfer_time(self) -> float: ...
    @property
    def upload_size(self) -> float: ...
    @property
    def download_size(self) -> float: ...
    @property
    def primary_ip(self) -> str: ...
    def json(self) -> Any: ...

class _Method(Protocol):
    """A request by the method of that name."""

    def __call__(
        self,
        url: str,
        *,
        headers: _Pairs = ...,
        cookies: Union[_Pairs, None] = ...,
        auth: Union[tuple[str, str], None] = ...,
        data: Union[str, bytes, None] = ...,
        json: Any = ...,
        cert: Union[tuple[str, str], None] = ...,
        allow_redirects: bool = ...,
        max_redirects: int = ...,
        timeout: Union[float, None] = ...,
        verify: Union[bool, None] = ...,
    ) -> Coroutine[Any, Any, _Response]: ...

@final
class Session:
    """Requests that share a cookie jar. Made by CurlWrapper.session(), or found as ctx.http."""

    additional_metrics: dict[str, Any]
    get: _Method
    post: _Method
    put: _Method
    patch: _Method
    delete: _Method
    head: _Method
    options: _Method
    def set_response_callback(self, callback: Union[_Callback, None], /) -> None:
        """Called for each response, before its message goes; what it puts into the dict goes into the message."""
    def cookies(self) -> dict[str, str]: ...
    def erase_all_cookies(self) -> None: ...

@final
class CurlWrapper:
    """The HTTP client of this process on an asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def session(self) -> Session: ...
