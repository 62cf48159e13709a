"""The benchmark's environment: emulated AWS and fake Finch behind TLS, and the state of each case."""

import base64
import compileall
import contextlib
import hmac
import json
import shutil
import ssl
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import certifi

import trust_stores
from finch_connections.aws import work_queue
from finch_connections.aws.connection_table import ConnectionTable
from finch_connections.domain import connection
from finch_connections.domain.connection import CompanyKey, Connection, ConnectionStatus, Token
from finch_connections.domain.work_item import ConnectionSubject, WorkItem
from local.fake_finch.seed_world import HARBOR_LANE
from local.world import CREDENTIALS, REGION, Ports, World
from tests.bench.certificates import authority
from tests.bench.function import Function
from tests.bench.tls_proxy import TlsProxy, aws_call, finch_call, serving
from tests.local.conftest import HttpApi
from tests.support.deployed import ROOT, Deployed, Tables
from tests.support.person import Person, connection_path

BUILT = ROOT / ".aws-sam" / "local"
SITE_PACKAGES = ROOT / ".venv-bench" / "lib" / "python3.13" / "site-packages"
REFERENCES = Path(__file__).with_name("references")
# The packages of Lambda's Python runtime ("Runtime-included SDK versions" in its guide), and its client.
_RUNTIME_BRINGS = (
    "awslambdaric",
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "runtime_client*.so",
    "s3transfer",
    "simplejson",
    "six.py",
    "snapshot_restore_py.py",
    "urllib3",
)
CUSTOMER = "acme"
_ROW = {"provider_id": "gusto", "company_id": HARBOR_LANE.id}
_KEY = CompanyKey(**_ROW)

type Event = dict[str, Any]


