"""The same GET over TLS 1.3, on connections that stay."""

from board.clients import h2load, mite, wrk
from board.goal import times
from board.group import Group
from board.nginx import Nginx
from board.requests import COLUMNS, requests


def tls(server: Nginx) -> str:
    return server.tls


def groups(quick: bool) -> list[Group]:
    lines = [
        requests(wrk(), url=tls),
        requests(mite("C", "get", "--insecure"), [times(1.1, "wrk")], url=tls),
        requests(mite("Python", "get", "--insecure"), url=tls),
        requests(h2load(), url=tls),
    ]
    lines = lines[:2] if quick else lines  # those that a goal is about
    return [Group("One GET a visit over TLS 1.3, 100 virtual users", COLUMNS, lines, reference="wrk")]
