"""Lambda: concurrency, layers, logs and the execution environment of functions."""

import asyncio
import io
import json
import os
import re
import tempfile
import threading
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import ministack.app as gateway
from ministack.core import lambda_runtime
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

from local.aws_emulator import Json
from local.aws_emulator.cloudwatch import record_embedded_metrics
from local.aws_emulator.execution_environment import END_OF_LOG
from local.aws_emulator.sqs import sent_trace

LOG_DIR = Path(os.environ["FUNCTION_LOG_DIR"])
# How many environments a function may have at a time. Lambda starts as many as it has concurrent
# calls ("Understanding Lambda function scaling" in Lambda's guide). Here they share the cores of
# this machine, so a further call waits until an environment is free.
MOST_ENVIRONMENTS = 8

original_execute_warm = lambda_svc._execute_function_warm
original_resolve_layer = lambda_svc._resolve_layer_zip
original_delete_version = provisioners._lambda_version_delete
original_app = gateway.app

free_environments: dict[str, threading.BoundedSemaphore] = {}
free_environments_guard = threading.Lock()
unpacking = threading.Lock()


def execute_when_free(function: Json, event: Any, *arguments: Any, **named: Any) -> Json:
    """Runs a function in its own environment, when fewer than the limit are busy. MiniStack has no limit."""
    name = (function.get("config") or function).get("FunctionName", "")
    with free_environments_guard:
        free = free_environments.setdefault(name, threading.BoundedSemaphore(MOST_ENVIRONMENTS))
    with free:
        result: Json = original_execute_warm(function, event, *arguments, **named)
        return result


def unpacked_layer(attachment: Any) -> bytes | None:
    """A zip with a note of the folder of the unpacked layer; `execution_environment` reads the note.

    MiniStack unpacks the thousand files of a layer again for each new environment. Here all
    environments share the files. The import path is the same as in Lambda ("Working with layers for
    Python Lambda functions" in Lambda's guide).
    """
    content: bytes | None = original_resolve_layer(attachment)
    if content is None:
        return None
    place = Path(tempfile.gettempdir()) / f"layer-{sha256(content).hexdigest()}"
    with unpacking:
        if not place.exists():
            half = place.with_suffix(".half")
            with zipfile.ZipFile(io.BytesIO(content)) as layer:
                layer.extractall(half)
            half.rename(place)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as note:
        note.writestr("lies-at", str(place))
    return packed.getvalue()


def log_file(function_name: str) -> Path:
    """The log file of a function, which has the function's logical id as its name."""
    # A physical name is the stack's name, the logical id and a random suffix.
    match = re.fullmatch(r".+-([A-Za-z]+)-[A-Za-z0-9]+", function_name)
    return LOG_DIR / f"{match[1] if match else function_name}.log"


def read_log(worker: Any) -> None:
    """Copies each log line to the function's file at once, and its metrics to CloudWatch.

    MiniStack shows the lines of a call in CloudWatch Logs only after the call has ended. A person
    who develops a function wants to see them while it runs.
    """
    process, lines = worker._proc, worker._stderr_queue
    with log_file(worker.func_name).open("a", buffering=1) as log:
        for line in process.stderr:
            text, end, _ = line.rstrip("\n").partition(END_OF_LOG)
            if text:
                log.write(f"{text}\n")
                lines.put(text)
                record_embedded_metrics(text)
            if end:
                lines.put(end)
    lines.put(END_OF_LOG)


def drain_log(worker: Any) -> str:
    """The log of the call that has ended. MiniStack waits for some milliseconds, and may miss lines."""
    return "\n".join(iter(worker._stderr_queue.get, END_OF_LOG))


def kill_environments() -> int:
    """Kills every Lambda process, also in the middle of a call; returns their number."""
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    processes = [worker._proc for worker in workers if worker._proc is not None]
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()
    return len(processes)


def delete_version(physical_id: str, props: Json) -> None:
    """Deletes a version that no alias points to; MiniStack also deletes the others.

    Lambda refuses it ("DeleteFunction" in the Lambda API Reference).
    """
    function, *_ = provisioners._lambda_function_for_cfn_ref(props["FunctionName"])
    number = physical_id.rpartition(":")[2]
    for alias in (function or {}).get("aliases", {}).values():
        if alias["FunctionVersion"] == number:
            raise ValueError(f"Function version is referenced by the alias {alias['Name']}.")
    original_delete_version(physical_id, props)


async def serve(scope: Json, receive: Callable[[], Any], send: Callable[[Json], Any]) -> None:
    """MiniStack's application, with an address that kills environments; no AWS API can do that.

    Keeps the trace header of a request for the queue.
    """
    sent_trace.set(dict(scope.get("headers", ())).get(b"x-amzn-trace-id", b"").decode())
    if scope["type"] != "http" or scope["path"] != "/_local/execution-environments":
        await original_app(scope, receive, send)
        return
    killed = await asyncio.to_thread(kill_environments)
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": json.dumps({"killed": killed}).encode()})


def patch() -> None:
    lambda_svc._execute_function_warm = execute_when_free
    lambda_svc._resolve_layer_zip = unpacked_layer
    lambda_runtime._PYTHON_WORKER_SCRIPT = (
        Path(__file__).with_name("execution_environment.py").read_text()
    )
    lambda_runtime.Worker._drain_stderr_bounded = drain_log
    lambda_runtime.Worker._read_stderr = read_log
    provisioners._RESOURCE_HANDLERS["AWS::Lambda::Version"]["delete"] = delete_version
    gateway.app = serve
