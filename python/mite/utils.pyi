from typing import Any

def pack_msg(message: Any, /) -> bytes:
    """The msgpack form of a message. TypeError names a value that it cannot carry."""

def unpack_msg(message: bytes, /) -> Any:
    """The message of msgpack bytes; lists come as tuples."""

def spec_import(spec: str) -> Any: ...
async def sleep(seconds: float) -> None: ...
