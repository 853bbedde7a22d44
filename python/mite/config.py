"""Configuration that controller and runners share."""

from __future__ import annotations

import os
from typing import Any

from _mite import ConfigManager

__all__ = ["ConfigManager", "default_config_loader"]


def default_config_loader() -> dict[str, Any]:
    """The configuration in the environment: MITE_CONF_key=text and MITE_EVAL_CONF_key=python expression."""
    config: dict[str, Any] = {}
    for name, text in os.environ.items():
        if name.startswith("MITE_CONF_"):
            config[name.removeprefix("MITE_CONF_")] = text
        elif name.startswith("MITE_EVAL_CONF_"):
            config[name.removeprefix("MITE_EVAL_CONF_")] = eval(text, {})  # noqa: S307: what the variable is for
    return config
