"""Whose certificates are trusted: of AWS Amazon's, of Finch what certifi trusts, and nobody without."""

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
from tests.support.in_process import forget_what_is_cached


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


class _Server(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever does not trust us hangs up."""


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stores of a build, where the functions look for them."""
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
def forget() -> Iterator[None]:
    """Clients and their session are made anew."""
    forget_what_is_cached()
    yield
    forget_what_is_cached()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """The address of a server of its own authority, and that authority's root."""
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


def test_finch_must_show_what_somebody_trusted_vouches_for(
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


@pytest.mark.usefixtures("forget")
def test_aws_must_show_what_amazon_vouches_for(
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


@pytest.mark.usefixtures("forget", "stores")
@pytest.mark.parametrize(
    ("variables", "amazon"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, True),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, False),
        ({"AWS_DEFAULT_REGION": "us-gov-west-1"}, False),
        ({"AWS_CA_BUNDLE": "/somewhere/else.pem"}, False),
    ],
)
def test_others_are_asked_where_amazon_need_not_vouch(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], amazon: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (clients._trusted() is not None) is amazon


@pytest.mark.usefixtures("forget")
def test_no_handler_of_botocore_for_a_service_of_ours_is_left_out(stores: Path) -> None:
    services = ("dynamodb", "dynamodbstreams", "events", "kms", "secretsmanager", "sqs")
    ids = {
        str(clients.client(service).meta.service_model.service_id.hyphenize())  # type: ignore[call-overload]
        for service in services
    }
    assert ids == clients.SERVICE_IDS
    left_out = [one[0] for one in BUILTIN_HANDLERS if not clients.for_our_services(one[0])]
    about_ours = [one for one in left_out if ids & set(one.split("."))]
    # What only writes documentation.
    assert all(one.startswith("docs.") for one in about_ours)
    kept = [one for one in BUILTIN_HANDLERS if clients.for_our_services(one[0])]
    # None of them wants to be the first or the last.
    assert kept
    assert {len(one) for one in kept} == {2}
