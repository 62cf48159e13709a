"""Finds the Chromium that the page is tested in; as a command, sees to it that there is one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def of_this_machine() -> str | None:
    """The machine's own, or the one that the variable CHROMIUM names."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, _NAMES)), None)


def main() -> int:
    """Fetches Playwright's where the machine has none."""
    if of_this_machine():
        return 0
    with sync_playwright() as playwright:
        if Path(playwright.chromium.executable_path).exists():
            return 0
    print("Fetching a Chromium for the tests of the page, for there is none here (once) ...")
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    if subprocess.run(command, check=False).returncode == 0:
        return 0
    print("That did not work: install Chromium, or name one in the variable CHROMIUM.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
