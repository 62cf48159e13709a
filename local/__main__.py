"""Runs the local world until it is stopped: `python -m local`, after `sam build`."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

import httpx

from local import seeds
from local.world import BUILD_DIR, STATE_DIR, Ports, World, WorldError


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    usual = Ports()
    parser.add_argument("--page-port", type=int, default=usual.page, help="page and sign-in")
    parser.add_argument("--api-port", type=int, default=usual.api, help="the API")
    parser.add_argument("--finch-port", type=int, default=usual.finch, help="fake Finch")
    parser.add_argument("--aws-port", type=int, default=usual.aws, help="emulated AWS")
    parser.add_argument(
        "--state-dir", type=Path, default=STATE_DIR, help="folder for state and logs"
    )
    parser.add_argument(
        "--build-dir", type=Path, default=BUILD_DIR, help="folder that `sam build` wrote"
    )
    parser.add_argument(
        "--bridge", help="address of this machine that containers reach, for sam local"
    )
    return parser.parse_args()


class Stopped(BaseException):
    """The process received Ctrl-C or SIGTERM."""


def stop(number: int, frame: FrameType | None) -> None:
    # A second Ctrl-C must not interrupt the saving that the first started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def say(text: str) -> None:
    print(text, end="", flush=True)


def run() -> int:
    stated = arguments()
    ports = Ports(stated.page_port, stated.api_port, stated.finch_port, stated.aws_port)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        with World(stated.state_dir, ports, stated.build_dir, say, stated.bridge) as world:
            try:
                with world.step("Making the first connections ready"):
                    seeds.plant(world)
            except (httpx.HTTPError, SystemExit) as error:
                say(f"Not all of them were made: {error}\n")
            say(f"Function logs: {world.function_log_dir}\n")
            say(f"\nOpen {world.page_url}   (Ctrl-C stops)\n")
            signal.pause()
    except WorldError as error:
        print(error, file=sys.stderr)
        return 1
    except Stopped:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(run())
