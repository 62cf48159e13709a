"""A Lambda execution environment: the process that MiniStack starts for a Python function.

MiniStack copies this file next to the unpacked code and sends it lines of JSON: first the handler to
import, then an envelope for each invocation. This script answers each with a line.

MiniStack's own script shows a function all packages and variables of the host. Here a function sees
the same as in Lambda: its code, then its layers, then boto3 and the packages that boto3 needs ("Working
with layers for Python Lambda functions" in Lambda's guide), and the variables of Lambda ("Defined
runtime environment variables").
"""

import importlib
import json
import os
import random
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

RUNTIME_PACKAGES = (
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "s3transfer",
    "six.py",
    "urllib3",
)

# The line in the log after each invocation.
END_OF_LOG = "\x1e"

LAMBDA_VARIABLES = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_TASK_ROOT",
    "LANG",
    "LC_CTYPE",
    "PATH",
    "TMPDIR",
    "_LAMBDA_LAYERS_DIRS",
    "_LAMBDA_TIMEOUT",
}


@dataclass
class Context:
    """The second argument of a handler."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline: float
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.time()) * 1000))


def runtime_packages(worker_dir: Path) -> Path:
    """A folder of links to the packages of the Lambda runtime in MiniStack's own environment.

    The other packages of that environment (pydantic, cryptography) must not be importable. Otherwise
    a function would find a package here that its layer does not have, and fail in Lambda.
    """
    folder = worker_dir / "runtime"
    folder.mkdir(exist_ok=True)
    for name in RUNTIME_PACKAGES:
        for place in map(Path, sys.path):
            if place.name == "site-packages" and (place / name).exists():
                (folder / name).symlink_to(place / name)
                break
    return folder


def arrange_imports(code_dir: str) -> None:
    """Sets the import path of Lambda's runtime: function, layers, runtime, standard library."""
    worker_dir = Path(code_dir).parent
    runtime = runtime_packages(worker_dir)
    layers: list[str] = []
    for note in filter(None, os.environ.pop("_LAMBDA_LAYERS_DIRS", "").split(os.pathsep)):
        layer = Path(note, "lies-at").read_text()
        layers += [f"{layer}/python/lib/python3.13/site-packages", f"{layer}/python"]
    standard_library = [
        place for place in sys.path if place != str(worker_dir) and "site-packages" not in place
    ]
    sys.path[:] = [code_dir, *layers, str(runtime), *standard_library]


def arrange_environment(init: dict[str, Any]) -> None:
    """Sets the environment variables of Lambda and of the template, and removes those of the host."""
    declared = init.get("env") or {}
    for name in set(os.environ) - LAMBDA_VARIABLES - set(declared):
        del os.environ[name]
    os.environ.update(declared)
    os.environ.update(
        {
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{init.get('function_name', '')}",
            "LAMBDA_TASK_ROOT": init["code_dir"],
            "TZ": ":UTC",
            "_HANDLER": f"{init['module']}.{init['handler']}",
        }
    )


class Snapshot:
    """The surroundings of a function whose environment Lambda restores from a snapshot.

    Its credentials come over HTTP and not in variables, and those of the snapshot have expired ("Using
    SnapStart with AWS SDKs" in Lambda's guide). All environments have the random state of the snapshot
    until a runtime hook changes it ("Handling uniqueness with Lambda SnapStart").
    """

    def __init__(self) -> None:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        self._keys = [os.environ.pop(name, "") for name in names]
        self._password = secrets.token_hex()
        self._of_the_snapshot = True
        self._hooks: list[Callable[[], object]] = []
        hooks = ModuleType("snapshot_restore_py")
        hooks.register_after_restore = self._hooks.append  # type: ignore[attr-defined]
        sys.modules["snapshot_restore_py"] = hooks
        os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
        os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = self._password
        os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self._serve_credentials()
        random.seed("the snapshot")

    def restore(self) -> None:
        """Runs the hooks of the function; from now on, it gets credentials that work."""
        self._of_the_snapshot = False
        for hook in self._hooks:
            hook()

    def _credentials(self) -> dict[str, str]:
        lasts = timedelta(minutes=1) if self._of_the_snapshot else timedelta(hours=6)
        keys = ["expired"] * 3 if self._of_the_snapshot else self._keys
        named = zip(("AccessKeyId", "SecretAccessKey", "Token"), keys, strict=True)
        return {**dict(named), "Expiration": (datetime.now(UTC) + lasts).isoformat()}

    def _serve_credentials(self) -> str:
        snapshot = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                trusted = self.headers["Authorization"] == snapshot._password
                self.send_response(200 if trusted else 403)
                self.end_headers()
                self.wfile.write(json.dumps(snapshot._credentials() if trusted else {}).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/credentials"


def context_of(init: dict[str, Any], invocation: dict[str, Any]) -> Context:
    return Context(
        function_name=init.get("function_name", ""),
        function_version=os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        invoked_function_arn=invocation.get("invoked_function_arn") or init.get("arn", ""),
        memory_limit_in_mb=init.get("memory", 128),
        aws_request_id=invocation.get("request_id", ""),
        log_group_name=os.environ["AWS_LAMBDA_LOG_GROUP_NAME"],
        log_stream_name=os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
        deadline=time.time() + invocation.get("timeout_ms", 3000) / 1000,
    )


def failure(error: Exception) -> dict[str, Any]:
    # Lambda writes an uncaught error to the function's log only.
    traceback.print_exc()
    return {"status": "error", "error": str(error) or type(error).__name__}


def serve(requests: TextIO, answers: TextIO) -> None:
    """Imports the handler, then runs one invocation after the other until the pipe closes."""

    def answer(text: str) -> None:
        answers.write(text + "\n")
        answers.flush()

    init = json.loads(requests.readline())
    arrange_environment(init)
    arrange_imports(init["code_dir"])
    snapshot = Snapshot() if init.get("snapstart") else None
    try:
        handler = getattr(importlib.import_module(init["module"]), init["handler"])
        if snapshot:
            snapshot.restore()
    except Exception as error:
        answer(json.dumps(failure(error)))
        return
    answer(json.dumps({"status": "ready"}))
    for line in requests:
        envelope = json.loads(line)
        invocation = envelope.get("ctx") or {}
        if trace := invocation.get("trace_id"):
            os.environ["_X_AMZN_TRACE_ID"] = trace
        try:
            result = handler(envelope["event"], context_of(init, invocation))
            ended = json.dumps({"status": "ok", "result": result})
        except Exception as error:
            ended = json.dumps(failure(error))
        print(END_OF_LOG, file=sys.stderr, flush=True)
        try:
            answer(ended)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    pipe = sys.stdout
    # The pipe is for MiniStack only. Text that a handler prints goes to its log.
    sys.stdout = sys.stderr
    serve(sys.stdin, pipe)
