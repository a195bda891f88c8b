"""What is outside of the database: a queue, and a payment service that speaks HTTP."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse
from urllib.request import urlopen

queue = []
charged = {}
_lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        key = parse_qs(urlparse(self.path).query).get("key", [None])[0]
        with _lock:
            charged[key or len(charged)] = 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


_server = None


def charge(key=None):
    global _server
    if _server is None:
        _server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=_server.serve_forever, daemon=True).start()
    with urlopen(f"http://127.0.0.1:{_server.server_port}/?{'key=' + key if key else ''}") as answer:
        assert answer.status == 200


def clear():
    queue.clear()
    charged.clear()


def code(error):
    """The SQLSTATE, which each driver calls by another name."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
