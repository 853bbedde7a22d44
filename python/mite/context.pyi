from collections.abc import Awaitable, Callable
from typing import Any

class Context:
    """What a running journey knows and says. Set whatever attributes you like on it.

    The runner makes one for each journey. One made by hand, for a test, gives each message to `send_fn` as a dict.
    """

    config: dict[str, Any]
    http: Any
    def __init__(
        self,
        send_fn: Callable[[dict[str, Any]], Any],
        config: dict[str, Any],
        id_data: dict[str, Any] | None = None,
        should_stop_func: Callable[[], bool] | None = None,
        debug: bool = False,
    ) -> None: ...
    @property
    def should_stop(self) -> bool:
        """True once the run wants its journeys to come to their end."""
    def send(self, type: str, **fields: Any) -> Awaitable[None]:
        """Send a message of this type. It is copied before send() returns; awaiting the result is allowed.

        A value that msgpack cannot carry is a TypeError.
        """
    def transaction(self, name: str) -> Transaction:
        """A named, timed block: async with ctx.transaction("checkout"): ... Transactions nest."""
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...

class Transaction:
    """A named, timed block of a journey: async with ctx.transaction(name)."""

    def __aenter__(self) -> Awaitable[None]: ...
    def __aexit__(self, kind: Any, exception: Any, traceback: Any, /) -> Awaitable[None]: ...
