from typing import Any

class ConfigManager:
    """Key/value configuration that controller and runners share."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
    def set(self, key: str, value: Any) -> None:
        """Set a key; runners learn of it. The value must be one that msgpack carries."""
    def get_changes_for_runner(self, runner_id: Any, /) -> list[tuple[str, Any]]:
        """What has changed since this runner was last told."""
    def __getitem__(self, key: str) -> Any: ...
    def __contains__(self, key: object) -> bool: ...

def default_config_loader() -> dict[str, Any]:
    """The configuration in the environment: MITE_CONF_key=text and MITE_EVAL_CONF_key=python expression."""
