"""The operator's program for a deployed stack: `.venv/bin/python -m operations --help`.

It runs on the operator's machine with their AWS permissions. It decrypts no token: only functions of
the stack do that, each under its own role.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The package of the layer reads the tables. It is not installed in the operator's environment.
sys.path.append(str(ROOT / "layers" / "shared" / "python"))
