"""Finds the Chromium for the tests of the page. As a command, it downloads one if none is found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

# The first is Chromium without its user interface. It needs half of the time.
_NAMES = (
    "chromium-headless-shell",
    *("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"),
)


def of_this_machine() -> str | None:
    """The path in the variable CHROMIUM, or else the Chromium of this machine."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, _NAMES)), None)


def main() -> int:
    """Downloads Playwright's Chromium if this machine has none."""
    if of_this_machine():
        return 0
    with sync_playwright() as playwright:
        if Path(playwright.chromium.executable_path).exists():
            return 0
    print("Downloading Chromium for the tests of the page (once) ...")
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    if subprocess.run(command, check=False).returncode == 0:
        return 0
    print("The download failed. Install Chromium, or set the variable CHROMIUM to its path.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
