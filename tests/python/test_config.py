"""ConfigManager and the configuration of the environment."""

import pytest

from mite.config import ConfigManager, default_config_loader


def test_get_and_set():
    config = ConfigManager()
    assert config.get("a") is None
    assert config.get("a", 3) == 3
    config.set("a", {"b": [1, None, "x"]})
    assert config.get("a") == {"b": [1, None, "x"]}
    config.set(key="a", value=4)
    assert config.get(key="b", default=5) == 5
    assert config.get("a", 3) == 4
    assert config["a"] == 4
    assert "a" in config
    assert "b" not in config
    with pytest.raises(KeyError):
        config["b"]  # noqa: B018


def test_changes_for_runner():
    config = ConfigManager()
    config.set("a", 1)
    config.set("b", 2)
    assert dict(config.get_changes_for_runner(1)) == {"a": 1, "b": 2}
    assert config.get_changes_for_runner(1) == []
    config.set("a", 3)
    assert [list(pair) for pair in config.get_changes_for_runner(1)] == [["a", 3]]
    assert dict(config.get_changes_for_runner(2)) == {"a": 3, "b": 2}


def test_values_that_cannot_be_shared():
    with pytest.raises(TypeError, match="where is of type function, which a message cannot carry"):
        ConfigManager().set("where", lambda: None)
    with pytest.raises(TypeError, match="a configuration key must be a str, not int"):
        ConfigManager().set(1, 2)


def test_default_config_loader(monkeypatch):
    monkeypatch.setenv("MITE_CONF_url", "http://x:1/")
    monkeypatch.setenv("MITE_EVAL_CONF_sum", "1 + 2")
    config = default_config_loader()
    assert config["url"] == "http://x:1/"
    assert config["sum"] == 3
