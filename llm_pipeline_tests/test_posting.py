"""Messages to somewhere else: which addresses may be told, and what a receiver can do to us."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from llm_pipeline.domain.webhooks import Address
from llm_pipeline.errors import InvalidInput
from llm_pipeline.posting import Destination, destination, look_up, post
from llm_pipeline_tests.receivers import receiving

PUBLIC = "93.184.215.14"
HEADERS = {"webhook-id": "msg_1"}


def found(*addresses: str) -> list[Address]:
    return [ip_address(address) for address in addresses]


@pytest.mark.parametrize(
    ("url", "addresses", "told"),
    [
        ("ftp://hooks.example/", [PUBLIC], "it is written https://HOST/PATH"),
        ("hooks.example", [PUBLIC], "it is written https://HOST/PATH"),
        ("https:///path", [PUBLIC], "it is written https://HOST/PATH"),
        ("https://hooks.example/ä", [PUBLIC], "in ASCII"),
        ("https://hooks.example/\r\nX: y", [PUBLIC], "it is written"),
        ("https://hooks.example:99999/", [PUBLIC], "Port out of range"),
        (f"https://hooks.example/{'a' * 2000}", [PUBLIC], "it is written"),
        ("https://ann:pw@hooks.example/", [PUBLIC], "holds a user"),
        ("http://hooks.example/", [PUBLIC], "is not https"),
        ("https://hooks.example/", ["10.1.2.3"], "leads to 10.1.2.3"),
        ("https://hooks.example/", ["172.16.0.1"], "no public address"),
        ("https://hooks.example/", ["192.168.1.1"], "no public address"),
        ("https://hooks.example/", ["169.254.169.254"], "no public address"),
        ("https://hooks.example/", ["100.64.0.1"], "no public address"),
        ("https://hooks.example/", ["0.0.0.0"], "no public address"),  # noqa: S104
        ("https://hooks.example/", ["224.0.0.1"], "no public address"),
        ("https://hooks.example/", ["255.255.255.255"], "no public address"),
        ("https://hooks.example/", ["fe80::1"], "no public address"),
        ("https://hooks.example/", ["fc00::1"], "no public address"),
        ("https://hooks.example/", ["::ffff:10.0.0.1"], "no public address"),
        ("https://hooks.example/", ["64:ff9b::a00:1"], "no public address"),
        ("https://hooks.example/", ["2002:a00:1::"], "no public address"),
        ("https://hooks.example/", [PUBLIC, "10.0.0.1"], "leads to 10.0.0.1"),
        # A foreign name may lead here today and elsewhere tomorrow; only our own names mean us.
        ("https://hooks.example/", ["127.0.0.1"], "leads to 127.0.0.1"),
        ("http://hooks.example/", ["::1"], "leads to ::1"),
    ],
)
def test_refuses_what_may_not_be_told(url: str, addresses: list[str], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        destination(url, lambda _host, _port: found(*addresses))


def test_a_name_that_nobody_knows_is_told() -> None:
    def nobody(_host: str, _port: int) -> list[Address]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(InvalidInput, match=r"'hooks.example' .* cannot be looked up"):
        destination("https://hooks.example/", nobody)


@pytest.mark.parametrize(
    ("url", "addresses", "expected"),
    [
        ("https://Hooks.Example/a?b=c", [PUBLIC], (True, "hooks.example", 443, "/a?b=c")),
        ("https://hooks.example.:8443", [PUBLIC], (True, "hooks.example", 8443, "/")),
        ("http://localhost:9000/x", ["::1", "127.0.0.1"], (False, "localhost", 9000, "/x")),
        ("http://127.0.0.1:9000/", ["127.0.0.1"], (False, "127.0.0.1", 9000, "/")),
        ("http://[::1]:9000/", ["::1"], (False, "::1", 9000, "/")),
    ],
)
def test_lets_public_https_and_this_machine_pass(
    url: str, addresses: list[str], expected: tuple[bool, str, int, str]
) -> None:
    to = destination(url, lambda _host, _port: found(*addresses))
    assert to == Destination(*expected, tuple(found(*addresses)))


@pytest.mark.parametrize("written", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_other_ways_to_write_an_address_are_no_way_in(written: str) -> None:
    with pytest.raises(InvalidInput):
        destination(f"http://{written}/")


def test_looks_up_a_host_of_this_machine() -> None:
    assert look_up("127.0.0.1", 80) == found("127.0.0.1")


def test_sends_to_the_first_address_that_answers_under_the_name_that_was_meant() -> None:
    with receiving() as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        # Nothing listens on the first two; the name is never looked up again.
        to = Destination(False, "hooks.invalid", port, "/a", tuple(found("127.0.0.3", "127.0.0.1")))
        outcome = post(to, HEADERS, b"{}")
    assert (outcome.status, outcome.error, outcome.arrived) == (200, "", True)
    [(headers, body)] = receiver.messages
    assert (headers["host"], headers["webhook-id"], body) == (
        f"hooks.invalid:{port}",
        "msg_1",
        b"{}",
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_follows_no_redirect(status: int) -> None:
    with receiving(status) as receiver:
        outcome = post(destination(receiver.url), HEADERS, b"{}")
    assert not outcome.arrived
    assert outcome.error == f"answered {status}; redirects are not followed"
    assert len(receiver.messages) == 1


def test_tells_an_address_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        outcome = post(destination(f"http://127.0.0.1:{free.getsockname()[1]}/"), {}, b"{}")
    assert outcome.status is None
    assert "refused" in outcome.error


@pytest.fixture
def drip() -> Iterator[int]:
    """A server that answers a byte every tenth of a second and never comes to an end."""
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            while not stop.wait(0.1):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)

    def accept() -> None:
        while not stop.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            serve(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    yield listening.getsockname()[1]
    stop.set()
    thread.join()
    listening.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_drips_is_cut_off(drip: int, scheme: str) -> None:
    began = time.monotonic()
    to = destination(f"{scheme}://127.0.0.1:{drip}/")
    outcome = post(to, HEADERS, b"{}", whole_seconds=0.5)
    assert time.monotonic() - began < 3
    assert outcome.status is None
    # TLS sees at once that what drips is none.
    assert outcome.error == "no answer within 0.5 seconds" or "SSL" in outcome.error


def test_a_handshake_that_hangs_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        to = destination(f"https://127.0.0.1:{silent.getsockname()[1]}/")
        outcome = post(to, HEADERS, b"{}", whole_seconds=0.3)
    assert outcome.error == "no answer within 0.3 seconds"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key, and a certificate of its own for `hooks.example`."""
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(made), "-subj", "/CN=hooks.example"]
    command += ["-addext", "subjectAltName=DNS:hooks.example"]
    subprocess.run(command, check=True, capture_output=True)
    return key, made


@pytest.mark.parametrize(
    ("name", "trusted", "told"),
    [
        ("hooks.example", True, ""),
        ("other.example", True, "match"),
        ("hooks.example", False, "certificate verify failed"),
    ],
)
def test_the_certificate_must_be_that_of_the_name(
    certificate: tuple[Path, Path], name: str, trusted: bool, told: str
) -> None:
    key, made = certificate
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(made, key)
    trust = ssl.create_default_context(cafile=made) if trusted else None
    with receiving(trusted=serving) as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        to = Destination(True, name, port, "/hook", tuple(found("127.0.0.1")))
        outcome = post(to, HEADERS, b"{}", trust)
    assert outcome.arrived == (told == "")
    assert told in outcome.error
    assert len(receiver.messages) == (told == "")
