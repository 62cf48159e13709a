"""What a person does with a running Finch Connections: `.venv/bin/python -m operations --help`.

It runs on that person's machine, with their AWS permissions. It opens no token: what must be opened
is opened by a function of the stack, under that function's role.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The layer's package is not installed here: it knows how rows are written.
sys.path.append(str(ROOT / "layers" / "shared" / "python"))
