"""The local world: the product, deployed to emulated AWS, with all that it calls, on one machine."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from socketserver import BaseServer
from typing import Any, Self

import boto3
import httpx
from botocore.exceptions import ClientError
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from local import fake_finch
from local.aws_emulator.api_front import ApiFront
from local.demo_app import server as demo_app
from local.demo_app.event_feed import AlarmFeed, EventFeed
from local.fake_finch import webhooks
from local.fake_finch.state import FinchState
from local.fake_finch.webhook_sender import WebhookSender
from local.identity_provider import Issuer, key_kept_at
from local.sam_local import relay, template

ROOT = Path(__file__).resolve().parent.parent
BUILD_DIR = ROOT / ".aws-sam" / "local"
STATE_DIR = ROOT / ".local"
EMULATOR_PYTHON = ROOT / ".venv-ministack" / "bin" / "python"

STACK_NAME = "finch-connections"
REGION = "eu-west-1"
AUDIENCE = "finch-connections"

# The emulator's root user. The credentials of this machine's owner are never read or passed on.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
# The credentials of the application at the fake Finch. They are valid nowhere else.
FINCH_CLIENT_ID = "5f0c1c1e-6e0b-4f6f-9d52-5a0f2c5b7a11"
FINCH_CLIENT_SECRET = "opens-only-the-fake-finch"  # noqa: S105
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL")

# The sam command. It ends when its standard input closes, so it never outlives this process.
SAM = """
import os, runpy, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
runpy.run_module("samcli", run_name="__main__", alter_sys=True)
"""

NOT_UPDATABLE = {
    "CREATE_FAILED",
    "CREATE_IN_PROGRESS",
    "DELETE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "ROLLBACK_IN_PROGRESS",
}


class WorldError(Exception):
    """The world cannot start. The message says why, and how to fix it."""


@dataclass(frozen=True)
class Ports:
    """The ports on loopback where the parts listen."""

    page: int = 8080
    api: int = 8081
    finch: int = 8082
    aws: int = 4566

    @classmethod
    def free(cls) -> Self:
        """Free ports, for a second world on this machine."""
        with contextlib.ExitStack() as open_sockets:
            numbers = []
            for _ in fields(cls):
                probe = open_sockets.enter_context(socket.socket())
                probe.bind(("127.0.0.1", 0))
                numbers.append(probe.getsockname()[1])
        return cls(*numbers)

    def check(self) -> None:
        """Raises WorldError for the first port in use, with the option that changes it."""
        for name, port in asdict(self).items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise WorldError(
                        f"Port {port} is in use ({error.strerror}). "
                        f"Stop the program that listens there, or choose another port with "
                        f"`make local ARGS=--{name}-port=N`."
                    ) from error


@dataclass(frozen=True)
class EmulatedAws:
    """Creates boto3 clients and resources of the emulated AWS, by default as its root user."""

    endpoint_url: str
    access_key_id: str = CREDENTIALS["AWS_ACCESS_KEY_ID"]
    secret_access_key: str = field(default=CREDENTIALS["AWS_SECRET_ACCESS_KEY"], repr=False)
    session_token: str | None = field(default=None, repr=False)

    @cached_property
    def session(self) -> Any:
        return boto3.Session(
            self.access_key_id, self.secret_access_key, self.session_token, region_name=REGION
        )

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: str) -> Any:
        """A client. It is made once, which takes much longer than a call."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service, endpoint_url=self.endpoint_url)
        return self._clients[service]

    def resource(self, service: str, **options: Any) -> Any:
        return self.session.resource(service, endpoint_url=self.endpoint_url, **options)


