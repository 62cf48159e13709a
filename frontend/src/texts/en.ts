/** The English texts. A text in braces, such as {provider}, is filled in. */

export const en = {
  title: "Payroll connections",
  theApplication: "the application",
  connect: "Connect another",
  connectFirst: "Connect payroll",
  addLogin: "Add another login",
  connectAgain: "Connect again",
  repair: "Sign in again",
  disconnect: "Disconnect",
  keep: "Keep it",
  details: "Details",
  more: "Show more",
  tryAgain: "Try again",
  dismiss: "Dismiss",
  support: "Contact support",
  reference: "Reference {id}",
  justNow: "just now",
  named: "{company} at {provider}",
  action: "{action}: {name}",
  loading: "Loading your connections…",
  slow: "This takes longer than usual.",
  opening: "Opening Finch Connect…",
  finishing: "Finishing your connection…",
  unknownCompany: "Company {id}",
  list: {
    search: "Search",
    hint: "Company, provider or ID",
    status: "Status",
    provider: "Provider",
    order: "Sort by",
    allStatuses: "All statuses",
    allProviders: "All providers",
    attention: "Attention first",
    name: "Name",
    changed: "Last changed",
    found: { one: "{n} connection found.", other: "{n} connections found." },
    none: "No connection matches.",
    clear: "Clear",
    reading: "Reading all connections…",
    cut: "Only the first {n} connections were read. “Show more” reads more.",
    checked: "All connections were checked within the last day.",
    othersChecked: "Connections that show no time were checked within the last day.",
  },
  andMore: { one: "{name} and one more", other: "{name} and {n} more" },
  summary: {
    good: "Everything is connected and working.",
    attention: {
      one: "{n} connection needs your attention",
      other: "{n} connections need your attention",
    },
    none: "Nothing is connected at the moment.",
    settling: "Some connections are being set up. You need do nothing.",
  },
  sections: {
    attention: "Needs your attention",
    active: "Connections",
    others: "Other connections",
    ended: { one: "1 disconnected connection", other: "{n} disconnected connections" },
  },
  empty: {
    title: "Connect your payroll or HR system",
    text: "It lets {app} work with up-to-date data, without spreadsheets and uploads.",
    password: "You sign in at your provider. Your password never reaches {app}.",
    control: "You see every connection here, and can disconnect it at any time.",
    awaited: "Your new connection appears here by itself. You need not connect again.",
    asked: "Your new connection appears here after you have answered the question above.",
  },
  card: {
    logins: { one: "{n} login", other: "{n} logins" },
    checked: "Checked {when}",
    lastCheck: "Last checked",
    help: "Questions",
    unchecked: "Not checked yet",
    login: "Login {n}",
    since: "connected {date}",
    ended: "Disconnected on {date}",
    changed: "Last changed on {date}",
    loginsTitle: "Logins",
    entities: { one: "{n} legal entity", other: "{n} legal entities" },
    someEntities: "{some} of {n} legal entities",
    companyId: "Company ID",
    accountId: "Account ID",
    entity: "Entity {id}",
  },
  status: {
    pending: {
      label: "Setting up",
      reason: "{provider} still has to grant access. This can take some days. You need do nothing.",
    },
    processing: {
      label: "Setting up",
      reason: "Your first data is on its way from {provider}. You need do nothing.",
    },
    connected: { label: "Connected", reason: "" },
    reauth: {
      label: "Sign-in needed",
      reason: "{provider} asks you to sign in again. No new data arrives until then.",
    },
    error_permissions: {
      label: "Permission missing",
      reason:
        "The account that you used at {provider} is not allowed to see the data. Ask your administrator at {provider} for more rights, or sign in again with an account that has them.",
    },
    error_no_account_setup: {
      label: "Not set up",
      reason:
        "Your account at {provider} is not set up completely. Complete it at {provider}, then sign in again.",
    },
    unknown: {
      label: "Problem reported",
      reason:
        "{provider} reports a problem that we do not know (“{detail}”). Sign in again: this usually solves it. If not, contact support.",
    },
    disconnecting: {
      label: "Disconnecting",
      reason: "{provider} still has to confirm the end. You need do nothing.",
    },
    disconnected: {
      label: "Disconnected",
      reason: "No data can be read any more. Connect it again to use it here.",
    },
  },
  otherStatus: {
    label: "Other status",
    reason:
      "{provider} reports “{detail}”, which this page does not know yet. You need do nothing. If data is missing, contact support.",
  },
  problem: {
    connect_again:
      "Another account had connected this company and has disconnected it. Connect it again to use it here.",
    transferred:
      "This company now belongs to another account. You need do nothing. If this is wrong, contact support.",
    another_company:
      "The last time you signed in to another company, which is now a connection of its own. Sign in again, and choose this company.",
    disconnect_refused:
      "{provider} refused to end this connection. Sign in again, then disconnect it once more.",
    entity_disconnect_refused:
      "{provider} refused to disconnect a legal entity of this connection. Disconnect the entity once more; if that fails, contact support.",
  },
  product: {
    benefits: "benefits",
    company: "company details",
    deduction: "deductions",
    directory: "employee directory",
    documents: "documents",
    employment: "jobs and income",
    individual: "personal details",
    payment: "payroll totals",
    pay_statement: "pay statements",
    plans: "benefit plans",
    plans_dependents: "dependents",
    plans_enrollments: "plan enrollments",
    recordkeeping: "retirement records",
    ssn: "social security numbers",
  },
  reads: {
    title: "What {app} asks to read",
    benefits: "deductions and contributions for benefits, and who takes part",
    company: "legal name, tax number, addresses, departments and bank accounts of the company",
    deduction: "amounts that are deducted for benefits, and who takes part",
    directory: "names, departments and managers of all employees",
    documents: "tax forms and other documents of employees",
    employment: "job titles, start and end dates, employment types and income",
    individual: "home addresses, dates of birth, e-mail addresses and phone numbers",
    payment: "dates and totals of each payroll run",
    pay_statement: "pay, taxes and deductions of each employee in each payroll run",
    plans: "the benefit plans of the company and their terms",
    plans_dependents: "family members whom a plan covers",
    plans_enrollments: "who takes part in which plan",
    recordkeeping: "contributions to retirement plans and their balances",
    ssn: "the social security number of each employee",
  },
  confirm: {
    checking: "One moment: we look up what was connected…",
    title: "Was this you?",
    text: "A user has just signed in at a provider to connect this account. Connect it only if it was you and you know the company.",
    provider: "Provider",
    company: "Company",
    yes: "Yes, connect it",
    no: "No, that was not me",
    rejected: "Nothing was connected",
    rejectedText: "This attempt ends by itself within a day.",
    foreign: "This is not for your account",
    foreignText:
      "This attempt was started with another account, or too long ago. If you started it yourself, sign in here with that account.",
  },
  result: {
    connected: "{name} is connected",
    connectedText: "The first data may take a few minutes.",
    settling: "{name} is being set up",
    again: "{name} was connected already",
    againText: "Its access has been renewed. Nothing else has changed.",
    login: "Another login was added to {name}",
    loginText: "Its other logins stay as they are.",
    repaired: "{name} works again",
    repairedText: "New data will arrive as before.",
    another: "{name} is connected, but it is not the one you wanted to repair",
    anotherText:
      "You signed in to something else. That is a connection of its own now; the other one still needs you.",
    unhealthy: "{name} is connected, but not working yet",
    pending: "Almost there",
    pendingText:
      "Finch has not finished yet. Your connection appears here by itself, most often within minutes. You need not connect again.",
    failed: "That did not work",
    refused: "Nothing was connected",
    closedText: "You closed Finch Connect before the end.",
    disconnected: "{name} is disconnected",
    disconnectedText: "From now on {app} cannot read it any more.",
    disconnecting: "{name} is being disconnected",
    disconnectingText:
      "The provider still has to confirm. It goes on by itself, also when you leave this page.",
    entityDisconnected: "A legal entity of {name} is disconnected",
    entityDisconnectedText: "From now on {app} cannot read it any more. The others stay connected.",
    entityDisconnecting: "A legal entity of {name} is being disconnected",
    entityDisconnectingText:
      "The provider still has to confirm. It goes on by itself, also when you leave this page.",
    stale: "This list could not be updated",
    staleText: "What you see is from {when}.",
    unavailable: "Your connections cannot be shown",
  },
  dialog: {
    title: "Disconnect {name}?",
    stops: "{app} will stop receiving data for {company} from {provider}. This ends:",
    stopsEntity:
      "{app} will stop receiving data for {name} from {provider}. The other legal entities stay connected.",
    entities: "It ends for all of its legal entities: {names}.",
    stays: "Your other connections stay as they are.",
    undo: "To undo it, you would have to sign in at {provider} again.",
    working: "Disconnecting…",
  },
  changed: "{name}: {status}",
  failure: {
    access_denied: "You left Finch Connect without giving access.",
    cannot_connect:
      "This company cannot be connected to your account, most often because another account has it. Disconnect it there first, or contact support.",
    code_rejected: "Finch did not accept this attempt. Please connect again.",
    connection_busy: "This connection is being changed right now. Wait a moment, then try again.",
    connection_ended:
      "The connection ended at the provider before it was finished. Please connect again.",
    connection_limit:
      "Your account has as many connections as it may have. Disconnect one first, or open its details to add another login to it.",
    connection_not_found:
      "This connection no longer exists. If you still need it, connect it again.",
    customer_unknown:
      "Your sign-in does not say which account you belong to. Sign in again, or contact support.",
    disconnect_refused:
      "The provider refused to end this connection. Sign in to it again, then disconnect it once more.",
    exchange_uncertain:
      "Finch's response was lost. Please connect again; the earlier attempt will not block you.",
    finch_misconfigured:
      "Connecting does not work at the moment. We have been notified; please try again later.",
    finch_refused:
      "Finch did not accept this request. Please try again, or with another provider. If that fails too, contact support.",
    finch_unavailable: "Finch cannot be reached at the moment. Please try again in a few minutes.",
    not_allowed: "Your sign-in does not allow this. Sign in again, or contact support.",
    internal_error:
      "Something went wrong on our side. Please try again. If it happens again, contact support.",
    invalid_request:
      "This request was not valid. Reload the page and start again. If it happens again, contact support.",
    mode_not_allowed:
      "This page is not set up to connect in this way. You can do nothing here; contact support.",
    return_to_not_allowed:
      "This page is not set up to connect. Open it at its usual address, or contact support.",
    route_not_found:
      "This part of the service was not found. Reload the page. If it happens again, contact support.",
    session_expired: "This link or attempt is too old. Please connect again.",
    session_not_found: "This attempt is not known, or not yours. Please connect again.",
    session_used:
      "This attempt was used already. If your connection is not listed here, connect again.",
    signature_invalid: "This message does not come from Finch. Please start again.",
    too_many_logins:
      "This connection has the largest possible number of logins. Disconnect it, then connect it again.",
    too_many_requests: "That was too often. Wait a few minutes, then try again.",
    unauthorized: "Your sign-in has ended. Please sign in again.",
    unreachable: "The service does not answer. Check your network, then try again.",
    unexpected:
      "Something unexpected happened. Please try again. If it happens again, contact support.",
  },
};
