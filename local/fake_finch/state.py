"""Finch's rules about sessions, codes, connections, tokens and webhooks.

Every change of a connection's status passes through `FinchState._set_status`, which sends the webhook.
"""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

from local.fake_finch import seed_world
from local.fake_finch.records import (
    CODE_LIFETIME,
    Authorized,
    Code,
    ConnectedEntity,
    Connection,
    Customer,
    NotOffered,
    NotReady,
    Reading,
    Session,
    SessionOver,
    SessionUnknown,
    Token,
    WrongLogin,
)
from local.fake_finch.refusals import (
    AccountSetupRequired,
    BadRequest,
    ConnectionAlreadyExists,
    InsufficientPermissions,
    InsufficientScope,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    NotFound,
    ReauthenticateUser,
    ServerError,
)
from local.fake_finch.seed_world import Company, Entity, Provider
from local.fake_finch.store import Store, new_uuid
from local.fake_finch.webhooks import SECRETS_OVERLAP, Delivery, Waiting, new_secret, signed


class FinchState(Store):
    """A fake Finch with state. Its public methods are safe to call from any thread."""

    # Application credentials.

    def check_client(self, client_id: str | None, client_secret: str | None) -> None:
        """Raise InvalidClient unless these are the application's credentials."""
        if (client_id, client_secret) != (
            self.application.client_id,
            self.application.client_secret,
        ):
            raise InvalidClient

    # Connect sessions.

    def new_session(
        self,
        customer: Customer,
        products: Sequence[str],
        *,
        redirect_uri: str | None = None,
        minutes_to_expire: float = 129_600,
        provider_id: str | None = None,
        auth_method: str | None = None,
        manual: bool = False,
        sandbox: str | None = None,
    ) -> Session:
        """Open a Connect session.

        Raises BadRequest for an unregistered redirect_uri or an unknown provider, and
        ConnectionAlreadyExists if the customer id has a live connection (by switch).
        """
        with self._change():
            self._check_redirect_uri(redirect_uri)
            if provider_id is not None and self.provider(provider_id) is None:
                raise BadRequest(f"{provider_id} is an invalid provider")
            old = self.switches.answers == "old"
            if self.switches.one_connection_per_customer_id and not old:
                existing = self._connection_of_customer(customer.id)
                if existing is not None:
                    raise ConnectionAlreadyExists(existing.id)
            return self._open(
                Session(
                    id=self._new_id(),
                    customer=customer,
                    products=tuple(products),
                    redirect_uri=redirect_uri,
                    expires_at=self.now() + timedelta(minutes=minutes_to_expire),
                    provider_id=provider_id,
                    auth_method=auth_method,
                    manual=manual,
                    sandbox=sandbox,
                )
            )

    def new_reauth_session(
        self,
        connection_id: str,
        products: Sequence[str] | None = None,
        *,
        redirect_uri: str | None = None,
        minutes_to_expire: float = 43_200,
    ) -> Session:
        """Open a session that repairs a live connection; raises NotFound for any other."""
        with self._change():
            self._check_redirect_uri(redirect_uri)
            connection = self._live(connection_id)
            return self._open(
                Session(
                    id=self._new_id(),
                    customer=None,
                    products=tuple(products or self._products_of(connection)),
                    redirect_uri=redirect_uri,
                    expires_at=self.now() + timedelta(minutes=minutes_to_expire),
                    provider_id=connection.provider_id,
                    auth_method=connection.method,
                    reauthenticates=connection.id,
                )
            )

    def connect_url(self, session: Session) -> str:
        """The URL of the Connect page. The real Finch serves it from another host than its API."""
        return f"{self.base_url}/authorize?session={session.id}"

    def _open(self, session: Session) -> Session:
        self._world.sessions[session.id] = session
        return session

    def _check_redirect_uri(self, redirect_uri: str | None) -> None:
        if redirect_uri is not None and redirect_uri not in self.application.redirect_uris:
            raise BadRequest("redirect_uri is not registered for this application")

    def _connection_of_customer(self, customer_id: str) -> Connection | None:
        for connection in self._world.connections.values():
            if not connection.live:
                continue
            customers = [connection.customer, *(t.customer for t in self._tokens_of(connection))]
            if any(customer is not None and customer.id == customer_id for customer in customers):
                return connection
        return None

    def _tokens_of(self, connection: Connection) -> list[Token]:
        return [t for t in self._world.tokens.values() if t.connection_id == connection.id]

    def _revoke_tokens_of(self, connection: Connection) -> None:
        for token in self._tokens_of(connection):
            token.live = False

    def _products_of(self, connection: Connection) -> tuple[str, ...]:
        return self._tokens_of(connection)[-1].products

    # The user at Finch Connect.

    def open_session(self, session_id: str) -> Session:
        """The session, if it is usable; raises SessionUnknown or SessionOver otherwise."""
        with self._lock:
            session = self._world.sessions.get(session_id)
            if session is None:
                raise SessionUnknown("This link is not known.")
            if self.now() >= session.expires_at:
                raise SessionOver("This link has expired.")
            if session.codes_issued and self.switches.session_single_use:
                raise SessionOver("This link has been used.")
            if session.reauthenticates is not None:
                connection = self._world.connections[session.reauthenticates]
                if not connection.live:
                    raise SessionOver("The connection to repair has been disconnected.")
            return session

    def providers_for(self, session_id: str) -> list[Provider]:
        """The providers that this session offers."""
        session = self.open_session(session_id)
        if session.provider_id is not None:
            provider = self.provider(session.provider_id)
            return [provider] if provider else []
        return [p for p in self.providers() if session.manual or not p.assisted_only]

    def log_in(self, session_id: str, provider_id: str, username: str) -> list[Company]:
        """The companies that this user can choose; raises WrongLogin without a company."""
        with self._lock:
            session = self.open_session(session_id)
            if provider_id not in {p.id for p in self.providers_for(session_id)}:
                raise NotOffered("This provider is not offered here.")
            login = next((x for x in self.logins_at(provider_id) if x.username == username), None)
            if login is None:
                raise WrongLogin("These credentials were not accepted.")
            company_ids = login.company_ids
            if session.reauthenticates and not self.switches.reauth_may_change_company:
                original = self._world.connections[session.reauthenticates].company_id
                company_ids = tuple(x for x in company_ids if x == original)
            if not company_ids:
                raise WrongLogin("This user does not reach the company that is connected.")
            return [self.company(company_id) for company_id in company_ids]

    def products_for(self, session_id: str, provider_id: str) -> list[str]:
        """The requested products that the provider has."""
        session = self.open_session(session_id)
        provider = self.provider(provider_id)
        return [x for x in session.products if provider is not None and x in provider.products]

    def authorize(
        self,
        session_id: str,
        *,
        login: str,
        provider_id: str | None = None,
        company_id: str | None = None,
        products: Sequence[str] | None = None,
        entities: Sequence[str] | None = None,
        state: str | None = None,
    ) -> Authorized:
        """Do all steps of a user on the Finch Connect page.

        `login` is a username at the provider. `provider_id` is optional if the session names a
        provider, `company_id` if the login reaches a single company. The user grants `products` and
        `entities` (names); None grants everything that is offered. Raises CannotAuthorize.
        """
        with self._change():
            session = self.open_session(session_id)
            provider_id = provider_id or session.provider_id
            if provider_id is None:
                raise NotOffered("Choose a provider.")
            companies = self.log_in(session_id, provider_id, login)
            if company_id is None and len(companies) > 1:
                raise NotOffered("Choose a company.")
            company = next((c for c in companies if company_id in (None, c.id)), None)
            if company is None:
                raise WrongLogin("This user does not reach that company.")
            offered = self.products_for(session_id, provider_id)
            granted = tuple(offered if products is None else products)
            if not granted or not set(granted) <= set(offered):
                raise NotOffered("Choose at least one of the requested products.")
            names = [entity.name for entity in company.entities]
            chosen = tuple(names if entities is None else entities)
            if not chosen or not set(chosen) <= set(names):
                raise NotOffered("Choose at least one of the company's entities.")
            code = Code(
                value=self._new_id(),
                client_id=self.application.client_id,
                session_id=session.id,
                redirect_uri=session.redirect_uri,
                expires_at=self.now() + CODE_LIFETIME,
                provider_id=provider_id,
                company_id=company.id,
                login=login,
                products=granted,
                entity_names=chosen,
            )
            self._world.codes[code.value] = code
            session.codes_issued += 1
            answer = {"code": code.value}
            if state is not None and self.switches.echo_state:
                answer["state"] = state
            return Authorized(code.value, _with_query(session.redirect_uri, answer))

    def refuse(
        self,
        session_id: str,
        *,
        state: str | None = None,
        error: str = "access_denied",
        description: str = "The user did not grant access",
    ) -> str | None:
        """The URL to which Finch redirects a user who cancels; None in the embedded flow.

        The parameter names are a guess: Finch does not document its error redirect.
        """
        session = self.open_session(session_id)
        answer = {"error": error, "error_description": description}
        if state is not None and self.switches.echo_state_on_error:
            answer["state"] = state
        return _with_query(session.redirect_uri, answer)

    # Exchange of codes for tokens.

    def exchange(
        self,
        value: str,
        *,
        client_id: str | None,
        client_secret: str | None,
        redirect_uri: str | None,
    ) -> tuple[Token, Connection]:
        """Exchange a code for an access token.

        A refused attempt does not use up the code, so the right client can still exchange it. Raises
        InvalidClient for wrong credentials, otherwise InvalidGrant.
        """
        with self._change():
            self.check_client(client_id, client_secret)
            code = self._world.codes.get(value)
            if code is None:
                raise InvalidGrant("Invalid grant: authorization code is invalid")
            code.attempts += 1
            if (code.exchanges and self.switches.code_single_use) or code.client_id != client_id:
                raise InvalidGrant("Invalid grant: authorization code is invalid")
            if self.now() >= code.expires_at:
                raise InvalidGrant("Invalid grant: authorization code has expired")
            if code.redirect_uri != redirect_uri:
                raise InvalidGrant("Invalid grant: redirect_uri does not match the session's")
            session = self._world.sessions[code.session_id]
            customer = session.customer
            repaired = None
            if session.reauthenticates is not None:
                repaired = self._world.connections[session.reauthenticates]
                customer = repaired.customer
                if not repaired.live:
                    raise InvalidGrant("Invalid grant: the connection has been disconnected")
            if repaired is not None and repaired.company_id == code.company_id:
                connection = repaired
                self._rejoin(connection, code)
                if self.switches.reauth_kills_old_tokens:
                    self._revoke_tokens_of(connection)
            else:
                connection = self._connection_for(session, code, customer)
            token = self._new_token(connection, code.login, code.products, customer)
            code.exchanges += 1
            return token, connection

    def _connection_for(
        self, session: Session, code: Code, customer: Customer | None
    ) -> Connection:
        for connection in self._world.connections.values():
            same_pair = (connection.provider_id, connection.company_id) == (
                code.provider_id,
                code.company_id,
            )
            joins = code.login in connection.logins or self.switches.other_login_same_connection
            if connection.live and same_pair and joins:
                self._rejoin(connection, code)
                if self.switches.login_kills_old_tokens:
                    self._revoke_tokens_of(connection)
                return connection
        return self._new_connection(
            code.provider_id,
            self._world.companies[code.company_id],
            code.login,
            customer=customer,
            method=session.auth_method,
            connection_type="finch" if session.sandbox == "finch" else "provider",
            entity_names=code.entity_names,
        )

    def _rejoin(self, connection: Connection, code: Code) -> None:
        """Record a login to an existing connection."""
        if connection.status == "reauth":
            self._set_status(connection, "connected")
        # A later login may add entities or reconnect disconnected entities. It never removes any.
        if code.login not in connection.logins:
            connection.logins.append(code.login)
        company = self._world.companies[connection.company_id]
        known = {entity.name: entity for entity in connection.entities}
        for entity in company.entities:
            if entity.name not in code.entity_names:
                continue
            if entity.name in known:
                known[entity.name].disconnected = False
            else:
                connection.entities.append(self._connected(connection.id, entity))

    def _new_connection(
        self,
        provider_id: str,
        company: Company,
        login: str,
        *,
        customer: Customer | None,
        method: str | None,
        connection_type: Literal["provider", "finch"],
        entity_names: Sequence[str],
    ) -> Connection:
        provider = self.provider(provider_id)
        method = method or (provider.methods[0] if provider else "credential")
        connection_id = self.id_of(self._new_id())
        chosen = [entity for entity in company.entities if entity.name in entity_names]
        connection = Connection(
            id=connection_id,
            provider_id=provider_id,
            company_id=company.id,
            customer=customer,
            method=method,
            connection_type=connection_type,
            created_at=self.now(),
            logins=[login],
            entities=[self._connected(connection_id, entity) for entity in chosen],
            # An assisted connection has a token long before it has data.
            status="pending" if method == "assisted" else "connected",
        )
        self._world.connections[connection.id] = connection
        if self.switches.webhook_on_new_connection:
            self._send_status(connection)
        return connection

    def _new_token(
        self,
        connection: Connection,
        login: str,
        products: Sequence[str],
        customer: Customer | None,
    ) -> Token:
        token = Token(
            id=self.id_of(self._new_id()),
            access_token=self._new_id(),
            connection_id=connection.id,
            account_id=self._account_id(connection.provider_id, connection.company_id, login),
            login=login,
            products=tuple(products),
            customer=customer,
            created_at=self.now(),
        )
        self._world.tokens[token.access_token] = token
        return token

    def _account_id(self, *login: str) -> str:
        return self.id_of(seed_world.seed_id("account", *login))

    def _connected(self, connection_id: str, entity: Entity) -> ConnectedEntity:
        return ConnectedEntity(
            id=self.id_of(seed_world.seed_id("entity", connection_id, entity.source_id)),
            name=entity.name,
            source_id=entity.source_id,
        )

    # Use of a token.

    def look_up(self, access_token: str) -> tuple[Token, Connection]:
        """A token and its connection in any status; raises InvalidToken for a dead token."""
        with self._lock:
            token = self._world.tokens.get(access_token)
            if token is None or not token.live:
                raise InvalidToken
            return token, self._world.connections[token.connection_id]

    def disconnect(self, access_token: str) -> Connection:
        """End the token's connection and all of its tokens."""
        with self._change():
            _, connection = self.look_up(access_token)
            self._check_disconnect(connection)
            ending = [connection]
            if self.switches.disconnect_scope == "employer_provider":
                pair = (connection.provider_id, connection.company_id)
                ending = [
                    other
                    for other in self._world.connections.values()
                    if other.live and (other.provider_id, other.company_id) == pair
                ]
            for ended in ending:
                self._end(ended)
            return connection

    def end(self, connection_id: str) -> Connection:
        """End a live connection and all of its tokens, as an employer can at the provider.

        Raises NotFound.
        """
        with self._change():
            connection = self._live(connection_id)
            self._end(connection)
            return connection

    def _end(self, connection: Connection) -> None:
        connection.disconnected_at = self.now()
        self._set_status(connection, "disconnected")
        self._revoke_tokens_of(connection)

    def _live(self, connection_id: str) -> Connection:
        connection = self._world.connections.get(connection_id)
        if connection is None or not connection.live:
            raise NotFound("No such connection")
        return connection

    def disconnect_entities(self, access_token: str, entity_ids: Sequence[str]) -> Connection:
        """Disconnect entities of the token's connection; a reauthentication can reconnect them.

        Sends one webhook for each.
        """
        with self._change():
            _, connection = self.look_up(access_token)
            self._check_disconnect(connection)
            present = {entity.id: entity for entity in connection.present_entities}
            if not set(entity_ids) <= set(present):
                raise BadRequest("entity_ids must all belong to the connection")
            for entity_id in entity_ids:
                present[entity_id].disconnected = True
                self._send_status(connection, present[entity_id])
            return connection

    def _check_disconnect(self, connection: Connection) -> None:
        if connection.id == self.switches.disconnect_fails_for:
            raise ServerError("The provider does not answer")
        refuses = self.switches.disconnect_in_reauth == "reauthenticate_user"
        if refuses and connection.status == "reauth":
            raise ReauthenticateUser

    def read(self, access_token: str, product: str, entity_ids: Sequence[str]) -> Reading:
        """The data that a data call for this product may read.

        Raises Refused, with the reasons in Finch's order, and NotReady while the data is syncing.
        """
        with self._lock:
            token, connection = self.look_up(access_token)
            match connection.status:
                case "reauth":
                    raise ReauthenticateUser
                case "error_no_account_setup":
                    raise AccountSetupRequired
                case "error_permissions":
                    raise InsufficientPermissions
            if product not in token.products:
                raise InsufficientScope(product)
            entity = self._chosen_entity(connection, entity_ids)
            syncing = self.switches.data_sync == "in_progress"
            if syncing or connection.status in ("pending", "processing"):
                raise NotReady
            company = self._world.companies[connection.company_id]
            known = next(e for e in company.entities if e.name == entity.name)
            people = seed_world.people_at(connection.provider_id, company, known)
            return Reading(company, connection, entity, people)

    def _chosen_entity(self, connection: Connection, entity_ids: Sequence[str]) -> ConnectedEntity:
        status = self.switches.invalid_request_status
        present = connection.present_entities
        if len(entity_ids) > 1:
            raise InvalidRequest("entity_ids takes at most one entity", status=status)
        if not entity_ids:
            if len(present) != 1:
                raise InvalidRequest(
                    "entity_ids is required: the connection has several entities", status=status
                )
            return present[0]
        for entity in present:
            if entity.id == entity_ids[0]:
                return entity
        raise NotFound("No such entity on this connection")

    # Statuses.

    def set_connection_status(
        self, connection_id: str, status: str, message: str | None = None
    ) -> Connection:
        """Set any status of a live connection, e.g. `reauth`; raises NotFound."""
        with self._change():
            connection = self._live(connection_id)
            self._set_status(connection, status, message)
            return connection

    def _set_status(self, connection: Connection, status: str, message: str | None = None) -> None:
        changed = connection.status != status
        connection.status = status
        connection.message = message
        if changed and (connection.live or self.switches.webhook_on_disconnect):
            self._send_status(connection)

    # Webhooks.

    def send_webhook(
        self, event_type: str, connection_id: str | None = None, data: Any = None
    ) -> str:
        """Send an event of any type, documented or not, about any connection id or none.

        The button of the dashboard sends `test`. Returns the event's id.
        """
        with self._lock:
            connection = self._world.connections.get(connection_id or "")
            return self._send(event_type, connection, connection_id, {} if data is None else data)

    def rotate_webhook_secret(self) -> str:
        """Create a secret, as in the dashboard; the previous secret still signs for a day."""
        with self._lock:
            new = new_secret()
            self.replace_application(webhook_secrets=(new, *self.application.webhook_secrets[:1]))
            self._old_secrets_until = self.now() + SECRETS_OVERLAP
            return new

    def deliver_webhooks(self, post: Callable[[Delivery], int | None]) -> int:
        """Send due events by `post`, which returns the status, or None without an answer.

        Returns the number of deliveries. Events that were not accepted are sent again later.
        """
        due = self.outbox.take(self.now())
        if self.switches.webhook_order == "reversed":
            due.reverse()
        for waiting in due:
            status = post(self.signed_webhook(waiting))
            self.outbox.answered(waiting, status, self.now())
        return len(due)

    def signed_webhook(self, waiting: Waiting) -> Delivery:
        """A delivery with signatures of the secrets that are valid now."""
        with self._lock:
            secrets, until = self.application.webhook_secrets, self._old_secrets_until
            if until is not None and self.now() >= until:
                secrets = secrets[:1]
            return signed(waiting, secrets, self.switches, self.now())

    def _send_status(self, connection: Connection, entity: ConnectedEntity | None = None) -> None:
        method: Any = connection.method
        if self.switches.webhook_authentication_method == "object":
            method = {
                "type": connection.method,
                "benefits_support": {},
                "supported_fields": seed_world.supported_fields(),
            }
        status = "disconnected" if entity else connection.status
        data = {"status": status, "authentication_method": method}
        self._send("account.updated", connection, connection.id, data, entity)

    def _send(
        self,
        event_type: str,
        connection: Connection | None,
        connection_id: str | None,
        data: Any,
        entity: ConnectedEntity | None = None,
    ) -> str:
        event_id = f"msg_{new_uuid().replace('-', '')}"
        if self.application.webhook_url is None or not self.application.webhook_secrets:
            return event_id
        if entity is None and connection and len(connection.present_entities) > 1:
            entity = connection.present_entities[0]
        account = (
            (connection.provider_id, connection.company_id, connection.logins[0])
            if connection
            else ("unknown",)
        )
        body = {
            "company_id": connection.company_id if connection else new_uuid(),
            "account_id": self._account_id(*account),
            "connection_id": connection_id,
            "entity_id": entity.id if entity else None,
            "event_type": event_type,
            "data": data,
        }
        if self.switches.answers == "old":
            del body["connection_id"], body["entity_id"]
        elif self.switches.webhook_connection_id == "null":
            body["connection_id"] = None
        elif self.switches.webhook_connection_id == "absent":
            del body["connection_id"]
        # Not Python's default JSON, so that a client which serializes the body again gets another signature.
        text = json.dumps(body, separators=(",", ":"))
        waiting = Waiting(event_id, text.encode(), self.now(), self.now())
        self.outbox.put(waiting, self.switches.webhook_copies)
        return event_id

    # Sandbox: connections without a user.

    def new_sandbox_connection(
        self,
        provider_id: str,
        *,
        products: Sequence[str] | None = None,
        method: str | None = None,
        employee_size: int = 20,
    ) -> tuple[Token, Connection]:
        """A connection to a new employer."""
        with self._change():
            company_id = self.add_company(
                f"Sandbox Employer {len(self._world.companies) + 1}", headcount=employee_size
            )
            return self.new_sandbox_account(
                company_id, provider_id, products=products, method=method
            )

    def new_sandbox_account(
        self,
        company_id: str,
        provider_id: str,
        *,
        products: Sequence[str] | None = None,
        method: str | None = None,
    ) -> tuple[Token, Connection]:
        """A connection with a new login to an existing employer."""
        with self._change():
            provider = self.provider(provider_id)
            if provider is None:
                raise BadRequest(f"{provider_id} is an invalid provider")
            company = self._world.companies.get(company_id)
            if company is None:
                raise NotFound("No such company")
            username = f"sandbox-{len(self._world.connections) + 1}@{provider_id}.example"
            self.add_login(provider_id, username, [company_id])
            connection = self._new_connection(
                provider_id,
                company,
                username,
                customer=None,
                method=method,
                connection_type="finch",
                entity_names=[entity.name for entity in company.entities],
            )
            granted = products or ("company", "directory", "employment", "individual")
            return self._new_token(connection, username, granted, None), connection


def _with_query(uri: str | None, answer: dict[str, str]) -> str | None:
    if uri is None:
        return None
    parts = urlsplit(uri)
    query = "&".join(text for text in (parts.query, urlencode(answer)) if text)
    return urlunsplit(parts._replace(query=query))
