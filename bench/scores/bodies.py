"""Answers with bodies, which a journey gets to see as a whole."""

from functools import partial

from board.clients import h2load, mite, wrk
from board.goal import times
from board.group import Group
from board.nginx import Nginx
from board.requests import COLUMNS, requests


def group(title: str, file: str, quick: bool) -> Group:
    url = partial(Nginx.file, name=file)
    lines = [
        requests(wrk(), url=url),
        requests(mite("C", "get"), [times(1.1, "wrk")], url=url),
        requests(mite("Python", "get"), url=url),
        requests(h2load(), url=url),
    ]
    lines = lines[:2] if quick else lines  # those that a goal is about
    return Group(f"Bodies of {title}, 100 virtual users", COLUMNS, lines, reference="wrk")


def groups(quick: bool) -> list[Group]:
    return [group("10 KB", "10k", quick), group("1 MB", "1m", quick)]
