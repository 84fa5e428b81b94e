"""One message to an address somewhere else: looked up once, checked, and sent to just that address.

A name may be answered differently a moment later, so nothing between the check and the connection
asks again. No redirect is followed, and of the answer only the status is read.
"""

import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from ssl import SSLContext, create_default_context
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from llm_pipeline.domain.webhooks import Address, is_public, is_this_machine
from llm_pipeline.errors import InvalidInput

STEP_SECONDS = 5.0  # for connecting, and for each silence after that
WHOLE_SECONDS = 15.0
MOST_ADDRESSES = 4  # of one name are tried
LONGEST_URL = 2000

LookUp = Callable[[str, int], list[Address]]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message goes: the addresses that its host had when it was looked up."""

    secure: bool
    host: str
    port: int
    target: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of sending: the status of the answer, or None and what went wrong."""

    status: int | None
    error: str = ""

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host; OSError if it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A scope (`fe80::1%eth0`) is of this link only, and refused as such.
    return list(dict.fromkeys(ip_address(str(one[4][0]).partition("%")[0]) for one in found))


def destination(url: str, find: LookUp = look_up) -> Destination:
    """Look an address up and check it. Raises InvalidInput for one that may not be told."""
    secure, host, port, target = _parts(url)
    try:
        addresses = find(host, port)
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"{host!r} in {url!r} cannot be looked up: {error}") from error
    here = [is_this_machine(host, address) for address in addresses]
    if not all(here):
        _refuse_inside(url, host, addresses)
        if not secure:
            raise InvalidInput(f"{url!r} is not https; plain http goes to this machine only")
    return Destination(secure, host, port, target, tuple(addresses))


def _parts(url: str) -> tuple[bool, str, int, str]:
    try:
        split = urlsplit(url)
        host, port = (split.hostname or "").rstrip("."), split.port
        host.encode("idna")
    except ValueError as error:
        raise InvalidInput(f"{url[:200]!r} is no address: {error}") from error
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST_URL
    if split.scheme not in ("https", "http") or not host or not plain:
        raise InvalidInput(
            f"{url[:200]!r} is no address: it is written https://HOST/PATH, in ASCII"
        )
    if split.username is not None or split.fragment:
        raise InvalidInput(f"{url[:200]!r} holds a user or a fragment; leave them out")
    secure = split.scheme == "https"
    target = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return secure, host, port or (443 if secure else 80), target


def _refuse_inside(url: str, host: str, addresses: list[Address]) -> None:
    inside = [str(address) for address in addresses if not is_public(address)]
    if inside:
        raise InvalidInput(
            f"{url!r} leads to {', '.join(inside)}, which is no public address; webhooks go to "
            f"public https addresses, and to this machine as `localhost` or `127.0.0.1`"
        )


def post(
    to: Destination,
    headers: Mapping[str, str],
    body: bytes,
    trust: SSLContext | None = None,
    whole_seconds: float = WHOLE_SECONDS,
) -> Outcome:
    """Send a message to the first of the addresses that can be connected to."""
    outcome = Outcome(None, f"{to.host} has no address")
    for address in to.addresses[:MOST_ADDRESSES]:
        connection = _connection(to, str(address), trust)
        end = threading.Timer(whole_seconds, connection.cut)
        end.daemon = True
        end.start()
        try:
            connection.connect()
            return _exchange(connection, to, headers, body)
        except (HTTPError, http.client.HTTPException, OSError) as error:
            outcome = Outcome(None, _told(error, connection, whole_seconds))
            if connection.is_sent:
                return outcome
        finally:
            end.cancel()
            connection.close()
            connection.forget()
    return outcome


class _Plain(HTTPConnection):
    """A connection that another thread can end at any moment, also in its handshake."""

    twin: socket.socket | None = None
    is_cut = False
    is_sent = False

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        # TLS takes the socket over; a second handle on it goes on working.
        self.twin = made.dup()
        return made

    def cut(self) -> None:
        self.is_cut = True
        if self.twin is not None:
            try:
                self.twin.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself

    def forget(self) -> None:
        if self.twin is not None:
            self.twin.close()


class _Secure(_Plain, HTTPSConnection):
    """The same with TLS."""


def _connection(to: Destination, address: str, trust: SSLContext | None) -> _Plain:
    if not to.secure:
        return _Plain(address, to.port, timeout=STEP_SECONDS)
    return _Secure(
        address,
        to.port,
        timeout=STEP_SECONDS,
        server_hostname=to.host,
        ssl_context=trust or create_default_context(),  # which checks the name, too
    )


def _exchange(
    connection: _Plain, to: Destination, headers: Mapping[str, str], body: bytes
) -> Outcome:
    connection.is_sent = True
    host = f"[{to.host}]" if ":" in to.host else to.host
    usual = 443 if to.secure else 80
    own = {"Host": host if to.port == usual else f"{host}:{to.port}", "Connection": "close"}
    connection.request("POST", to.target, body, {**headers, **own}, preload_content=False)
    status = connection.getresponse().status
    if 300 <= status < 400:
        return Outcome(status, f"answered {status}; redirects are not followed")
    return Outcome(status, "" if 200 <= status < 300 else f"answered {status}")


def _told(error: Exception, connection: _Plain, whole_seconds: float) -> str:
    if connection.is_cut:
        return f"no answer within {whole_seconds:g} seconds"
    return f"{type(error).__name__}: {error}"[:500]
