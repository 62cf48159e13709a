"""Trusted certificates: Amazon's roots for AWS, certifi's roots for Finch, and no others."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import certifi
import pytest
from botocore.exceptions import SSLError
from botocore.handlers import BUILTIN_HANDLERS

import trust_stores
from finch_connections.aws import clients
from finch_connections.finch import client as finch_client
from finch_connections.finch.errors import NotReached
from tests.bench.certificates import authority
from tests.support.in_process import clear_caches


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Writes no log."""


class _Server(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores clients that close the connection because they do not trust this server."""


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trust stores of a build, at the paths where the functions look for them."""
    trust_stores.write(Path(certifi.where()).read_text(), tmp_path)
    monkeypatch.setattr(clients, "_AMAZON", tmp_path / "amazon.pem")
    monkeypatch.setattr(finch_client, "_ROOTS", tmp_path / "roots")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    return tmp_path


@pytest.fixture
def fresh_clients() -> Iterator[None]:
    """Makes the test create new AWS clients and a new session."""
    clear_caches()
    yield
    clear_caches()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """The address of a server with its own authority, and the root certificate of that authority."""
    folder = tmp_path / "authority"
    folder.mkdir()
    made = authority(folder)
    with _Server(("127.0.0.1", 0), _Empty) as listening:
        listening.socket = made.context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"https://localhost:{listening.server_port}", made.root
        listening.shutdown()
        thread.join()


def test_finch_client_accepts_only_certificates_of_trusted_roots(
    stores: Path, server: tuple[str, bytes]
) -> None:
    url, root = server
    with pytest.raises(NotReached):
        finch_client.FinchClient(url).call("GET", "/providers")
    der = ssl.PEM_cert_to_DER_cert(root.decode())
    (stores / "roots" / f"{trust_stores.subject_hash(der)}.0").write_bytes(root)
    assert finch_client.FinchClient(url).call("GET", "/providers") == {}
    with pytest.raises(NotReached):
        finch_client.FinchClient(url.replace("localhost", "127.0.0.1")).call("GET", "/providers")


@pytest.mark.usefixtures("fresh_clients")
def test_aws_client_accepts_only_certificates_of_amazon_roots(
    stores: Path, server: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, root = server
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    client = clients.client("dynamodb")
    with pytest.raises(SSLError):
        client.get_item(TableName="any", Key={"id": {"S": "1"}})
    with (stores / "amazon.pem").open("ab") as store:
        store.write(root)
    assert "Item" not in client.get_item(TableName="any", Key={"id": {"S": "1"}})


@pytest.mark.usefixtures("fresh_clients", "stores")
@pytest.mark.parametrize(
    ("variables", "amazon"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, True),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, False),
        ({"AWS_DEFAULT_REGION": "us-gov-west-1"}, False),
        ({"AWS_CA_BUNDLE": "/somewhere/else.pem"}, False),
    ],
)
def test_amazon_roots_are_not_used_in_other_partitions_or_with_a_bundle(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], amazon: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (clients._trusted() is not None) is amazon


@pytest.mark.usefixtures("fresh_clients")
def test_no_botocore_handler_for_a_used_service_is_left_out(stores: Path) -> None:
    services = ("dynamodb", "dynamodbstreams", "events", "kms", "secretsmanager", "sqs")
    ids = {
        str(clients.client(service).meta.service_model.service_id.hyphenize())  # type: ignore[call-overload]
        for service in services
    }
    assert ids == clients.SERVICE_IDS
    left_out = [one[0] for one in BUILTIN_HANDLERS if not clients.for_our_services(one[0])]
    about_ours = [one for one in left_out if ids & set(one.split("."))]
    # Handlers that only write documentation.
    assert all(one.startswith("docs.") for one in about_ours)
    kept = [one for one in BUILTIN_HANDLERS if clients.for_our_services(one[0])]
    # No kept handler must be the first or the last.
    assert kept
    assert {len(one) for one in kept} == {2}
