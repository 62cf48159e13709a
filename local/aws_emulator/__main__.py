"""Starts the emulated AWS on the port that `GATEWAY_PORT` names, until its standard input closes.

It saves its state when it stops. Standard input is a pipe of the process that started it, so the
emulator never outlives that process.
"""

import os
import signal
import sys
import threading
from importlib.metadata import version

import ministack.app as gateway

from local.aws_emulator import (
    apigateway,
    apigateway_definition,
    cloudwatch,
    dynamodb,
    dynamodb_streams,
    iam,
    kms,
    lambda_,
    sqs,
)

PATCHED_VERSION = "1.5.33"
PATCHES = (
    *(apigateway_definition, apigateway, lambda_, iam, kms),
    *(dynamodb, dynamodb_streams, sqs, cloudwatch),
)


def stop_with_parent() -> None:
    """Waits until standard input closes, then stops MiniStack. The parent writes nothing to it."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def start() -> None:
    if version("ministack") != PATCHED_VERSION:
        sys.exit(f"The patches fit MiniStack {PATCHED_VERSION}, not {version('ministack')}.")
    for module in PATCHES:
        module.patch()
    # Functions inherit this environment. They must not import from this repository.
    os.environ.pop("PYTHONPATH", None)
    threading.Thread(target=stop_with_parent, daemon=True).start()
    gateway.main()


if __name__ == "__main__":
    start()
