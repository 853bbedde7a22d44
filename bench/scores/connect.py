"""A new connection for each request: the server closes each after its answer."""

from board.clients import ab, mite, wrk
from board.goal import times
from board.group import Group
from board.nginx import Nginx
from board.requests import COLUMNS, requests


def closing(server: Nginx) -> str:
    return server.closing


def groups(quick: bool) -> list[Group]:
    peer = ab(keep_alive=False)
    lines = [
        requests(peer, url=closing),
        requests(mite("C", "get"), [times(1.2, peer.name)], url=closing),
        requests(mite("Python", "get"), url=closing),
        requests(wrk(), url=closing),
    ]
    lines = lines[:2] if quick else lines  # those that a goal is about
    return [Group("A new connection for each request, 100 virtual users", COLUMNS, lines, reference=peer.name)]