class QuietHandler(WSGIRequestHandler):
    """Writes no access log, because query strings contain codes and states."""

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class World:
    """Emulated AWS with the built template deployed, fake Finch, sign-in, page and API.

    It is a context manager. Its start returns when the API answers. Its end stops everything. With `keep`
    it keeps the state in `state_dir` for the next world. `bridge` is an address of this machine through
    which containers of `sam local` reach the world. Raises WorldError if a part does not start; then nothing
    stays running.
    """

    def __init__(
        self,
        state_dir: Path = STATE_DIR,
        ports: Ports | None = None,
        build_dir: Path = BUILD_DIR,
        say: Callable[[str], None] = lambda text: None,
        bridge: str | None = None,
        keep: bool = True,
    ) -> None:
        self.state_dir = state_dir.absolute()
        self.ports = ports or Ports()
        self.build_dir = build_dir.absolute()
        self.say = say
        self.bridge = bridge
        self.keep = keep
        self.log_dir = self.state_dir / "log"
        self.function_log_dir = self.log_dir / "functions"
        self.page_url = f"http://localhost:{self.ports.page}/"
        # Not the site of the API, so a browser does not send the binding cookie from this page.
        self.other_site_page_url = f"http://127.0.0.1:{self.ports.page}/"
        self.api_url = f"http://localhost:{self.ports.api}"
        self.finch_url = f"http://127.0.0.1:{self.ports.finch}"
        self.aws = EmulatedAws(f"http://127.0.0.1:{self.ports.aws}")
        self.issuer: Issuer
        self.finch: FinchState
        self._feed: EventFeed
        self._outputs: dict[str, str] = {}
        self._changed: dict[str, str] = {}
        self._running = contextlib.ExitStack()

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the template."""
        pages = (self.page_url, self.other_site_page_url)
        return {
            "JwtIssuer": self.page_url.rstrip("/"),
            "JwtAudience": AUDIENCE,
            "FrontendOrigins": ",".join(page.rstrip("/") for page in pages),
            "ReturnUrls": ",".join(pages),
            "ConnectModes": "redirect,embedded",
            # A limit that no customer of the local world reaches, so that connections are counted.
            "MaxConnections": "1000",
            "ApiUrl": self.api_url,
            "FinchApiUrl": self.finch_url,
            "Production": "false",
            "WithExample": "true",
            "Backend1": "payroll",
            "Architecture": template.architecture(),
            **self._changed,
        }

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._running.close()

    def output(self, name: str) -> str:
        """An output of the deployed stack."""
        return self._outputs[name]

    def physical_id(self, logical_id: str) -> str:
        """The physical id of a resource of the stack."""
        found = self.aws.client("cloudformation").describe_stack_resource(
            StackName=STACK_NAME, LogicalResourceId=logical_id
        )
        name: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return name

    def alias(self, function: str, name: str = "live") -> str:
        """The ARN of an alias of a function, by default of the alias for every caller."""
        return self.physical_id(f"{function}Aliaslive").removesuffix("live") + name

    def as_role(self, logical_id: str) -> EmulatedAws:
        """The emulated AWS with the permissions of a role of the stack."""
        role = self.aws.client("iam").get_role(RoleName=self.physical_id(logical_id))["Role"]
        assumed = self.aws.client("sts").assume_role(
            RoleArn=role["Arn"], RoleSessionName=logical_id
        )["Credentials"]
        return EmulatedAws(
            self.aws.endpoint_url,
            assumed["AccessKeyId"],
            assumed["SecretAccessKey"],
            assumed["SessionToken"],
        )

    def function_log(self, logical_id: str) -> list[str]:
        """The log lines of a function so far, from all its environments, oldest first."""
        log = self.function_log_dir / f"{logical_id}.log"
        return log.read_text().splitlines() if log.exists() else []

    def connection_events(self) -> list[dict[str, Any]]:
        """The events that a subscriber of the bus has received so far, oldest first."""
        return list(self._feed.heard)

    def redeploy(self, **parameters: str) -> None:
        """Deploys the same template again with other values for some parameters."""
        stated = [
            {"ParameterKey": name, "ParameterValue": parameters[name]}
            if name in parameters
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in (
                deployed["ParameterKey"] for deployed in (self._stack() or {})["Parameters"]
            )
        ]
        client = self.aws.client("cloudformation")
        client.update_stack(
            StackName=STACK_NAME,
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=stated,
        )
        waiting = {"Delay": 1, "MaxAttempts": 120}
        client.get_waiter("stack_update_complete").wait(StackName=STACK_NAME, WaiterConfig=waiting)
        self._changed |= parameters
        self._outputs = self._stack_outputs()

    def kill_execution_environments(self) -> int:
        """Kills every Lambda process, also in the middle of a call; returns their number."""
        answer = httpx.delete(f"{self.aws.endpoint_url}/_local/execution-environments", timeout=30)
        killed: int = answer.raise_for_status().json()["killed"]
        return killed

    def _start(self) -> None:
        self.ports.check()
        if not (self.build_dir / "template.yaml").exists():
            raise WorldError(f"{self.build_dir / 'template.yaml'} is missing. Run `make local`.")
        if not EMULATOR_PYTHON.exists():
            raise WorldError(f"{EMULATOR_PYTHON} is missing. Run `make local`.")
        for folder in (self.state_dir, self.log_dir, self.function_log_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock_state_dir()
        with self.step("Starting the emulated AWS, the fake Finch, the sign-in and the page"):
            aws = self._start_aws()
            # These need no AWS, so they start in the meantime.
            self._start_finch()
            self._start_demo_app()
            fingerprint = self._fingerprint()
            self._wait_for_aws(aws)
        if self._is_deployed(fingerprint):
            self.say("The stack is up to date.\n")
        else:
            with self.step("Deploying the stack with sam deploy"):
                self._deploy(fingerprint)
        self._outputs = self._stack_outputs()
        with self.step("Opening the API"):
            self._store_finch_secret()
            front = ApiFront(
                self.ports.api, self.ports.aws, f"{self.output('ApiId')}.execute-api.localhost"
            )
            self._serve(front)
            sender = WebhookSender(self.finch)
            sender.start()
            self._running.callback(sender.stop)
        self._subscribe()
        if self.bridge:
            with self.step(f"Opening the world to containers at {self.bridge}"):
                self._open_to_containers(self.bridge)

    @contextlib.contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Says what the `with` block does, and how long it took."""
        self.say(f"{doing} ... ")
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.say("\n")
            raise
        self.say(f"{time.monotonic() - began:.1f} s\n")

    def _lock_state_dir(self) -> None:
        lock = self._running.enter_context((self.state_dir / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WorldError(
                f"Another world uses {self.state_dir}. Stop it, or choose another folder with --state-dir."
            ) from error

    def _serve(self, server: BaseServer) -> None:
        # The server checks every 0.05 seconds whether to stop.
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self._running.callback(server.server_close)
        self._running.callback(thread.join)
        self._running.callback(server.shutdown)

    # Emulated AWS

    def _start_aws(self) -> subprocess.Popen[bytes]:
        scratch = self.state_dir / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
            **CREDENTIALS,
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "FUNCTION_LOG_DIR": str(self.function_log_dir),
            "GATEWAY_PORT": str(self.ports.aws),
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1",
            "PYTHONPATH": str(ROOT),
            "S3_DATA_DIR": str(self.state_dir / "aws" / "s3"),
            "S3_PERSIST": "1",
            "SFTP_ENABLED": "0",
            "STATE_DIR": str(self.state_dir / "aws" / "state"),
            "TMPDIR": str(scratch),
        }
        log = self._running.enter_context((self.log_dir / "aws.log").open("w"))
        # With -P, Python does not import from the working directory. In its own session, the process
        # gets no Ctrl-C from the terminal: this process gets it, and stops the others in order.
        process = subprocess.Popen(
            [EMULATOR_PYTHON, "-P", "-m", "local.aws_emulator"],
            cwd=self.state_dir,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._running.callback(shutil.rmtree, scratch, ignore_errors=True)
        self._running.callback(self._stop_aws, process)
        return process

    def _wait_for_aws(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while not self._aws_answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise WorldError(f"The emulated AWS did not start.\n{self._tail('aws.log')}")
            time.sleep(0.1)

    def _aws_answers(self) -> bool:
        try:
            return httpx.get(f"{self.aws.endpoint_url}/_ministack/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _stop_aws(self, process: subprocess.Popen[bytes]) -> None:
        with self.step("Stopping the emulated AWS"), process:
            if self.keep:
                process.terminate()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    self.say("it does not stop, so it is killed ")
            # Kills the rest of its process group: the emulator, or Lambda processes in a call.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    # The fake Finch

    def _start_finch(self) -> None:
        self.finch = FinchState.load(
            self.state_dir / "finch.json",
            FINCH_CLIENT_ID,
            FINCH_CLIENT_SECRET,
            [f"{self.api_url}/callback"],
            base_url=self.finch_url,
            webhook_url=f"{self.api_url}/webhooks/finch",
            webhook_secrets=[webhooks.secret_kept_at(self.state_dir / "webhook-secret")],
        )
        self._serve_application(fake_finch.create_app(self.finch), self.ports.finch)

    def _start_demo_app(self) -> None:
        self.issuer = Issuer(
            url=self.parameters["JwtIssuer"],
            audience=AUDIENCE,
            key=key_kept_at(self.state_dir / "issuer.pem"),
        )
        application = demo_app.create_app(self.issuer, self.api_url, self.finch_url)
        self._serve_application(application, self.ports.page)

    def _serve_application(self, application: Flask, port: int) -> None:
        self._serve(
            make_server("127.0.0.1", port, application, threaded=True, request_handler=QuietHandler)
        )

    # The product

    def _fingerprint(self) -> str:
        """A hash of all that is deployed: the built template, the code and the parameters."""
        digest = hashlib.sha256(json.dumps(self.parameters, sort_keys=True).encode())
        for path in sorted(self.build_dir.rglob("*")):
            if path.is_file():
                digest.update(str(path.relative_to(self.build_dir)).encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def _stack(self) -> dict[str, Any] | None:
        try:
            found = self.aws.client("cloudformation").describe_stacks(StackName=STACK_NAME)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                return None
            raise
        stack: dict[str, Any] = found["Stacks"][0]
        return stack

    def _stack_outputs(self) -> dict[str, str]:
        stack = self._stack() or {}
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def _is_deployed(self, fingerprint: str) -> bool:
        stack = self._stack()
        note = self.state_dir / "deployed"
        return (
            stack is not None
            and stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
            and note.exists()
            and note.read_text() == fingerprint
        )

    def _delete_failed_stack(self) -> None:
        """Deletes a stack whose creation failed. Such a stack has no data and cannot be updated."""
        stack = self._stack()
        if stack is None:
            return
        if stack["StackStatus"] in NOT_UPDATABLE:
            self.aws.client("cloudformation").delete_stack(StackName=STACK_NAME)
            deadline = time.monotonic() + 30
            while self._stack() is not None and time.monotonic() < deadline:
                time.sleep(0.2)
        elif stack["StackStatus"].endswith("_IN_PROGRESS"):
            raise WorldError(
                f"An earlier start was killed during its deployment (the stack is "
                f"{stack['StackStatus']}). Remove {self.state_dir} and start again."
            )

    def _deploy(self, fingerprint: str) -> None:
        self._delete_failed_stack()
        bucket = f"{STACK_NAME}-artifacts"
        s3 = self.aws.client("s3")
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        command = [sys.executable, "-c", SAM, "deploy"]
        command += ["--template-file", str(self.build_dir / "template.yaml")]
        command += ["--stack-name", STACK_NAME, "--s3-bucket", bucket, "--region", REGION]
        command += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
        command += ["--no-fail-on-empty-changeset", "--no-progressbar", "--parameter-overrides"]
        command += [f'{name}="{value}"' for name, value in self.parameters.items()]
        # A working directory without samconfig.toml, which is for real deployments.
        with (
            (self.log_dir / "deploy.log").open("w") as log,
            subprocess.Popen(
                command,
                cwd=self.state_dir,
                env=self.sam_environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                process.wait()
            except BaseException:
                self._abandon_deploy(process)
                raise
        if process.returncode != 0:
            raise WorldError(f"sam deploy failed.\n{self._tail('deploy.log')}")
        (self.state_dir / "deployed").write_text(fingerprint)

    def _abandon_deploy(self, process: subprocess.Popen[bytes]) -> None:
        """Kills the command, and waits until a change has ended, because a half-made stack stays stuck."""
        process.kill()
        process.wait()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            stack = self._stack()
            status = stack["StackStatus"] if stack else ""
            if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
                return
            time.sleep(0.2)

    def sam_environment(self) -> dict[str, str]:
        """The environment of a `sam` command that reaches this world and nothing else."""
        settings = self.state_dir / "sam"
        settings.mkdir(exist_ok=True)
        # SAM looks for a newer version once a week. This file says that it has just done so.
        (settings / "metadata.json").write_text(
            json.dumps({"telemetryEnabled": False, "lastVersionCheck": time.time()})
        )
        return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.aws.endpoint_url,
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",
            "__SAM_CLI_APP_DIR": str(settings),
        }

    def _store_finch_secret(self) -> None:
        """Fills in the Finch secret, as an operator does once after a real deployment."""
        credentials = {
            "client_id": self.finch.application.client_id,
            "client_secret": self.finch.application.client_secret,
            "webhook_secrets": list(self.finch.application.webhook_secrets),
        }
        secrets = self.aws.client("secretsmanager")
        secret_arn = self.output("FinchSecretArn")
        stored = json.loads(secrets.get_secret_value(SecretId=secret_arn)["SecretString"])
        if stored != credentials:
            secrets.put_secret_value(SecretId=secret_arn, SecretString=json.dumps(credentials))

    def _subscribe(self) -> None:
        """Subscribes to connection events, as an application does, and to alarms."""
        bus, topic = self.output("EventBusName"), self.output("AlarmTopicArn")
        sqs = self.aws.client("sqs")
        self._feed = EventFeed(sqs, self.aws.client("events"), bus, self.say)
        alarms = AlarmFeed(sqs, self.aws.client("sns"), topic, self.say)
        for listener in (self._feed.listener, alarms.listener):
            listener.start()
            self._running.callback(listener.stop)

    # sam local

    def _open_to_containers(self, bridge: str) -> None:
        """Listens on the address that containers reach, and writes the files for `sam local`.

        Containers do not reach loopback, not even with `sam local --docker-network host` (1.170).
        """
        for port in (self.ports.aws, self.ports.finch):
            try:
                self._serve(relay.Relay(bridge, port))
            except OSError as error:
                raise WorldError(
                    f"Cannot listen on {bridge}:{port} ({error.strerror}). Is it the address of "
                    f"your container engine's bridge, and does the engine run?"
                ) from error
        reached = {
            "AWS_ENDPOINT_URL": f"http://{bridge}:{self.ports.aws}",
            "FINCH_API_URL": f"http://{bridge}:{self.ports.finch}",
        }
        # As the emulator's root user: the session of a role would expire.
        emulated = {**CREDENTIALS, "AWS_REGION": REGION, "AWS_SESSION_TOKEN": "", **reached}
        stack = self.aws.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)
        environments = {
            resource["LogicalResourceId"]: self._environment(resource["PhysicalResourceId"])
            | emulated
            for resource in stack["StackResources"]
            if resource["ResourceType"] == "AWS::Lambda::Function"
        }
        folder = self.state_dir / "sam-local"
        self._running.callback(shutil.rmtree, folder, ignore_errors=True)
        built = self.build_dir / "template.yaml"
        template.write(folder, built, self.parameters, environments)

    def _environment(self, function: str) -> dict[str, str]:
        """The variables of a deployed function."""
        found = self.aws.client("lambda").get_function_configuration(FunctionName=function)
        variables: dict[str, str] = found["Environment"]["Variables"]
        return variables

    def _tail(self, log_name: str) -> str:
        log = self.log_dir / log_name
        lines = log.read_text().splitlines()[-30:]
        return "\n".join([*(f"    {line}" for line in lines), f"The whole log: {log}"])