@dataclass(frozen=True)
class BenchWorld:
    """The running local world, and the functions that can be started in it."""

    world: World
    deployed: Deployed
    aws: TlsProxy
    finch: TlsProxy
    folder: Path

    def ours(self, name: str, **variables: str) -> Function:
        """A built function with its deployed environment, some `variables` replaced, and its role."""
        logical_id = name.title().replace("_", "")
        session = self.world.as_role(f"{logical_id}Role")
        environment = {
            **self._deployed_environment(logical_id),
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token or "",
            **variables,
        }
        # The example is another backend's function, without our botocore layer.
        layers = "opt-shared" if name == "read_directory" else "opt"
        return Function(
            python=self._python,
            name=name,
            task=BUILT / logical_id,
            handler=f"functions.{name}.handler.{name}",
            packages=[self.folder / layers / "python", self.folder / "runtime"],
            environment=environment,
        )

    def reference(self, kind: str, name: str) -> Function:
        """A reference's function with the emulator's root user; its packages are compiled like ours."""
        bundle = str(self.folder / "full.pem")
        environment = {
            **self._deployed_environment("ListConnections"),
            **{one: CREDENTIALS[one] for one in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
            # Their default trust store, and this environment's root.
            "AWS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "POWERTOOLS_SERVICE_NAME": "connections",
        }
        return Function(
            python=self._python,
            name=f"{kind} {name}",
            task=self.folder / "references" / kind,
            handler=f"{name}.handler",
            packages=[SITE_PACKAGES, self.folder / "runtime"],
            environment=environment,
        )

    @property
    def _python(self) -> Path:
        return self.folder / "python" / "bin" / "python"

    def _deployed_environment(self, logical_id: str) -> dict[str, str]:
        found = self.world.aws.client("lambda").get_function_configuration(
            FunctionName=self.world.physical_id(logical_id)
        )
        variables: dict[str, str] = found["Environment"]["Variables"]
        return variables | {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": REGION,
            "FINCH_API_URL": self.finch.url,
            # The default. The local world counts connections.
            "MAX_CONNECTIONS": "0",
        }

    def reset(self) -> None:
        """Empties the world, and the recorded traffic of the proxies."""
        self.deployed.tables.clear()
        self.world.finch.reset()
        self.world.finch.change_switches(webhook_on_disconnect=False)
        self.world.aws.client("sqs").purge_queue(QueueUrl=self.world.output("WorkQueueUrl"))
        self.aws.reset()
        self.finch.reset()

    def _person(self) -> Person:
        return Person(self.deployed, CUSTOMER)

    def _connected(self) -> None:
        landing = self._person().connect()
        assert landing.outcome["status"] == "connected", landing.outcome
        self.aws.reset()
        self.finch.reset()

    # Each method prepares the state before a call, and returns the event of the call.

    def list_event(self, connections: int = 10) -> Event:
        """A customer with some connections."""
        self.reset()
        self.write(connections)
        event = _event("list_connections")
        event["queryStringParameters"] = {"limit": "50"}
        return event

    def write(self, connections: int, customer_id: str = CUSTOMER) -> None:
        """Writes connections to the table."""
        client = self.world.aws.client("dynamodb")
        table = ConnectionTable(client, self.deployed.tables.connections)
        for number in range(connections):
            table.write(a_connection(customer_id, number))

    def start_event(self) -> Event:
        """A user clicks "Connect"."""
        self.reset()
        event = _event("start_connect")
        body = {"products": ["company"], "return_to": self.deployed.return_urls[0]}
        return event | {"body": json.dumps(body)}

    def hop_event(self) -> Event:
        """A user clicks a link to connect."""
        self.reset()
        return self.link_event()

    def link_event(self) -> Event:
        """The event of a click on a new link to connect."""
        path = urlsplit(self._person().link()).path
        event = _event("start_connect")
        event["requestContext"].pop("authorizer")
        event["pathParameters"] = {"handle": path.rpartition("/")[2]}
        return event | {"routeKey": "GET /connect/{handle}", "rawPath": path}

    def finish_event(self) -> Event:
        """A user returns from Finch with a code."""
        self.reset()
        event = self.callback_event(self._person())
        self.aws.reset()
        self.finch.reset()
        return event

    def callback_event(self, person: Person, **choices: Any) -> Event:
        """The event of a user's callback with a code."""
        url = urlsplit(person.log_in(person.click(person.link()), **choices))
        event = _event("finish_connect")
        return event | {
            "routeKey": "GET /callback",
            "rawPath": url.path,
            "rawQueryString": url.query,
            "queryStringParameters": dict(parse_qsl(url.query)),
            "cookies": [f"{name}={value}" for name, value in person.browser.cookies.items()],
        }

    def disconnect_event(self) -> Event:
        """A customer with one connection."""
        self.reset()
        self._connected()
        event = _event("disconnect")
        path = connection_path(**_ROW)
        event["requestContext"]["http"]["path"] = path
        return event | {"pathParameters": _ROW, "rawPath": path}

    def receive_webhook_event(self) -> Event:
        """Finch sends a webhook about a connection."""
        self.reset()
        body = json.dumps({"connection_id": HARBOR_LANE.id, "event_type": "account.updated"})
        seconds, event_id = str(int(time.time())), "msg_2Lh9KRb0pzN4LePd3XiA4v12Axj"
        secret = base64.b64decode(self.world.finch.application.webhook_secrets[0])
        signed = hmac.digest(secret, f"{event_id}.{seconds}.{body}".encode(), "sha256")
        event = _event("receive_webhook")
        event["headers"] |= {
            "finch-event-id": event_id,
            "finch-timestamp": seconds,
            "finch-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        return event | {"body": body}

    def process_work_event(self) -> Event:
        """A work item to check the health of a connection."""
        self.reset()
        self._connected()
        event = _event("process_work")
        work_item = WorkItem(ConnectionSubject(CUSTOMER, _KEY), datetime.now(UTC))
        event["Records"][0]["body"] = work_queue.write(work_item)
        return event

    def schedule_checks_event(self) -> Event:
        """No work is due."""
        self.reset()
        return _event("schedule_checks")

    def publish_event(self) -> Event:
        """The stream records of the example event."""
        self.reset()
        return _event("publish_events")

    def resolve_event(self) -> Event:
        """No work is unfinished."""
        self.reset()
        return {"action": "list"}

    def vend_event(self) -> Event:
        """A customer with one connection."""
        self.reset()
        self._connected()
        return _event("vend_token") | _ROW | {"customer_id": CUSTOMER}

    def read_event(self) -> Event:
        """A customer with one connection."""
        self.reset()
        self._connected()
        return {"customer_id": CUSTOMER} | _ROW


def a_connection(customer_id: str, number: int) -> Connection:
    """A typical connection with one login."""
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    token = Token(
        id=f"7d3f0c1e-0000-4000-8000-{number:012d}",
        connection_id=f"8d3f0c1e-0000-4000-8000-{number:012d}",
        products=frozenset(["company", "directory", "individual", "employment"]),
        status=ConnectionStatus.CONNECTED,
        connected_at=now,
        entity_ids=frozenset([f"9d3f0c1e-0000-4000-8000-{number:012d}"]),
        account_id=f"6d3f0c1e-0000-4000-8000-{number:012d}",
        finch_customer_id=customer_id,
        entities={f"9d3f0c1e-0000-4000-8000-{number:012d}": "connected"},
        methods={"credential": "connected"},
    )
    key = CompanyKey("gusto", f"5d3f0c1e-0000-4000-8000-{number:012d}")
    # The typical length of a KMS ciphertext.
    return connection.attach(None, customer_id, key, token, bytes(240), now)


def _event(name: str) -> Event:
    event: Event = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return event


@contextlib.contextmanager
def bench_world(folder: Path) -> Iterator[BenchWorld]:
    """Runs the benchmark's environment inside the context."""
    with contextlib.ExitStack() as running:
        world = running.enter_context(World(folder / "world", Ports.free(), BUILT))
        trusted = authority(folder)
        aws = running.enter_context(serving(TlsProxy(world.ports.aws, trusted.context, aws_call)))
        finch = running.enter_context(
            serving(TlsProxy(world.ports.finch, trusted.context, finch_call))
        )
        _install(folder, trusted.root)
        tables = Tables(
            world.aws.client("dynamodb"),
            connections=world.output("ConnectionsTableName"),
            sessions=world.output("ConnectSessionsTableName"),
            ownerships=world.output("OwnershipTableName"),
            audit=world.output("AuditTableName"),
            grants=world.output("GrantsTableName"),
        )
        deployed = Deployed(
            api=HttpApi(world.api_url),
            finch=world.finch,
            tables=tables,
            kms=world.aws.client("kms"),
            secrets=world.aws.client("secretsmanager"),
            secret_arn=world.output("FinchSecretArn"),
            return_urls=(world.page_url,),
            token=world.issuer.token,
        )
        yield BenchWorld(world, deployed, aws, finch, folder)


def _install(folder: Path, root: bytes) -> None:
    """Copies the built layers and the runtime as Lambda does, and adds this environment's root."""
    full = Path(certifi.where()).read_bytes()
    (folder / "full.pem").write_bytes(full + root)
    shutil.copytree(REFERENCES, folder / "references")
    runtime = folder / "runtime"
    runtime.mkdir()
    for pattern in _RUNTIME_BRINGS:
        [package] = SITE_PACKAGES.glob(pattern)
        if package.is_dir():
            shutil.copytree(package, runtime / package.name)
        else:
            shutil.copy2(package, runtime)
    # New folders, whose files are compiled in advance, as in Lambda.
    for compiled in (runtime, folder / "references"):
        compileall.compile_dir(compiled, quiet=1)
    venv.create(folder / "python")
    for name, layers in {
        "opt": ("SharedLayer", "AwsLayer"),
        "opt-shared": ("SharedLayer",),
    }.items():
        packages = folder / name / "python"
        for layer in layers:
            shutil.copytree(BUILT / layer / "python", packages, dirs_exist_ok=True)
        ours = packages / "finch_connections"
        for bundle in (ours / "amazon.pem", packages / "certifi" / "cacert.pem"):
            with bundle.open("ab") as store:
                store.write(root)
        der = ssl.PEM_cert_to_DER_cert(root.decode())
        (ours / "roots" / f"{trust_stores.subject_hash(der)}.0").write_bytes(root)
