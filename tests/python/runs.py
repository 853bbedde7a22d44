"""Runs of a user's Python for tests: the source written as the module `shop`, and the messages that came of it."""

import json

import pytest

RUN = ("--no-collector", "--log-level=ERROR")


@pytest.fixture
def run(mite, tmp_path):
    """Runs `source` as the module `shop`; gives the result and the messages that came to a processor of its own."""

    def start(source, *args, env=None, processor="shop:Keep"):
        keep = (
            "import json\n"
            "class Keep:\n"
            "    def process_message(self, message):\n"
            "        with open('messages', 'a') as file:\n"
            "            file.write(json.dumps(message, default=repr) + '\\n')\n"
        )
        (tmp_path / "shop.py").write_text(keep + source)
        result = mite(*RUN, *args, f"--message-processors={processor}", env=env)
        kept = tmp_path / "messages"
        messages = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
        return result, messages

    return start


def of_type(messages, kind):
    return [message for message in messages if message["type"] == kind]


def values(messages, kind="got", key="value"):
    return [message[key] for message in of_type(messages, kind)]
