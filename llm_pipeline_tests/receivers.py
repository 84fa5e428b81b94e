"""Real HTTP servers on loopback that receive webhooks: they answer as they are told to."""

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any


@dataclass
class Receiver:
    """What arrived, and what is answered: the statuses in their order, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    messages: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    before_answer: Callable[[], object] = lambda: None

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.messages]

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.messages]

    def verified(self, secret: str) -> bool:
        """Whether every message is signed with the secret, as the standard tells receivers."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        return all(
            headers["webhook-signature"]
            == "v1," + base64.b64encode(hmac.digest(key, _signed(headers, body), "sha256")).decode()
            for headers, body in self.messages
        )


def _signed(headers: dict[str, str], body: bytes) -> bytes:
    return b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))


@contextmanager
def receiving(
    *statuses: int, path: str = "/hook", trusted: SSLContext | None = None
) -> Iterator[Receiver]:
    """A receiver on a free port; with a context it speaks TLS."""
    receiver = Receiver(statuses=list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.messages.append((headers, body))
            receiver.before_answer()
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if trusted is not None:
        server.socket = trusted.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scheme = "http" if trusted is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}{path}"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
