"""The operator's program for a deployed stack: `finch-connections --help`.

It runs on the operator's machine with their AWS permissions. It decrypts no token: only functions of
the stack do that, each under its own role.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# In a clone, the package of the layer is here. The installed program has it as a package of its own.
sys.path.append(str(ROOT / "layers" / "shared" / "python"))
