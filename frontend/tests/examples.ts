/** Examples of what the API returns. */

import type { Connection, Entity, Login } from "../src/api.ts";

export const NOW = Date.parse("2026-03-04T09:30:00Z");

export function entity(id: string, name: string | null = null): Entity {
  return { id, name, status: "connected", status_detail: null };
}

export function login(fields: Partial<Login> = {}): Login {
  return {
    id: "login-1",
    connection_id: "connection-1",
    account_id: null,
    products: ["company"],
    entity_ids: [],
    status: "connected",
    status_detail: null,
    connected_at: new Date(NOW).toISOString(),
    entities: [],
    authentication_methods: [],
    ...fields,
  };
}

export function connection(company_id: string, fields: Partial<Connection> = {}): Connection {
  return {
    provider_id: "gusto",
    company_id,
    provider_name: "Gusto",
    provider_icon: null,
    company_name: "Harbor Lane",
    status: "connected",
    problem: null,
    created_at: new Date(NOW).toISOString(),
    updated_at: new Date(NOW).toISOString(),
    checked_at: null,
    logins: [login()],
    ...fields,
  };
}
