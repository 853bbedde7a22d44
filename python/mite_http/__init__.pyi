from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from acurl import Cookie

_Result = TypeVar("_Result")

def mite_http(func: Callable[..., Awaitable[_Result]]) -> Callable[..., Coroutine[Any, Any, _Result]]:
    """A fresh session on `ctx.http` for each call of an async function; what was there before comes back at its end."""

def create_http_cookie(ctx: Any, domain: str, name: str, value: str) -> Cookie:
    """Puts a cookie for `domain` and its subdomains into the session on `ctx.http`, and returns it."""
