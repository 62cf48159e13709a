/** The session of the signed-in customer, which the test puts into the page. */

import type { GetAccessToken } from "@finch-connections/element";

declare const session: { apiUrl: string; token: string };

export const { apiUrl } = session;

export const getAccessToken: GetAccessToken = async () => session.token;
