"""The data of the fake Finch: its application, clock, switches and records, stored in a file.

A single lock guards all data. No thread waits while it holds the lock.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from pydantic import TypeAdapter

from local.fake_finch import seed_world
from local.fake_finch.faults import Faults
from local.fake_finch.records import Application, ClientType, Code, Connection, Session, Token
from local.fake_finch.request_log import RequestLog
from local.fake_finch.seed_world import Company, Entity, Login, Provider
from local.fake_finch.switches import Switches
from local.fake_finch.webhooks import Outbox


@dataclass
class World:
    """The data that stays after a restart."""

    companies: dict[str, Company] = field(default_factory=dict)
    logins: list[Login] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    """By access token."""
    switches: Switches = field(default_factory=Switches)

    @classmethod
    def seeded(cls, switches: Switches) -> Self:
        world = cls(switches=switches)
        for company in seed_world.COMPANIES:
            known = replace(company, id=world.id_of(company.id))
            world.companies[known.id] = known
        for login in seed_world.LOGINS:
            reached = tuple(map(world.id_of, login.company_ids))
            known_at = world.id_of(login.provider_id)
            world.logins.append(replace(login, provider_id=known_at, company_ids=reached))
        return world

    def id_of(self, usual: str) -> str:
        """The form of an id that the switch `ids` asks for."""
        return seed_world.hostile_id(usual) if self.switches.ids == "hostile" else usual


_WORLD = TypeAdapter(World)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def new_uuid() -> str:
    """A random UUID as text."""
    return str(uuid4())


class Store:
    """The fake Finch's data. Its public methods are safe to call from any thread."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        redirect_uris: Sequence[str],
        *,
        client_type: ClientType = "sandbox",
        base_url: str = "http://127.0.0.1:8082",
        clock: Callable[[], datetime] = _utc_now,
        new_id: Callable[[], str] = new_uuid,
        sleep: Callable[[float], None] = time.sleep,
        path: Path | None = None,
        webhook_url: str | None = None,
        webhook_secrets: Sequence[str] = (),
    ) -> None:
        """A new world with the seed data.

        `clock` returns aware datetimes. `new_id` returns a new UUID text for each session,
        connection, token and code. A delay fault calls `sleep`. With a `path`, every change is
        written to that file; see `load`.
        """
        self.application = Application(
            client_id,
            client_secret,
            tuple(redirect_uris),
            client_type,
            webhook_url,
            tuple(webhook_secrets),
        )
        self.base_url = base_url.rstrip("/")
        self.faults = Faults()
        self.requests = RequestLog()
        self.outbox = Outbox()
        self.sleep = sleep
        self._clock = clock
        self._offset = timedelta()
        self._old_secrets_until: datetime | None = None
        self._new_id = new_id
        self._path = path
        self._lock = threading.RLock()
        self._world = World.seeded(Switches())

    @classmethod
    def load(
        cls,
        path: Path,
        client_id: str,
        client_secret: str,
        redirect_uris: Sequence[str],
        **kwargs: Any,
    ) -> Self:
        """The world in the file `path`, or a new world; changes are written to the file.

        The file does not contain the application, because the caller passes it. It does not contain
        faults, recorded requests and waiting webhooks, because they belong to a single run. Raises
        pydantic's ValidationError for an invalid file.
        """
        finch = cls(client_id, client_secret, redirect_uris, path=path, **kwargs)
        if path.exists():
            finch._world = _WORLD.validate_json(path.read_bytes())
        return finch

    # Clock, switches and storage.

    @property
    def switches(self) -> Switches:
        return self._world.switches

    def change_switches(self, **values: Any) -> Switches:
        """Set several switches, all or none; raises ValueError for an invalid name or value."""
        with self._change():
            changed = Switches.model_validate({**self.switches.model_dump(), **values})
            self._world.switches = changed
            return changed

    def now(self) -> datetime:
        return self._clock() + self._offset

    def advance(self, by: timedelta) -> datetime:
        """Advance the fake Finch's clock; returns the new time."""
        with self._lock:
            self._offset += by
            return self.now()

    def replace_application(self, **fields: Any) -> Application:
        """Change fields of the application, e.g. to rotate a secret.

        If several webhook secrets are given, all sign until the next `rotate_webhook_secret`.
        """
        with self._lock:
            for name in {"redirect_uris", "webhook_secrets"} & fields.keys():
                fields[name] = tuple(fields[name])
            if "webhook_secrets" in fields:
                self._old_secrets_until = None
            self.application = replace(self.application, **fields)
            return self.application

    def reset(self, **switches: Any) -> None:
        """Restore the seed data; also reset faults, requests, clock and the other switches.

        The application does not change.
        """
        with self._change():
            self._world = World.seeded(Switches(**switches))
            self._offset = timedelta()
            self.faults.clear()
            self.requests.clear()
            self.outbox.clear()

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._lock:
            yield
            if self._path is not None:
                written = self._path.with_name(self._path.name + ".new")
                written.touch(mode=0o600)
                written.write_bytes(_WORLD.dump_json(self._world))
                written.replace(self._path)

    # Providers, companies, logins.

    def id_of(self, usual: str) -> str:
        """The id that this world has for a provider or company of the seed data."""
        return self._world.id_of(usual)

    def providers(self) -> list[Provider]:
        return [replace(p, id=self.id_of(p.id)) for p in seed_world.PROVIDERS]

    def provider(self, provider_id: str) -> Provider | None:
        return next((p for p in self.providers() if p.id == provider_id), None)

    def company(self, company_id: str) -> Company:
        """The company with this id; raises KeyError."""
        with self._lock:
            return self._world.companies[company_id]

    def logins_at(self, provider_id: str) -> list[Login]:
        with self._lock:
            return [login for login in self._world.logins if login.provider_id == provider_id]

    def add_company(
        self, legal_name: str, entities: Sequence[str] = (), headcount: int = 20
    ) -> str:
        """Create an employer and return its id. Each entity has `headcount` employees."""
        with self._change():
            number = len(self._world.companies) + 1
            company = Company(
                id=self.id_of(seed_world.seed_id("company", legal_name, str(number))),
                legal_name=legal_name,
                entities=tuple(
                    Entity(name, f"E{number}-{index}", headcount)
                    for index, name in enumerate(entities or (legal_name,))
                ),
            )
            self._world.companies[company.id] = company
            return company.id

    def add_login(self, provider_id: str, username: str, company_ids: Sequence[str]) -> Login:
        """Create a login at a provider. It replaces a login with the same username."""
        if self.provider(provider_id) is None:
            raise ValueError(f"no provider {provider_id}")
        with self._change():
            login = Login(provider_id, username, tuple(company_ids))
            same = (provider_id, username)
            others = [x for x in self._world.logins if (x.provider_id, x.username) != same]
            self._world.logins = [*others, login]
            return login

    # Reads for tests.

    def connections(self) -> list[Connection]:
        with self._lock:
            return list(self._world.connections.values())

    def connection(self, connection_id: str) -> Connection:
        """The connection with this id, also if it has ended; raises KeyError."""
        with self._lock:
            return self._world.connections[connection_id]

    def tokens(self, connection_id: str | None = None) -> list[Token]:
        """All tokens, also dead tokens; with a connection id, the tokens of that connection."""
        with self._lock:
            everything = self._world.tokens.values()
            return [t for t in everything if connection_id in (None, t.connection_id)]

    def live_tokens(self) -> list[Token]:
        return [token for token in self.tokens() if token.live]

    def code(self, value: str) -> Code:
        """The code, with the numbers of attempts and exchanges; raises KeyError."""
        with self._lock:
            return self._world.codes[value]

    def session(self, session_id: str) -> Session:
        """The session, also if it is not usable; raises KeyError."""
        with self._lock:
            return self._world.sessions[session_id]

    def sessions(self) -> list[Session]:
        with self._lock:
            return list(self._world.sessions.values())

    def truth(self) -> dict[str, Any]:
        """All data as plain JSON types, with the secrets of the test world."""
        with self._lock:
            world = _WORLD.dump_python(self._world, mode="json")
            return {
                "now": self.now().isoformat(),
                "sessions": list(world["sessions"].values()),
                "codes": list(world["codes"].values()),
                "connections": [
                    {**connection, "live": connection["disconnected_at"] is None}
                    for connection in world["connections"].values()
                ],
                "tokens": {token["id"]: token for token in world["tokens"].values()},
                "request_counts": self.requests.counts(),
            }
