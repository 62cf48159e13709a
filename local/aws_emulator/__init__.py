"""Emulated AWS: MiniStack, with patches where its behaviour differs from what AWS documents.

`python -m local.aws_emulator` starts it with the Python of MiniStack's own environment. Each module
patches a service of one exact version of MiniStack. The text of each patch says what MiniStack does,
what AWS does instead, and on which page AWS documents it.
"""

from typing import Any

Json = dict[str, Any]
