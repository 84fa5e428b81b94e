"""Webhooks as Standard Webhooks 1.0 has them: secrets, signatures, waits; and which addresses may
be told.
"""

import base64
import hashlib
import hmac
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

SECRET_PREFIX = "whsec_"  # noqa: S105
SECRET_BYTES = 32  # 24 to 64 by the standard
USUAL_EVENTS = ("alert:raised", "alert:resolved", "alert:acknowledged")
# After each failure; the standard's own example. Together three days: after the last, a person
# is told.
WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# Addresses that carry an IPv4 address inside, which a gateway would unpack: NAT64, Teredo, 6to4.
_CARRIERS = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")))


def secret_of(random: bytes) -> str:
    """Return random bytes as a secret is written.

    >>> secret_of(b"0123456789abcdef01234567")
    'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3'
    """
    return SECRET_PREFIX + base64.b64encode(random).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature` of a message.

    >>> secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    >>> body = b'{"test": 2432232314}'
    >>> signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def wait_after(attempts: int) -> timedelta | None:
    """Return how long to wait after so many failures, None when it is enough.

    >>> wait_after(1), wait_after(10)
    (datetime.timedelta(seconds=5), None)
    """
    return WAITS[attempts - 1] if attempts <= len(WAITS) else None


def is_this_machine(host: str, address: Address) -> bool:
    """Whether a host means this machine by what it is called: a foreign name that leads here does
    not."""
    return address.is_loopback and host in ("localhost", str(address))


def is_public(address: Address) -> bool:
    """Whether an address is anybody's: not private, not of this link, not for many.

    >>> from ipaddress import ip_address
    >>> [is_public(ip_address(a)) for a in ("93.184.215.14", "10.0.0.1", "::ffff:169.254.169.254")]
    [True, False, False]
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _CARRIERS):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
