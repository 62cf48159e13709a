"""Emulated AWS: MiniStack, with patches where its behaviour differs from what AWS documents.

`python -m local.aws_emulator` starts it with the Python of MiniStack's own environment. Each module
patches one service of one exact version of MiniStack. Beside each patch stand what MiniStack does
and the page on which AWS documents the behaviour that the patch gives.
"""

from typing import Any

Json = dict[str, Any]
