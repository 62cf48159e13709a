"""Emulated AWS: MiniStack, with patches where its behaviour differs from AWS's documentation.

`python -m local.aws_emulator` starts it with the Python of MiniStack's own environment. Each module
patches a service of one exact version of MiniStack. The docstring of each patch describes MiniStack's
behaviour and AWS's behaviour, and names the page on which AWS documents it.
"""

from typing import Any

Json = dict[str, Any]
