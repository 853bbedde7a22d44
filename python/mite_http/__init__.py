"""HTTP for journeys: `@mite_http` gives a call a session of its own, on `ctx.http`."""

from functools import wraps
from inspect import iscoroutinefunction, isfunction

from _mite import pop_session, push_session
from acurl import Cookie

__all__ = ["create_http_cookie", "mite_http"]


def mite_http(func):
    """A fresh session on `ctx.http` for each call of an async function; what was there before comes back at its end."""
    if isfunction(func) and not iscoroutinefunction(func) and not hasattr(func, "__wrapped__"):
        raise TypeError(f"@mite_http takes an async function: write `async def {func.__name__}`")

    @wraps(func)
    async def with_session(ctx, *args, **kwargs):
        before = push_session(ctx)
        try:
            return await func(ctx, *args, **kwargs)
        finally:
            pop_session(ctx, before)

    with_session._passes_arguments = with_session  # and not those that another decorator copies this to
    return with_session


def create_http_cookie(ctx, domain, name, value):
    """Puts a cookie for `domain` and its subdomains into the session on `ctx.http`, and returns it."""
    cookie = Cookie(domain, name, value)
    ctx.http._add_cookie(cookie)
    return cookie
