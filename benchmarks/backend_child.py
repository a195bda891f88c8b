"""One contender of bench_backend.py: a round of requests for each number on standard input, in a process of its own."""

# ruff: noqa: PLC0415  # the driver is chosen first

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from contender import told

WARM_UP = 150
FLOOR = "SELECT id, app_label, model FROM django_content_type WHERE app_label = 'shop' LIMIT 5"


def floor() -> Callable[[], None]:
    """The page's statements by a bare driver on one connection: what no backend can undercut."""
    selects = 3  # page.SELECTS; importing page would set Django up
    if told().driver == "psycopg2":
        import psycopg2

        connection: Any = psycopg2.connect("")
        connection.autocommit = True
    else:
        import psycopg

        connection = psycopg.connect("", autocommit=True)

    def one() -> None:
        for _ in range(selects):
            with connection.cursor() as cursor:
                cursor.execute(FLOOR)
                cursor.fetchall()

    return one


def request() -> Callable[[], None]:
    """The page by Django's WSGI handler, as a server calls it."""
    from django.test import RequestFactory
    from page import application

    environ = RequestFactory().get("/").environ
    handler: Any = application

    def one() -> None:
        response = handler(dict(environ), lambda *_: None)
        response.close()
        assert response.status_code == 200, response.content

    return one


def main() -> None:
    """Answer each line with the seconds of a round: by the clock, and of this process's own CPU."""
    one = request() if told().engine else floor()
    for _ in range(WARM_UP):
        one()
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            one()
        print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)


if __name__ == "__main__":
    main()
