"""Runs the fake Finch without the rest of the local world, until Ctrl-C or SIGTERM."""

import argparse
import signal
import sys
from pathlib import Path

from local.fake_finch.serving import serve
from local.fake_finch.state import FinchState
from local.fake_finch.webhook_sender import WebhookSender


def main() -> int:
    """Returns exit code 0 after a clean stop, 1 if the port is in use."""
    parser = argparse.ArgumentParser(prog="python -m local.fake_finch", description=__doc__)
    parser.add_argument("--port", type=int, default=8082)
    parser.add_argument("--state", type=Path, help="file that keeps the data after a restart")
    parser.add_argument("--base-url", help="the URL for browsers; default: the loopback address")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--client-secret", required=True)
    parser.add_argument(
        "--redirect-uri", action="append", default=[], help="a registered URI; may be repeated"
    )
    parser.add_argument("--webhook-url", help="receives webhooks; default: no webhooks")
    parser.add_argument(
        "--webhook-secret", action="append", default=[], help="signs webhooks; may be repeated"
    )
    given = parser.parse_args()
    application = (given.client_id, given.client_secret, given.redirect_uri)
    base_url = given.base_url or f"http://127.0.0.1:{given.port}"
    more = {
        "base_url": base_url,
        "webhook_url": given.webhook_url,
        "webhook_secrets": given.webhook_secret,
    }
    finch = (
        FinchState.load(given.state, *application, **more)
        if given.state
        else FinchState(*application, **more)
    )
    try:
        server = serve(finch, given.port)
    except OSError as taken:
        print(f"Port {given.port} cannot be used: {taken.strerror}", file=sys.stderr)
        return 1
    # serve_forever ends at KeyboardInterrupt and closes its socket. A shell makes background processes
    # ignore Ctrl-C, so the handlers are set here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    print(f"Fake Finch at {finch.base_url}", flush=True)
    sender = WebhookSender(finch)
    sender.start()
    try:
        server.serve_forever()
    finally:
        sender.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
