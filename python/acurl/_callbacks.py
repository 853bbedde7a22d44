"""What a response callback takes."""

import inspect


def takes_metrics(callback):
    """Whether it can be called as callback(response, additional_metrics); if not, as callback(response)."""
    if not callable(callback):
        raise ValueError(f"callback must be a function of (response, additional_metrics), not {callback!r}")
    try:
        inspect.signature(callback).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell
        return True
    return True
