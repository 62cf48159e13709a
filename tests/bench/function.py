"""Runs one function as Lambda does: in its own process, with awslambdaric, code before layers."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.runtime_api import Answer, RuntimeApi

# Lambda sells a core for each 1,769 MB ("Configure Lambda function memory" in its guide).
CORE_MB = 1769
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Function:
    """A function: `handler` in the code folder `task`, with `packages` on the import path.

    `python` is an interpreter without packages.
    """

    python: Path
    name: str
    task: Path
    handler: str
    packages: Sequence[Path]
    environment: Mapping[str, str] = field(repr=False)

    def command(self) -> list[str]:
        return [str(self.python), "-m", "awslambdaric", self.handler]

    def variables(self, runtime_api: str) -> dict[str, str]:
        """The environment of its process."""
        return {
            **self.environment,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "LAMBDA_TASK_ROOT": str(self.task),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            # So that two runs execute the same instructions.
            "PYTHONHASHSEED": "0",
            # Lambda's file system is read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (self.task, *self.packages))),
            "TZ": ":UTC",
        }


@dataclass(frozen=True)
class Cold:
    """A cold start with its first call: wall and CPU time in seconds, peak memory in MB."""

    init: float
    first: float
    init_cpu: float
    first_cpu: float
    peak_mb: float
    answer: Any

    @property
    def whole(self) -> float:
        """The seconds from the start of the process to its first response."""
        return self.init + self.first


@dataclass
class Running:
    """A process that has loaded its handler."""

    process: subprocess.Popen[bytes]
    api: RuntimeApi
    init: float

    def invoke(self, event: Any) -> Answer:
        """Makes one call; returns when the process waits for the next."""
        answer = self.api.invoke(event)
        self.api.wait_until_ready()
        return answer

    def cpu(self) -> float:
        """The CPU time of the process so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@contextlib.contextmanager
def running(function: Function, log: Path, *, memory_mb: int | None = None) -> Iterator[Running]:
    """Starts the function, and kills it afterwards; `memory_mb` limits its CPU share after init."""
    api = RuntimeApi()
    with contextlib.ExitStack() as stack:
        stack.callback(api.server_close)
        stack.callback(api.shutdown)
        written = stack.enter_context(log.open("ab"))
        began = time.monotonic()
        process = subprocess.Popen(
            function.command(),
            cwd=function.task,
            env=function.variables(api.address),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        ready = api.wait_until_ready()
        if memory_mb:
            stack.enter_context(_share_of_a_core(process.pid, memory_mb))
        yield Running(process, api, ready - began)


def cold(function: Function, event: Any, log: Path, *, memory_mb: int | None = None) -> Cold:
    """Measures one cold start with its first call."""
    with running(function, log, memory_mb=memory_mb) as process:
        init_cpu = process.cpu()
        answer = process.invoke(event)
        cpu = process.cpu()
        status = Path(f"/proc/{process.process.pid}/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        return Cold(process.init, answer.took, init_cpu, cpu - init_cpu, peak, answer.body)


def instructions(function: Function, event: Any | None, log: Path) -> int:
    """The number of instructions of a cold start, with its first call if there is an `event`.

    valgrind counts until the process asks for the next event; the end of the process is excluded.
    """
    calls = 0 if event is None else 1
    asked = 0

    def end_at_next_event() -> None:
        nonlocal asked
        asked += 1
        if asked > calls:
            process.send_signal(signal.SIGTERM)

    api = RuntimeApi(end_at_next_event)
    try:
        with tempfile.TemporaryDirectory() as folder, log.open("ab") as written:
            counts = Path(folder, "counts")
            valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no"]
            process = subprocess.Popen(
                [*valgrind, f"--cachegrind-out-file={counts}", *function.command()],
                cwd=function.task,
                env=function.variables(api.address),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
            )
            try:
                api.wait_until_ready()
                if event is not None:
                    api.invoke(event)
                process.wait(60)
                return _total(counts.read_text())
            finally:
                process.kill()
                process.wait()
    finally:
        api.shutdown()
        api.server_close()


def _total(counts: str) -> int:
    """The sum at the end of cachegrind's file."""
    return int(counts.rpartition("summary: ")[2].split()[0])


@contextlib.contextmanager
def _share_of_a_core(pid: int, memory_mb: int) -> Iterator[None]:
    """Limits a process to the CPU share that Lambda gives for this memory, with a cgroup quota."""
    group = Path("/sys/fs/cgroup/cpu", f"bench-{pid}")
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text("20000")
        (group / "cpu.cfs_quota_us").write_text(str(20000 * memory_mb // CORE_MB))
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        with contextlib.suppress(OSError):
            Path("/sys/fs/cgroup/cpu/cgroup.procs").write_text(str(pid))
        with contextlib.suppress(OSError):
            group.rmdir()


def can_share_a_core() -> bool:
    """Whether this machine allows cgroup quotas."""
    group = Path("/sys/fs/cgroup/cpu/bench-probe")
    try:
        group.mkdir()
        group.rmdir()
    except OSError:
        return False
    return True
