"""A backend's call of Finch: whether its path is allowed, what it reads, and how often Finch allows it."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

# Finch counts the calls of the whole application in any 60 seconds. A call may reach Finch some seconds after
# we have counted it.
WINDOW = timedelta(seconds=65)
# The calls in a window by the first part of the path below /employer ("Rate Limits" in Finch's reference).
PER_WINDOW: Mapping[str, int] = {
    "company": 20,
    "directory": 20,
    "individual": 20,
    "employment": 20,
    "payment": 12,
    "pay-statement": 12,
    "pay-statement-item": 20,
    "pay-groups": 12,
}
# Finch's reference has no figure for the other paths, which share this limit.
_OTHERS, _PER_WINDOW_OF_OTHERS = "others", 12
# The product of a path, where Finch's reference names it. If not, Finch decides.
_PRODUCTS = ("company", "directory", "individual", "employment", "payment", "pay-statement")
# Finch takes the ids that these read in a body, so they are POST.
_BATCHES = ("/employer/individual", "/employer/employment", "/employer/pay-statement")
# These end or make connections, or concern tokens. No parameter allows them.
_NEVER = ("auth", "connect", "disconnect", "introspect")
# A path that has to be normalized first is refused: no dots, no escapes, no empty parts.
_PATH = re.compile(r"(/[A-Za-z0-9_-]+)+")
_ENTITY = "entity_ids[]"


@dataclass(frozen=True)
class FinchCall:
    """The method and the path of a call, for example `GET` and `/employer/directory`."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def reads(self) -> bool:
        """Whether the call only reads, so that it may be repeated."""
        return self.method == "GET" or (self.method == "POST" and self.path in _BATCHES)

    @property
    def limit(self) -> tuple[str, int]:
        """The name of the limit that the call counts for, and the calls that it allows in `WINDOW`."""
        name = self._product_path
        return (name, PER_WINDOW[name]) if name in PER_WINDOW else (_OTHERS, _PER_WINDOW_OF_OTHERS)

    def is_allowed(self, reading: Collection[str], writing: Collection[str]) -> bool:
        """Whether the path is at or below a path of the list for reading, or of the list for writing."""
        if not _PATH.fullmatch(self.path) or self.path.lower().startswith(
            tuple(f"/{one}" for one in _NEVER)
        ):
            return False
        listed = reading if self.reads else writing
        return any(f"{self.path}/".startswith(f"{one}/") for one in listed if one)

    def products(self, body: Any) -> frozenset[str]:
        """The products that the call reads, as far as Finch's reference names them."""
        name = self._product_path
        found = {name.replace("-", "_")} if name in _PRODUCTS else set()
        options = body.get("options") if isinstance(body, dict) else None
        included = options.get("include") if isinstance(options, dict) else None
        return frozenset(found | ({"ssn"} if "ssn" in str(included).lower() else set()))

    @property
    def _product_path(self) -> str:
        root, _, rest = self.path.lower().removeprefix("/").partition("/")
        return rest.partition("/")[0] if root == "employer" else ""


def with_entity(
    query: Mapping[str, Any], entity_ids: Collection[str], readable: Collection[str]
) -> Mapping[str, Any] | None:
    """The query with the entity to read; None if it must name an entity of `readable`.

    Finch takes at most one entity for each call, and requires it if there are several. `entity_ids` are all
    entities of the login.
    """
    if not entity_ids:
        return query
    named = query.get(_ENTITY, list(readable))
    named = named if isinstance(named, list) else [named]
    if len(named) != 1 or named[0] not in readable:
        return None
    return {**query, _ENTITY: named[0]}
