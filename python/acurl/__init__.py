"""An HTTP client on asyncio, made for load: sessions, requests, responses and cookies."""

from _mite import AcurlError, CurlWrapper, RequestError, Session, _Response

from acurl._cookies import Cookie, parse_cookie_string, session_cookie_for_url
from acurl._headers import CaseInsensitiveDict
from acurl._request import Request

_Cookie = Cookie

__all__ = [
    "AcurlError",
    "CaseInsensitiveDict",
    "Cookie",
    "CurlWrapper",
    "Request",
    "RequestError",
    "Session",
    "parse_cookie_string",
    "session_cookie_for_url",
]
