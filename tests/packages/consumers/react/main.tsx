/** A page of React that shows the element, and the last connection that an event has reported. */

import "@finch-connections/element";
import type {} from "@finch-connections/element/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { apiUrl, getAccessToken } from "../session.ts";

function Payroll() {
  const [company, setCompany] = useState("");
  return (
    <>
      <finch-connections
        api-url={apiUrl}
        lang="en"
        getAccessToken={getAccessToken}
        onfinch-connected={({ detail }) => setCompany(detail.company_id)}
      />
      <output>{company}</output>
    </>
  );
}

const root = document.querySelector("#app");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Payroll />
    </StrictMode>,
  );
}
