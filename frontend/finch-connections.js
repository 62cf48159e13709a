// <finch-connections>: a customer's payroll connections, to drop into any page of an application.
//
//   <script type="module" src="/finch-connections.js"></script>
//   <finch-connections api-url="https://api.example.com" app-name="Acme Benefits"
//     products="company directory employment"></finch-connections>
//   <script type="module">
//     document.querySelector("finch-connections").getAccessToken = ({ refresh }) => myToken(refresh);
//   </script>
//
// The README's section "The Connections page" says what else there is to set. Everything is in this
// file: the texts, the styles, the element. What Finch or the API says is text here, never markup.

// The texts. To add a language, copy one of the tables and translate what is in quotes; what stands
// in braces is filled in. Where the words depend on a number, `one` and `other` (and what else
// Intl.PluralRules knows of the language) stand for them.

export const TEXTS = {
  en: {
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
    andMore: { one: "{name} and one more", other: "{name} and {n} more" },
    summary: {
      good: "Everything is connected and working.",
      attention: {
        one: "{n} connection needs your attention",
        other: "{n} connections need your attention",
      },
      none: "Nothing is connected at the moment.",
      settling: "Some connections are being set up.",
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
      reads: "What {app} asks to read: {products}.",
      control: "You see every connection here, and can disconnect it at any time.",
    },
    card: {
      logins: { one: "{n} login", other: "{n} logins" },
      checked: "Checked {when}",
      unchecked: "Not checked yet",
      login: "Login {n}",
      since: "connected {date}",
      ended: "Disconnected on {date}",
      changed: "Last changed on {date}",
      reads: "Reads",
      loginsTitle: "Logins",
      entities: { one: "{n} legal entity", other: "{n} legal entities" },
      companyId: "Company ID",
      accountId: "Account ID",
      entity: "Entity {id}",
    },
    status: {
      pending: {
        label: "Setting up",
        reason:
          "{provider} has yet to grant access. This can take some days; there is nothing to do here.",
      },
      processing: {
        label: "Setting up",
        reason: "Your first data is on its way from {provider}.",
      },
      connected: { label: "Connected", reason: "" },
      reauth: {
        label: "Sign-in needed",
        reason: "{provider} asks you to sign in again. No new data arrives until then.",
      },
      error_permissions: {
        label: "Permission missing",
        reason:
          "The account that you used at {provider} may not see the data. Sign in with one that may, or have its rights extended.",
      },
      error_no_account_setup: {
        label: "Not set up",
        reason: "The set-up at {provider} is not complete. Sign in again to complete it.",
      },
      unknown: {
        label: "Unclear",
        reason:
          "{provider} says something that we do not know (“{detail}”). Signing in again usually helps.",
      },
      disconnecting: {
        label: "Disconnecting",
        reason: "{provider} has yet to confirm the end. It goes on by itself.",
      },
      disconnected: { label: "Disconnected", reason: "No data can be read any more." },
    },
    problem: {
      another_company:
        "The last time you signed in to another company, which is now a connection of its own. This one still waits for you.",
      disconnect_refused:
        "{provider} would not end this connection. Sign in again, then disconnect it once more.",
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
    confirm: {
      checking: "One moment: we look up what was connected…",
      title: "Was this you?",
      text: "Somebody has just signed in at a provider to connect this account. Connect it only if it was you and you know the company.",
      provider: "Provider",
      company: "Company",
      yes: "Yes, connect it",
      no: "No, that was not me",
      rejected: "Nothing was connected",
      rejectedText: "What was begun is ended by itself within a day.",
      foreign: "This is not for your account",
      foreignText:
        "The sign-in that you come back from was begun with another account, or too long ago. If you began it yourself, sign in here with that account.",
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
        "Finch has not finished yet. Your connection appears here by itself, most often within minutes.",
      failed: "That did not work",
      refused: "Nothing was connected",
      closedText: "You closed Finch Connect before the end.",
      disconnected: "{name} is disconnected",
      disconnectedText: "From now on {app} cannot read it any more.",
      disconnecting: "{name} is being disconnected",
      disconnectingText:
        "The provider has yet to confirm. It goes on by itself, also when you leave this page.",
      stale: "This list could not be updated",
      staleText: "What you see is from {when}.",
      unavailable: "Your connections cannot be shown",
    },
    dialog: {
      title: "Disconnect {name}?",
      stops: "{app} will stop receiving data for {company} from {provider}. This ends:",
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
      connection_not_found: "This connection is not there any more.",
      customer_unknown:
        "Your sign-in does not say which account you belong to. Sign in again, or contact support.",
      disconnect_refused:
        "The provider would not end this connection. Sign in to it again, then disconnect it once more.",
      exchange_uncertain:
        "The answer of Finch was lost on the way. Please connect again: nothing is in the way of that.",
      finch_misconfigured:
        "Connecting does not work at the moment. We have been notified; please try again later.",
      finch_refused: "Finch did not take this request. Please try again, or with another provider.",
      finch_unavailable:
        "Finch cannot be reached at the moment. Please try again in a few minutes.",
      not_allowed: "Your sign-in does not allow this. Sign in again, or contact support.",
      internal_error: "Something went wrong on our side. Please try again.",
      invalid_request: "Something about this request was not right. Please start again.",
      return_to_not_allowed: "This page may not start a connection. Open it at its usual address.",
      route_not_found: "This part of the service is not there. Please reload the page.",
      session_expired: "This link or attempt is too old. Please connect again.",
      session_not_found: "This attempt is not known, or not yours. Please connect again.",
      session_used:
        "This attempt was used already. If your connection is not listed here, connect again.",
      signature_invalid: "This message does not come from Finch.",
      too_many_logins:
        "This connection has as many logins as it can hold. Disconnect it, then connect it again.",
      too_many_requests: "That was too often. Wait a moment, then try again.",
      unauthorized: "Your sign-in has ended. Please sign in again.",
      unreachable: "The service does not answer. Check your network, then try again.",
      unexpected: "Something unexpected happened. Please try again.",
    },
  },
  de: {
    title: "Verbindungen zur Lohnabrechnung",
    theApplication: "die Anwendung",
    connect: "Weitere verbinden",
    connectFirst: "Lohnabrechnung verbinden",
    addLogin: "Weitere Anmeldung hinzufügen",
    connectAgain: "Neu verbinden",
    repair: "Neu anmelden",
    disconnect: "Trennen",
    keep: "Behalten",
    details: "Details",
    more: "Mehr zeigen",
    tryAgain: "Erneut versuchen",
    dismiss: "Schließen",
    support: "Support kontaktieren",
    reference: "Referenz {id}",
    justNow: "gerade eben",
    named: "{company} bei {provider}",
    action: "{action}: {name}",
    loading: "Ihre Verbindungen werden geladen …",
    slow: "Das dauert länger als sonst.",
    opening: "Finch Connect wird geöffnet …",
    finishing: "Ihre Verbindung wird fertiggestellt …",
    unknownCompany: "Firma {id}",
    andMore: { one: "{name} und eine weitere", other: "{name} und {n} weitere" },
    summary: {
      good: "Alles ist verbunden und in Ordnung.",
      attention: {
        one: "{n} Verbindung erfordert Ihre Aufmerksamkeit",
        other: "{n} Verbindungen erfordern Ihre Aufmerksamkeit",
      },
      none: "Zurzeit ist nichts verbunden.",
      settling: "Einige Verbindungen werden noch eingerichtet.",
    },
    sections: {
      attention: "Hier sind Sie gefragt",
      active: "Verbindungen",
      others: "Andere Verbindungen",
      ended: { one: "1 getrennte Verbindung", other: "{n} getrennte Verbindungen" },
    },
    empty: {
      title: "Verbinden Sie Ihre Lohnabrechnung oder Personalverwaltung",
      text: "Damit arbeitet {app} mit aktuellen Daten, ohne Tabellen und ohne Hochladen.",
      password: "Sie melden sich bei Ihrem Anbieter an. Ihr Passwort erfährt {app} nie.",
      reads: "Was {app} lesen möchte: {products}.",
      control: "Jede Verbindung steht hier, und Sie können sie jederzeit trennen.",
    },
    card: {
      logins: { one: "{n} Anmeldung", other: "{n} Anmeldungen" },
      checked: "Geprüft {when}",
      unchecked: "Noch nicht geprüft",
      login: "Anmeldung {n}",
      since: "verbunden am {date}",
      ended: "Getrennt am {date}",
      changed: "Zuletzt geändert am {date}",
      reads: "Liest",
      loginsTitle: "Anmeldungen",
      entities: { one: "{n} Gesellschaft", other: "{n} Gesellschaften" },
      companyId: "Firmen-ID",
      accountId: "Konto-ID",
      entity: "Gesellschaft {id}",
    },
    status: {
      pending: {
        label: "Wird eingerichtet",
        reason:
          "{provider} muss den Zugang noch freigeben. Das kann einige Tage dauern; zu tun ist hier nichts.",
      },
      processing: {
        label: "Wird eingerichtet",
        reason: "Die ersten Daten von {provider} sind unterwegs.",
      },
      connected: { label: "Verbunden", reason: "" },
      reauth: {
        label: "Anmeldung nötig",
        reason:
          "{provider} verlangt, dass Sie sich neu anmelden. Bis dahin kommen keine neuen Daten.",
      },
      error_permissions: {
        label: "Berechtigung fehlt",
        reason:
          "Das Konto, das Sie bei {provider} benutzt haben, darf die Daten nicht sehen. Melden Sie sich mit einem anderen an, oder lassen Sie seine Rechte erweitern.",
      },
      error_no_account_setup: {
        label: "Nicht eingerichtet",
        reason:
          "Die Einrichtung bei {provider} ist nicht abgeschlossen. Melden Sie sich neu an, um sie abzuschließen.",
      },
      unknown: {
        label: "Unklar",
        reason:
          "{provider} meldet etwas, das wir nicht kennen („{detail}“). Meist hilft es, sich neu anzumelden.",
      },
      disconnecting: {
        label: "Wird getrennt",
        reason: "{provider} muss das Ende noch bestätigen. Das geht von selbst weiter.",
      },
      disconnected: { label: "Getrennt", reason: "Es können keine Daten mehr gelesen werden." },
    },
    problem: {
      another_company:
        "Zuletzt haben Sie sich bei einer anderen Firma angemeldet, die jetzt eine eigene Verbindung ist. Diese hier wartet noch auf Sie.",
      disconnect_refused:
        "{provider} wollte diese Verbindung nicht beenden. Melden Sie sich neu an, und trennen Sie sie dann noch einmal.",
    },
    product: {
      benefits: "Zusatzleistungen",
      company: "Firmendaten",
      deduction: "Abzüge",
      directory: "Beschäftigtenverzeichnis",
      documents: "Dokumente",
      employment: "Stellen und Einkommen",
      individual: "Personendaten",
      payment: "Lohnsummen",
      pay_statement: "Lohnabrechnungen",
      plans: "Leistungspläne",
      plans_dependents: "Angehörige",
      plans_enrollments: "Teilnahmen an Leistungsplänen",
      recordkeeping: "Altersvorsorge",
      ssn: "Sozialversicherungsnummern",
    },
    confirm: {
      checking: "Einen Moment: Wir sehen nach, was verbunden wurde …",
      title: "Waren Sie das?",
      text: "Gerade hat sich jemand bei einem Anbieter angemeldet, um dieses Konto zu verbinden. Verbinden Sie es nur, wenn Sie das waren und die Firma kennen.",
      provider: "Anbieter",
      company: "Firma",
      yes: "Ja, verbinden",
      no: "Nein, das war ich nicht",
      rejected: "Nichts wurde verbunden",
      rejectedText: "Was begonnen wurde, endet von selbst binnen eines Tages.",
      foreign: "Das ist nicht für Ihr Konto",
      foreignText:
        "Die Anmeldung, von der Sie zurückkommen, wurde mit einem anderen Konto begonnen oder ist zu lange her. Haben Sie sie selbst begonnen, dann melden Sie sich hier mit jenem Konto an.",
    },
    result: {
      connected: "{name} ist verbunden",
      connectedText: "Die ersten Daten brauchen vielleicht einige Minuten.",
      settling: "{name} wird eingerichtet",
      again: "{name} war schon verbunden",
      againText: "Der Zugang wurde erneuert. Sonst hat sich nichts geändert.",
      login: "Eine weitere Anmeldung gehört jetzt zu {name}",
      loginText: "Die anderen Anmeldungen bleiben, wie sie sind.",
      repaired: "{name} ist wieder in Ordnung",
      repairedText: "Neue Daten kommen wieder wie zuvor.",
      another: "{name} ist verbunden, aber es ist nicht die Verbindung, um die es ging",
      anotherText:
        "Sie haben sich bei etwas anderem angemeldet. Das ist jetzt eine eigene Verbindung; die andere braucht Sie noch.",
      unhealthy: "{name} ist verbunden, aber noch nicht in Ordnung",
      pending: "Fast geschafft",
      pendingText:
        "Finch ist noch nicht fertig. Ihre Verbindung erscheint hier von selbst, meist binnen Minuten.",
      failed: "Das hat nicht geklappt",
      refused: "Nichts wurde verbunden",
      closedText: "Sie haben Finch Connect vor dem Ende geschlossen.",
      disconnected: "{name} ist getrennt",
      disconnectedText: "Von jetzt an kann {app} hier nichts mehr lesen.",
      disconnecting: "{name} wird getrennt",
      disconnectingText:
        "Der Anbieter muss es noch bestätigen. Das geht von selbst weiter, auch wenn Sie diese Seite verlassen.",
      stale: "Diese Liste konnte nicht aktualisiert werden",
      staleText: "Stand: {when}.",
      unavailable: "Ihre Verbindungen können nicht gezeigt werden",
    },
    dialog: {
      title: "{name} trennen?",
      stops: "{app} erhält dann keine Daten mehr von {provider} für {company}. Das beendet:",
      entities: "Es endet für alle ihre Gesellschaften: {names}.",
      stays: "Ihre anderen Verbindungen bleiben, wie sie sind.",
      undo: "Um es rückgängig zu machen, müssten Sie sich bei {provider} neu anmelden.",
      working: "Wird getrennt …",
    },
    changed: "{name}: {status}",
    failure: {
      access_denied: "Sie haben Finch Connect verlassen, ohne den Zugang zu erlauben.",
      cannot_connect:
        "Diese Firma kann nicht mit Ihrem Konto verbunden werden, meist weil ein anderes Konto sie hat. Trennen Sie sie zuerst dort, oder kontaktieren Sie den Support.",
      code_rejected: "Finch hat diesen Versuch nicht angenommen. Bitte verbinden Sie neu.",
      connection_busy:
        "Diese Verbindung wird gerade geändert. Warten Sie einen Moment, und versuchen Sie es erneut.",
      connection_ended:
        "Die Verbindung endete beim Anbieter, bevor sie fertig war. Bitte verbinden Sie neu.",
      connection_not_found: "Diese Verbindung gibt es nicht mehr.",
      customer_unknown:
        "Ihre Anmeldung sagt nicht, zu welchem Konto Sie gehören. Melden Sie sich neu an, oder kontaktieren Sie den Support.",
      disconnect_refused:
        "Der Anbieter wollte diese Verbindung nicht beenden. Melden Sie sich dort neu an, und trennen Sie sie dann noch einmal.",
      exchange_uncertain:
        "Die Antwort von Finch ging unterwegs verloren. Bitte verbinden Sie neu: Dem steht nichts im Weg.",
      finch_misconfigured:
        "Verbinden geht zurzeit nicht. Wir wissen davon; bitte versuchen Sie es später.",
      finch_refused:
        "Finch hat diese Anfrage nicht angenommen. Bitte versuchen Sie es erneut, oder mit einem anderen Anbieter.",
      finch_unavailable:
        "Finch ist zurzeit nicht zu erreichen. Bitte versuchen Sie es in einigen Minuten erneut.",
      not_allowed:
        "Ihre Anmeldung erlaubt das nicht. Melden Sie sich neu an, oder kontaktieren Sie den Support.",
      internal_error: "Bei uns ging etwas schief. Bitte versuchen Sie es erneut.",
      invalid_request: "An dieser Anfrage stimmte etwas nicht. Bitte fangen Sie neu an.",
      return_to_not_allowed:
        "Diese Seite darf keine Verbindung beginnen. Öffnen Sie sie unter ihrer üblichen Adresse.",
      route_not_found: "Diesen Teil des Dienstes gibt es nicht. Bitte laden Sie die Seite neu.",
      session_expired: "Dieser Link oder Versuch ist zu alt. Bitte verbinden Sie neu.",
      session_not_found:
        "Dieser Versuch ist nicht bekannt oder nicht Ihrer. Bitte verbinden Sie neu.",
      session_used:
        "Dieser Versuch wurde schon benutzt. Steht Ihre Verbindung nicht hier, dann verbinden Sie neu.",
      signature_invalid: "Diese Nachricht kommt nicht von Finch.",
      too_many_logins:
        "Diese Verbindung hat so viele Anmeldungen, wie sie halten kann. Trennen Sie sie, und verbinden Sie sie neu.",
      too_many_requests: "Das war zu oft. Warten Sie einen Moment, und versuchen Sie es erneut.",
      unauthorized: "Ihre Anmeldung ist abgelaufen. Bitte melden Sie sich neu an.",
      unreachable: "Der Dienst antwortet nicht. Prüfen Sie Ihr Netz, und versuchen Sie es erneut.",
      unexpected: "Etwas Unerwartetes ist geschehen. Bitte versuchen Sie es erneut.",
    },
  },
};

// What people call the providers, until the API says it.
const PROVIDERS = {
  adp_run: "RUN Powered by ADP",
  bamboo_hr: "BambooHR",
  gusto: "Gusto",
  justworks: "Justworks",
  paychex_flex: "Paychex Flex",
  rippling: "Rippling",
  trinet: "TriNet",
};

const NEEDS_A_PERSON = ["reauth", "error_permissions", "error_no_account_setup", "unknown"];
const OUTCOMES = ["connected", "confirm", "pending"];
// After these a person is better off with support than with another try.
const FOR_SUPPORT = [
  "cannot_connect",
  "customer_unknown",
  "finch_misconfigured",
  "not_allowed",
  "too_many_logins",
];
// After these the same completion code, or the same code of Finch, may still be accepted.
const WORTH_ANOTHER_TRY = [
  "connection_busy",
  "finch_misconfigured",
  "finch_unavailable",
  "internal_error",
  "too_many_requests",
  "unauthorized",
  "unexpected",
  "unreachable",
];

// What API Gateway's own refusals are called here; the others are a service that does not answer.
const OF_THE_GATEWAY = {
  403: "not_allowed",
  404: "route_not_found",
  413: "invalid_request",
  429: "too_many_requests",
};

// What is filled into texts and comes from nobody else.
const OURS = ["action", "date", "id", "n", "status", "when"];

const PAGE_SIZE = 25;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
// The API gives up after 30 seconds.
const PATIENCE = 40 * SECOND;
const SLOW = 5 * SECOND;
// How soon to look again while something is under way, and while nothing is; each look that brings
// nothing new makes the next one wait longer.
const WATCHING = { first: 2 * SECOND, longest: 30 * SECOND, factor: 1.6 };
const RESTING = { first: MINUTE, longest: 5 * MINUTE, factor: 1.5 };
// The names of a new connection come a minute or two after it.
const NAMES_WITHIN = 5 * MINUTE;
// What is not there by then is found by the next look at the list.
const WAITS_FOR = 15 * MINUTE;
// What nobody confirms in a day is ended.
const CONFIRM_WITHIN = 24 * 60 * MINUTE;

const STYLES = `
:host {
  --_text: var(--finch-text, light-dark(#1b2430, #e8ecf1));
  --_soft: var(--finch-text-soft, light-dark(#556070, #a3adba));
  --_surface: var(--finch-surface, light-dark(#ffffff, #171c23));
  --_line: var(--finch-line, light-dark(#e1e5ea, #2c343f));
  --_accent: var(--finch-accent, light-dark(#3347c9, #9db0ff));
  --_on-accent: var(--finch-on-accent, light-dark(#ffffff, #10183f));
  --_good: var(--finch-good, light-dark(#12704a, #5fd3a2));
  --_wait: var(--finch-wait, light-dark(#845100, #f0b955));
  --_bad: var(--finch-bad, light-dark(#b3261e, #ff8f85));
  --_on-bad: var(--finch-on-bad, light-dark(#ffffff, #3a0906));
  --_radius: var(--finch-radius, 12px);
  --_control: calc(var(--_radius) * 0.66);
  --_shadow: 0 1px 2px light-dark(rgb(20 30 50 / 6%), rgb(0 0 0 / 40%));
  display: block;
  container-type: inline-size;
  /* What is a container has no width of its own; where the page asks for one, this is said. */
  contain-intrinsic-inline-size: min(46em, 100vw - 2em);
  min-inline-size: 0;
  max-inline-size: 100%;
  color: var(--_text);
  font-family: var(--finch-font, inherit);
  line-height: 1.5;
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }
h2, h3, h4, h5, p, ul, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }
button { font: inherit; color: inherit; }
bdi { overflow-wrap: anywhere; }
time { white-space: nowrap; }
svg { flex: none; width: 1.25em; height: 1.25em; }
.unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
.root { display: grid; gap: 1.5em; }
.all > :empty { display: none; }

header { display: flex; gap: 1em; align-items: center; justify-content: space-between; }
h2 { font-size: 1.375em; line-height: 1.25; font-weight: 650; letter-spacing: -0.015em; text-wrap: balance; }
h2:focus, h3:focus { outline: none; }
.summary { display: flex; gap: 0.4em; align-items: center; margin-top: 0.2em; color: var(--_soft); font-size: 0.9375em; }
.summary.bad { color: var(--tone); font-weight: 550; }
.group { display: grid; gap: 0.75em; }
.group > h3, .ended > summary { font-size: 0.8125em; font-weight: 600; color: var(--_soft); }
.ended > summary h3 { display: flex; gap: 0.4em; align-items: center; font: inherit; }

.button {
  display: inline-flex; gap: 0.5em; align-items: center; justify-content: center;
  min-height: 2.67em; padding: 0.43em 1em;
  border: 1px solid var(--_line); border-radius: var(--_control);
  background: var(--_surface); color: var(--_text);
  font-size: 0.9375em; font-weight: 550; line-height: 1.25; text-decoration: none; cursor: pointer;
  transition: background-color 120ms, border-color 120ms, box-shadow 120ms;
}
.button:hover { background: color-mix(in oklab, var(--_surface), var(--_text) 5%); border-color: color-mix(in oklab, var(--_line), var(--_text) 18%); }
.button:active { background: color-mix(in oklab, var(--_surface), var(--_text) 10%); }
.button.primary { border-color: transparent; background: var(--_accent); color: var(--_on-accent); box-shadow: var(--_shadow); }
.button.primary:hover { background: color-mix(in oklab, var(--_accent), var(--_text) 14%); }
.button.danger { border-color: transparent; background: var(--_bad); color: var(--_on-bad); }
.button.danger:hover { background: color-mix(in oklab, var(--_bad), var(--_text) 14%); }
.button.quiet { border-color: transparent; background: none; color: var(--_soft); }
.button.quiet:hover { background: color-mix(in oklab, transparent, var(--_text) 7%); color: var(--_text); }
.button.quiet.ends { color: var(--_bad); }
.button.icon { padding: 0.43em; min-width: 2.67em; }
.button[aria-disabled="true"] { cursor: progress; }
.button[aria-disabled="true"]:not(.busy) { opacity: 0.55; }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
.chevron { transition: rotate 160ms; }
[aria-expanded="true"] .chevron, [open] > summary .chevron { rotate: 180deg; }

.spinner {
  flex: none; width: 1em; height: 1em; border-radius: 50%;
  border: 2px solid color-mix(in oklab, currentcolor 30%, transparent); border-top-color: currentcolor;
  animation: turn 800ms linear infinite;
}
@keyframes turn { to { rotate: 1turn; } }

.cards { display: grid; gap: 0.75em; }
.card {
  border: 1px solid var(--_line); border-radius: var(--_radius);
  background: var(--_surface); box-shadow: var(--_shadow);
  animation: appear 220ms ease-out;
}
@keyframes appear { from { opacity: 0; translate: 0 4px; } }
.row { display: grid; grid-template-columns: auto minmax(0, 1fr) auto auto; gap: 0.25em 0.9em; align-items: center; padding: 0.9em 1em; }
.mark {
  display: grid; place-items: center; width: 2.67em; height: 2.67em; border-radius: calc(var(--_radius) * 0.75);
  background: light-dark(oklch(0.94 0.04 var(--hue, 250)), oklch(0.32 0.05 var(--hue, 250)));
  color: light-dark(oklch(0.42 0.11 var(--hue, 250)), oklch(0.88 0.08 var(--hue, 250)));
  font-size: 0.9375em; font-weight: 650; letter-spacing: -0.01em; user-select: none;
}
.who h4 {
  font-size: 1em; font-weight: 600; line-height: 1.35;
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden;
}
.who { overflow: hidden; }
.facts { display: flex; flex-wrap: wrap; margin-inline-start: -0.95em; color: var(--_soft); font-size: 0.875em; line-height: 1.45; }
.facts > * { max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
/* What is written on them ends where the other buttons end. */
.row > .quiet, .body .quiet { padding-inline: 0.6em; margin-inline-end: -0.6em; }
/* At the beginning of a line it is outside of what is seen. */
.facts > ::before { content: "·"; content: "·" / ""; display: inline-block; width: 0.95em; text-align: center; color: color-mix(in oklab, var(--_soft), transparent 35%); }

.status { display: inline-flex; gap: 0.45em; align-items: center; font-size: 0.8125em; font-weight: 600; white-space: nowrap; color: var(--tone); }
.chip { padding: 0.2em 0.74em 0.2em 0.62em; border-radius: 99px; background: color-mix(in oklab, var(--_surface), var(--tone) 11%); }
.status::before { content: ""; width: 0.5em; height: 0.5em; border-radius: 50%; background: currentcolor; }
.status.spins::before { content: none; }
.good { --tone: var(--_good); }
.wait { --tone: var(--_wait); }
.bad { --tone: var(--_bad); }
.over, .info { --tone: var(--_soft); }

.reason {
  grid-column: 2 / -1; display: flex; gap: 0.75em 1.33em; align-items: center; justify-content: space-between;
  margin-top: 0.45em; color: var(--_soft); font-size: 0.9375em; text-wrap: pretty;
}
.card.attention { border-color: color-mix(in oklab, var(--_line), var(--tone) 55%); }
.card.attention .row { background: color-mix(in oklab, transparent, var(--tone) 5%); border-radius: calc(var(--_radius) - 1px); }
.card.attention .reason { color: var(--_text); }
.reason .button { flex: none; font-size: 1em; }

.body { display: grid; gap: 1.1em; padding: 1em; border-top: 1px solid var(--_line); }
.body h5 { font-size: 0.8125em; font-weight: 600; color: var(--_soft); }
.logins { display: grid; }
.logins > li { padding: 0.6em 0; border-bottom: 1px solid var(--_line); }
.logins > li:last-child { border-bottom: 0; padding-bottom: 0; }
.login { display: flex; flex-wrap: wrap; gap: 0.1em 0.9em; align-items: baseline; justify-content: space-between; }
.login strong { font-weight: 600; font-size: 0.9375em; }
.login .status { color: var(--tone); }
.small { color: var(--_soft); font-size: 0.875em; text-wrap: pretty; }
.first::first-letter { text-transform: uppercase; }
.known { display: grid; gap: 0.25em; font-size: 0.875em; }
.known > div { display: grid; grid-template-columns: 7em minmax(0, 1fr); gap: 0.9em; }
.known dt { color: var(--_soft); }
.entities { display: grid; gap: 0.3em; margin-top: 0.5em; font-size: 0.875em; }
.entities li { display: flex; gap: 0.9em; justify-content: space-between; padding-inline-start: 0.8em; border-inline-start: 2px solid var(--_line); }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
.actions { display: flex; flex-wrap: wrap; gap: 0.6em; align-items: center; }
.body .actions { justify-content: space-between; }

.notice {
  display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 0 0.8em;
  padding: 0.9em 1em; border-radius: var(--_radius);
  border: 1px solid color-mix(in oklab, var(--_line), var(--tone) 40%);
  background: color-mix(in oklab, var(--_surface), var(--tone) 7%);
  animation: appear 220ms ease-out;
}
.notice > svg, .notice > .spinner { margin-top: 0.12em; color: var(--tone); }
.notice > .spinner { width: 1.15em; height: 1.15em; }
.notice h3 { font-size: 1em; font-weight: 600; }
.notice p { color: var(--_soft); font-size: 0.9375em; text-wrap: pretty; overflow-wrap: anywhere; }
.notice .actions { margin-top: 0.7em; }
.notice .close { margin: -0.48em -0.53em 0 0; align-self: start; }
.notice small { font-size: 0.875em; }

.question { padding: 1.5em; border: 1px solid color-mix(in oklab, var(--_line), var(--_accent) 55%); border-radius: var(--_radius); background: var(--_surface); box-shadow: 0 8px 30px light-dark(rgb(20 30 50 / 9%), rgb(0 0 0 / 45%)); display: grid; gap: 1em; animation: appear 220ms ease-out; }
.question h3 { font-size: 1.25em; font-weight: 650; letter-spacing: -0.01em; }
.question p { color: var(--_soft); text-wrap: pretty; }
.facts-list { display: grid; gap: 0.5em; padding: 0.9em 1em; border-radius: var(--_control); background: color-mix(in oklab, var(--_surface), var(--_text) 4%); }
.facts-list > div { display: grid; grid-template-columns: minmax(5.5em, auto) minmax(0, 1fr); gap: 0.9em; }
.facts-list dt { color: var(--_soft); }
.facts-list dd { display: grid; gap: 0.25em; font-weight: 600; }

.empty { display: grid; justify-items: center; gap: 1.1em; padding: 2.75em 1.5em; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface); text-align: center; box-shadow: var(--_shadow); }
.empty > svg { width: 11em; height: auto; color: var(--_accent); }
.empty h3 { font-size: 1.25em; font-weight: 650; letter-spacing: -0.01em; text-wrap: balance; }
.empty > p { max-width: 30em; color: var(--_soft); margin-top: -0.6em; text-wrap: balance; }
.empty ul { display: grid; gap: 0.7em; max-width: 32em; text-align: start; font-size: 0.9375em; }
.empty li { display: grid; grid-template-columns: auto 1fr; gap: 0.7em; color: var(--_soft); text-wrap: pretty; }
.empty li svg { margin-top: 0.1em; color: var(--_good); }
.empty .button { margin-top: 0.43em; min-height: 2.93em; padding-inline: 1.4em; }

.bone { border-radius: 6px; background: color-mix(in oklab, var(--_surface), var(--_text) 9%); animation: breathe 1.4s ease-in-out infinite alternate; }
.bone.mark { border-radius: calc(var(--_radius) * 0.75); }
.bone.line { height: 0.85em; }
@keyframes breathe { to { background: color-mix(in oklab, var(--_surface), var(--_text) 4%); } }
.bones { display: grid; gap: 0.5em; }
.bones :first-child { width: min(17em, 70%); }
.bones :last-child { width: min(11em, 45%); }
.card.still { animation: none; box-shadow: none; }
.slow { color: var(--_soft); font-size: 0.875em; text-align: center; }

.ended > summary { display: inline-block; padding: 0.43em 0.74em; margin-inline-start: -0.74em; border-radius: var(--_control); cursor: pointer; list-style: none; }
.ended > summary::-webkit-details-marker { display: none; }
.ended > summary:hover { color: var(--_text); background: color-mix(in oklab, transparent, var(--_text) 6%); }
.ended > .cards { margin-top: 0.6em; }
.ended .card { box-shadow: none; background: none; }
.ended .mark { filter: grayscale(1); }
.more { justify-self: center; }

dialog {
  width: min(31em, calc(100vw - 2em)); max-height: min(42em, calc(100dvh - 2em)); padding: 0; overflow: auto;
  border: 1px solid var(--_line); border-radius: calc(var(--_radius) * 1.15);
  background: var(--_surface); color: var(--_text);
  box-shadow: 0 20px 60px rgb(10 15 30 / 30%);
}
dialog[open] { animation: appear 180ms ease-out; }
dialog::backdrop { background: rgb(12 16 26 / 50%); }
.sheet { display: grid; gap: 1em; padding: 1.5em; }
.sheet h2 { font-size: 1.25em; text-wrap: pretty; }
.sheet p { color: var(--_soft); text-wrap: pretty; }
.sheet ul { display: grid; gap: 0.6em; padding: 0.9em 1em; border-radius: var(--_control); background: color-mix(in oklab, var(--_surface), var(--_text) 4%); }
/* In sight however long the rest is, so that the focus on it leaves the beginning in sight as well. */
.sheet .actions { position: sticky; bottom: 0; justify-content: flex-end; margin: 0 -1.5em -1.5em; padding: 0.75em 1.5em 1.5em; background: var(--_surface); }

@container (width < 36em) {
  header { align-items: stretch; flex-direction: column; }
  .row { grid-template-columns: auto minmax(0, 1fr) auto; align-items: start; padding: 0.9em; }
  .row > .status { grid-column: 2; grid-row: 2; justify-self: start; }
  .row > .toggle { grid-column: 3; grid-row: 1; margin-top: -0.15em; }
  .toggle .words { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .row > .again { grid-column: 1 / -1; justify-self: stretch; margin: 0.4em 0 0; }
  .facts > :first-child { flex-basis: 100%; }
  .reason { grid-column: 1 / -1; flex-direction: column; align-items: stretch; margin-top: 0.35em; }
  .reason .button, .question .button, .empty .button { width: 100%; }
  .body .button { flex: 1 1 auto; margin: 0; }
  .empty { padding: 2em 1.1em; }
}
@media (width < 36rem) {
  dialog { width: calc(100vw - 1.5em); margin-bottom: 0.75em; }
  .sheet .button { flex: 1 1 auto; }
}
@media (width < 36rem) and (height >= 30rem) {
  .sheet .actions { flex-direction: column-reverse; align-items: stretch; }
}
@media (prefers-reduced-motion: reduce) {
  *, ::before, ::after { animation-duration: 1ms !important; animation-iteration-count: 1 !important; transition-duration: 1ms !important; }
  .spinner { border-top-color: color-mix(in oklab, currentcolor 30%, transparent); border-inline-end-color: currentcolor; }
}
@media (forced-colors: active) {
  .status::before { background: CanvasText; }
  .spinner { forced-color-adjust: none; border-color: GrayText; border-top-color: CanvasText; }
  .bone { background: GrayText; }
}
`;

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLES);

// Building the page. A name from outside is always a text node of its own, so that it can neither
// be markup nor turn the direction of the words around it.

function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(2).filter((child) => child != null && child !== false));
  return element;
}

const ICONS = {
  alert:
    "M10 6.5v4M10 13.6v.1M8.7 3.2 1.9 15a1.5 1.5 0 0 0 1.3 2.2h13.6a1.5 1.5 0 0 0 1.3-2.2L11.3 3.2a1.5 1.5 0 0 0-2.6 0Z",
  check: "M6.5 10.3 9 12.8l4.6-5.3M17.5 10a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0Z",
  chevron: "m5.5 8 4.5 4.5L14.5 8",
  close: "m5.5 5.5 9 9m0-9-9 9",
  info: "M10 9.3v4.2M10 6.5v.1M17.5 10a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0Z",
  plus: "M10 4.5v11M4.5 10h11",
};

function icon(name) {
  return drawing("0 0 20 20", [["path", { d: ICONS[name] }]], name);
}

function drawing(viewBox, shapes, name = "") {
  const draw = (tag, attributes) => {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    return shape;
  };
  const picture = draw("svg", {
    viewBox,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "1.6",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    "aria-hidden": "true",
    class: name,
  });
  picture.append(...shapes.map(([tag, attributes]) => draw(tag, attributes)));
  return picture;
}

const PICTURE = [
  ["rect", { x: 6, y: 14, width: 58, height: 62, rx: 9, opacity: 0.55 }],
  ["path", { d: "M18 31h34M18 43h22M18 55h28", opacity: 0.35 }],
  ["rect", { x: 126, y: 14, width: 58, height: 62, rx: 9, opacity: 0.55 }],
  ["path", { d: "M139 58V46m11 12V34m11 24V41m10 17V29", opacity: 0.35 }],
  ["path", { d: "M64 45h17m28 0h17" }],
  ["circle", { cx: 95, cy: 45, r: 14 }],
  ["path", { d: "m89.500 45.300 4 4 7-8" }],
];

// What the address says on the return from Finch Connect is read once, when this file is loaded,
// and taken out of it at once: a completion code is to stay in no history. It waits in this tab
// until a person has decided about it, through a sign-in or a reload in between.

const stored = {
  key: "finch-connections:",
  read(name) {
    try {
      return JSON.parse(sessionStorage.getItem(this.key + name));
    } catch {
      return null;
    }
  },
  write(name, value) {
    try {
      if (value) sessionStorage.setItem(this.key + name, JSON.stringify(value));
      else sessionStorage.removeItem(this.key + name);
    } catch {
      // Without storage a reload forgets it, no more.
    }
  },
};

function takeLanding() {
  const url = new URL(location.href);
  const completion = new URLSearchParams(url.hash.slice(1)).get("completion");
  const pairs = [...url.searchParams];
  const last = (name) => pairs.findLastIndex(([one]) => one === name);
  const value = (name) => pairs[last(name)]?.[1];
  const error = value("error");
  const ours =
    OUTCOMES.includes(value("status")) ||
    // An answer of the page's own sign-in has its state.
    (error && Object.hasOwn(TEXTS.en.failure, error) && !url.searchParams.has("state"));
  if (ours) {
    const landing = { error, status: value("status"), completion, at: Date.now() };
    for (const name of ["provider_id", "company_id", "repaired"]) landing[name] = value(name);
    // Only what was added last: a page may have parameters of its own, even of these names.
    const names = ["status", "error", "provider_id", "company_id", "repaired"];
    const added = new Set(names.map(last));
    url.search = new URLSearchParams(pairs.filter((_, place) => !added.has(place)));
    url.hash = "";
    history.replaceState(history.state, "", url);
    if (completion) stored.write("return", landing);
    return landing;
  }
  url.hash = "";
  if (completion) history.replaceState(history.state, "", url);
  const kept = stored.read("return");
  return kept?.at > Date.now() - CONFIRM_WITHIN ? kept : null;
}

let landed = takeLanding();
// A completion code is asked about once, and waits for a click; the rest is only to be told.
const untold = () => landed && !landed.completion;

const keyOf = ({ provider_id, company_id }) => `${provider_id}#${company_id}`;

function pathOf({ provider_id, company_id }) {
  const parts = [provider_id, company_id].map(encodeURIComponent);
  // The browser would take these out, and ask for something else.
  if (parts.some((part) => part === "." || part === "..")) {
    throw new Refused("connection_not_found");
  }
  return `/connections/${parts.join("/")}`;
}

class Refused extends Error {
  constructor(code, reference) {
    super(code);
    this.code = code;
    this.reference = reference;
  }

  static by(error) {
    if (error instanceof Refused) return error;
    console.error(error);
    return new Refused("unexpected");
  }
}

/** The element. Its attributes, properties and events are in the README. */
export class FinchConnections extends HTMLElement {
  static observedAttributes = ["api-url", "lang", "app-name", "products", "support-url", "mode"];

  // Settings.
  #getAccessToken = null;
  #texts = {};
  #finchConnect = null;
  // What there is to show.
  #connections = new Map();
  #phase = "loading";
  #cursor = null;
  #updatedAt = 0;
  #notice = null;
  #question = null;
  #stale = null;
  #read = 0;
  #askedAt = 0;
  #told = new WeakSet();
  #slow = false;
  #busy = null;
  #open = new Set();
  #endedOpen = false;
  #dialog = null;
  // What is under way.
  #run = null;
  #epoch = 0;
  #reading = null;
  #looking = false;
  #waiting = null;
  #timer = 0;
  #pause = 0;
  #ticker = 0;
  #channel = null;
  #frame = null;
  #inside = null;
  #painted = new WeakMap();
  #cards = new Map();
  #parts = {};
  #observer = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const p = this.#parts;
    p.live = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
    p.header = h("header", { part: "header" });
    p.top = h("div", { class: "root" });
    p.attention = h("section", { class: "group", "aria-labelledby": "attention", hidden: true });
    p.active = h("section", { class: "group", "aria-labelledby": "active", hidden: true });
    p.ended = h("details", {
      class: "ended",
      hidden: true,
      ontoggle: () => (this.#endedOpen = p.ended.open),
    });
    p.rest = h("div", { class: "root" });
    p.lists = {};
    for (const name of ["attention", "active"]) {
      p.lists[name] = h("ul", { class: "cards" });
      p[name].append(h("h3", { id: name }), p.lists[name]);
    }
    p.lists.ended = h("ul", { class: "cards" });
    p.ended.append(h("summary", { "data-act": "ended" }, h("h3")), p.lists.ended);
    p.dialog = h("dialog", {
      part: "dialog",
      "aria-labelledby": "dialog-title",
      "aria-describedby": "dialog-text dialog-ends",
      oncancel: (event) => this.#dialog?.working && event.preventDefault(),
      // The event comes later than the end, and by then it may have been opened again.
      onclose: () => p.dialog.open || this.#dialogClosed(),
      onclick: (event) => event.target === p.dialog && !this.#dialog?.working && p.dialog.close(),
    });
    const shown = [p.header, p.top, p.attention, p.active, p.rest, p.ended];
    p.all = h("div", { class: "root all" }, shown);
    // What is said is beside what is busy, where nothing is read aloud.
    root.append(p.live, p.all, p.dialog);
  }

  // What a page sets before this file is loaded is still there afterwards.
  connectedCallback() {
    for (const name of ["getAccessToken", "texts", "finchConnect"]) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    this.#channel = globalThis.BroadcastChannel ? new BroadcastChannel("finch-connections") : null;
    this.#channel?.addEventListener("message", this.#onNews);
    document.addEventListener("visibilitychange", this.#onVisible);
    window.addEventListener("pageshow", this.#onShown);
    window.addEventListener("online", this.#onNews);
    this.#ticker = setInterval(() => this.#tellTimes(), MINUTE / 2);
    this.#start();
  }

  disconnectedCallback() {
    this.#run?.abort();
    this.#run = null;
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    this.#channel?.close();
    this.#leaveFrame();
    this.#observer?.disconnect();
    document.removeEventListener("visibilitychange", this.#onVisible);
    window.removeEventListener("pageshow", this.#onShown);
    window.removeEventListener("online", this.#onNews);
  }

  attributeChangedCallback(name, before, after) {
    if (!this.#run || before === after) return;
    if (name === "api-url") this.#start();
    else this.#render();
  }

  /** Answers an access token of the application, or a promise of one; after a 401 with `refresh`. */
  get getAccessToken() {
    return this.#getAccessToken;
  }

  set getAccessToken(ask) {
    if (ask === this.#getAccessToken) return;
    this.#getAccessToken = ask;
    if (this.isConnected) this.#start();
  }

  /** Texts instead of those of `TEXTS`, in the same form; what is missing stays. */
  get texts() {
    return this.#texts;
  }

  set texts(texts) {
    this.#texts = texts ?? {};
    this.#painted = new WeakMap();
    if (this.#run) this.#render();
  }

  /** Finch's SDK, where it is not the global `FinchConnect`. */
  get finchConnect() {
    return this.#finchConnect ?? globalThis.FinchConnect ?? null;
  }

  set finchConnect(sdk) {
    this.#leaveFrame();
    this.#finchConnect = sdk;
  }

  /** Reads everything again; resolves when it is shown. */
  async refresh() {
    // What is being read may be older than what the page asks for now.
    while (this.#reading) await this.#reading;
    await this.#reload();
  }

  // Texts and moments.

  get #language() {
    const asked = this.lang || this.closest("[lang]")?.lang || navigator.language;
    try {
      const [language] = Intl.getCanonicalLocales(asked);
      return Object.hasOwn(TEXTS, language.split("-")[0]) ? language : "en";
    } catch {
      return "en";
    }
  }

  #text(path, count) {
    const find = (table) => path.split(".").reduce((inner, key) => inner?.[key], table);
    const found = find(this.#texts) ?? find(TEXTS[this.#language.split("-")[0]]) ?? find(TEXTS.en);
    if (typeof found !== "object" || found === null) return found ?? "";
    return found[new Intl.PluralRules(this.#language).select(count)] ?? found.other;
  }

  // A text as nodes: what is filled in is isolated from the words around it.
  #say(path, values = {}) {
    const fill = (name) =>
      name === "name" && values.name === undefined
        ? this.#say("named", values)
        : h("bdi", {}, this.#value(name, values));
    return this.#text(path, values.n)
      .split(/\{(\w+)\}/)
      .flatMap((part, place) => (place % 2 ? fill(part) : part))
      .filter((part) => part !== "");
  }

  // The same as one string, for where no elements can be.
  #plain(path, values = {}) {
    return this.#text(path, values.n).replace(/\{(\w+)\}/g, (_, name) => {
      const value = this.#value(name, values);
      return OURS.includes(name) ? value : `\u2068${value}\u2069`;
    });
  }

  #value(name, values) {
    if (name === "app") return this.getAttribute("app-name") || this.#text("theApplication");
    if (name === "name" && values.name === undefined) return this.#plain("named", values);
    if (name === "n") return new Intl.NumberFormat(this.#language).format(values.n);
    return String(values[name] ?? "");
  }

  #date(moment) {
    return new Intl.DateTimeFormat(this.#language, { dateStyle: "medium" }).format(
      new Date(moment),
    );
  }

  #ago(moment) {
    const minutes = Math.min(0, Math.round((new Date(moment) - Date.now()) / MINUTE));
    const format = new Intl.RelativeTimeFormat(this.#language, { numeric: "auto" });
    if (!minutes) return this.#text("justNow");
    if (minutes > -60) return format.format(minutes, "minute");
    if (minutes > -60 * 24) return format.format(Math.round(minutes / 60), "hour");
    return format.format(Math.round(minutes / 60 / 24), "day");
  }

  #time(path, moment) {
    const time = h("time", { datetime: moment, "data-path": path });
    time.textContent = this.#plain(path, { when: this.#ago(moment) });
    return time;
  }

  #tellTimes() {
    if (document.hidden) return;
    for (const time of this.shadowRoot.querySelectorAll("time[data-path]")) {
      time.textContent = this.#plain(time.dataset.path, { when: this.#ago(time.dateTime) });
    }
  }

  #list(words) {
    return new Intl.ListFormat(this.#language).format(words);
  }

  #products(products) {
    return this.#list(products.map((one) => this.#text(`product.${one}`) || one));
  }

  #provider(one) {
    const elsewhere = () =>
      [...this.#connections.values()].find((other) => other.provider_id === one.provider_id);
    return (
      one.provider_name ??
      elsewhere()?.provider_name ??
      PROVIDERS[one.provider_id] ??
      one.provider_id
    );
  }

  #company(one) {
    if (one.company_name) return one.company_name;
    const names = entitiesOf(one).map((entity) => entity.name ?? entity.id);
    const [first, ...others] = [...new Set(names)].sort();
    if (!entitiesOf(one).some((entity) => entity.name)) {
      return this.#plain("unknownCompany", { id: one.company_id.slice(0, 8) });
    }
    return others.length ? this.#plain("andMore", { name: first, n: others.length }) : first;
  }

  #names(one) {
    return { provider: this.#provider(one), company: this.#company(one) };
  }

  // Speaking with the API.

  async #token(refresh) {
    if (this.#getAccessToken) return this.#getAccessToken({ refresh });
    let provided;
    const provide = (token) => (provided = token);
    this.#tell("finch-access-token", { refresh, provide });
    return provided;
  }

  async #call(method, path, body, signal = this.#run.signal) {
    let answer = await this.#send(method, path, body, false, signal);
    if (answer?.status === 401) answer = await this.#send(method, path, body, true, signal);
    if (answer === null || answer.status === 401) {
      this.#tell("finch-signed-out", {});
      throw new Refused("unauthorized");
    }
    const content = await answer.json().catch(() => {
      // Cut off on the way.
      if (answer.ok) throw new Refused("unreachable");
      return {};
    });
    if (answer.ok) return content;
    // What API Gateway says itself has no code.
    const code = content.code ?? OF_THE_GATEWAY[answer.status];
    throw new Refused(code ?? "unreachable", content.request_id);
  }

  async #send(method, path, body, refresh, signal) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
    try {
      const token = await within(limit, this.#token(refresh));
      if (!token) return null;
      return await fetch(this.getAttribute("api-url").replace(/\/$/, "") + path, {
        method,
        // The binding cookie is set on an answer, and comes along on the return from Finch.
        credentials: "include",
        cache: "no-store",
        headers: {
          authorization: `Bearer ${token}`,
          ...(body && { "content-type": "application/json" }),
        },
        body: body && JSON.stringify(body),
        signal: limit,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof TypeError || error.name === "TimeoutError"
        ? new Refused("unreachable")
        : error;
    }
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  // Beginning, and reading what there is.

  #start() {
    clearTimeout(this.#timer);
    this.#run?.abort();
    this.#run = new AbortController();
    // What was begun for one customer must not be shown to the next.
    this.#connections.clear();
    this.#cards.clear();
    this.#open.clear();
    this.#cursor = this.#notice = this.#question = this.#stale = this.#busy = this.#waiting = null;
    this.#reading = null;
    this.#read = 0;
    this.#phase = "loading";
    this.#looking = this.#slow = false;
    if (this.#parts.dialog.open) this.#parts.dialog.close();
    this.#inside = null;
    this.#frame?.close();
    this.#render();
    this.#announce(this.#text("loading"));
    const run = this.#run;
    const begin = () => run === this.#run && this.isConnected && this.#begin(run);
    // The page may set its callback right after this, or in a script that comes after this one.
    if (this.#getAccessToken || document.readyState === "complete") queueMicrotask(begin);
    else window.addEventListener("load", begin, { once: true, signal: run.signal });
  }

  async #begin(run) {
    if (!this.hasAttribute("api-url")) {
      console.error("finch-connections: the attribute api-url is missing.");
      return;
    }
    const slow = setTimeout(() => {
      this.#slow = true;
      this.#render();
      this.#announce(this.#text("slow"));
    }, SLOW);
    await this.#reload();
    clearTimeout(slow);
    if (run !== this.#run) return;
    this.#slow = false;
    this.#render();
  }

  // One thing is read at a time. Answers what to call when that is over.
  #beginReading() {
    const { promise, resolve } = Promise.withResolvers();
    this.#reading = promise;
    return () => {
      if (this.#reading === promise) this.#reading = null;
      resolve();
    };
  }

  // Reads what needs a person in full, and of the others as many as are shown.
  async #reload() {
    if (this.#reading || !this.#run) return;
    const over = this.#beginReading();
    const run = this.#run,
      epoch = this.#epoch;
    const wanted = Math.max(PAGE_SIZE, this.#read);
    try {
      const found = new Map();
      const take = (page) => page.connections.forEach((one) => found.set(keyOf(one), one));
      let cursor = null;
      do {
        const page = await this.#page({ status: NEEDS_A_PERSON.join(","), limit: 100 }, cursor);
        take(page);
        cursor = page.next_cursor;
      } while (cursor);
      let count = 0;
      let last = null;
      do {
        const limit = Math.min(100, wanted - count);
        const page = await this.#page({ limit }, cursor);
        take(page);
        count += page.connections.length;
        last = page.connections.at(-1) ?? last;
        cursor = page.next_cursor;
      } while (cursor && count < wanted);
      if (run !== this.#run || epoch !== this.#epoch) return;
      this.#cursor = cursor;
      this.#absorb(found);
      // What comes after the pages that were read may be there all the same.
      for (const key of this.#connections.keys()) {
        const beyond = cursor && last && key > keyOf(last);
        if (!found.has(key) && !beyond) this.#connections.delete(key);
      }
      const first = this.#phase !== "ready";
      this.#phase = "ready";
      this.#stale = null;
      this.#updatedAt = this.#askedAt = Date.now();
      this.#read = count;
      if (first) this.#announce(this.#summary());
      // A return is told to somebody who is signed in and whom the API answers; until then it waits.
      if (first || untold()) await this.#land(run);
    } catch (error) {
      if (run.signal.aborted) return;
      const refused = Refused.by(error);
      // The same once more is not said once more.
      if (this.#stale?.code !== refused.code) {
        this.#stale = { code: refused.code, reference: refused.reference };
      }
      if (this.#phase !== "ready") this.#phase = "failed";
    } finally {
      over();
      if (run === this.#run) {
        this.#render();
        // A look does that itself.
        if (!this.#looking) this.#schedule();
      }
    }
  }

  #page(query, cursor) {
    const parameters = new URLSearchParams({ ...query, ...(cursor && { cursor }) });
    return this.#call("GET", `/connections?${parameters}`);
  }

  async #more() {
    if (this.#reading || !this.#cursor) return;
    const over = this.#beginReading();
    this.#render();
    const run = this.#run,
      epoch = this.#epoch;
    try {
      const page = await this.#page({ limit: PAGE_SIZE }, this.#cursor);
      if (run !== this.#run || epoch !== this.#epoch) return;
      this.#cursor = page.next_cursor;
      this.#read += page.connections.length;
      this.#absorb(new Map(page.connections.map((one) => [keyOf(one), one])));
    } catch (error) {
      if (run.signal.aborted) return;
      const refused = Refused.by(error);
      this.#stale = { code: refused.code, reference: refused.reference };
    } finally {
      over();
      if (run === this.#run) this.#render();
    }
  }

  // Takes over what the API says now, and says aloud what is another than before.
  #absorb(found) {
    let news = false;
    const changes = [];
    for (const [key, one] of found) {
      const before = this.#connections.get(key);
      if (JSON.stringify(before) === JSON.stringify(one)) continue;
      news = true;
      this.#connections.set(key, one);
      if (before && before.status !== one.status) {
        const status = this.#text(`status.${one.status}.label`) || one.status;
        changes.push(
          this.#plain("changed", { name: this.#plain("named", this.#names(one)), status }),
        );
      }
    }
    if (changes.length) this.#announce(changes.join(". "));
    if (news) this.#pause = 0;
  }

  #announce(words) {
    this.#parts.live.textContent = words;
  }

  // Whether this has not been said yet: what is only painted again is not said again.
  #isNews(what) {
    const known = this.#told.has(what);
    this.#told.add(what);
    return !known;
  }

  // Looking again by itself: soon while something is under way, seldom else, never while hidden.

  #underWay() {
    const young = (one) => Date.now() - new Date(one.created_at) < NAMES_WITHIN;
    return [...this.#connections.values()].filter(
      (one) =>
        one.status === "disconnecting" ||
        (one.status !== "disconnected" && !one.provider_name && young(one)),
    );
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (document.hidden || !this.#run || this.#phase === "loading") return;
    const pace = this.#underWay().length || this.#waiting || untold() ? WATCHING : RESTING;
    this.#pause = Math.min(pace.longest, Math.max(pace.first, this.#pause * pace.factor));
    this.#timer = setTimeout(() => this.#look(), this.#pause);
  }

  // Of few that are under way only those are asked for, and once a minute everything.
  async #look() {
    if (this.#looking || this.#reading || this.#busy || this.#dialog) return this.#schedule();
    const run = this.#run;
    this.#looking = true;
    const few = this.#underWay();
    const lately = this.#phase === "ready" && Date.now() - this.#askedAt < MINUTE;
    if (this.#waiting) await this.#lookAtReturn();
    else if (few.length && few.length <= 3 && lately && !untold()) await this.#lookAt(few);
    else await this.#reload();
    if (run !== this.#run) return;
    this.#looking = false;
    this.#schedule();
  }

  async #lookAt(few) {
    const run = this.#run,
      epoch = this.#epoch;
    const over = this.#beginReading();
    try {
      const found = new Map();
      for (const one of few) found.set(keyOf(one), await this.#call("GET", pathOf(one)));
      if (run === this.#run && epoch === this.#epoch) this.#absorb(found);
    } catch (error) {
      // The next look, or the next reading of all, says what there is to say.
      if (!run.signal.aborted) Refused.by(error);
    } finally {
      over();
      if (run === this.#run) this.#render();
    }
  }

  #onVisible = () => {
    if (document.hidden) return clearTimeout(this.#timer);
    this.#pause = 0;
    if (this.#phase === "loading" || Date.now() - this.#askedAt < 10 * SECOND) this.#schedule();
    else this.#look();
  };

  // Another tab has changed something, or the network is back.
  #onNews = () => {
    this.#askedAt = 0;
    if (!document.hidden) this.#onVisible();
  };

  // Back to this page from the browser's memory: what was pressed is over.
  #onShown = (event) => {
    if (!event.persisted) return;
    this.#busy = null;
    this.#render();
    this.#onVisible();
  };

  // The return from Finch Connect.

  async #land(run) {
    const landing = landed;
    if (!landing) return;
    if (landing.completion) {
      this.#question = { checking: true };
      this.#announce(this.#text("confirm.checking"));
      this.#render();
      this.#waiting = landing;
      await this.#lookAtReturn();
      return;
    }
    landed = null;
    if (landing.error) this.#refuseReturn(new Refused(landing.error));
    else if (landing.status === "pending") this.#wait({});
    else if (landing.provider_id && landing.company_id) await this.#arrived(landing, run);
  }

  // Asks what a completion code is about. It confirms nothing: that takes a click. What the address
  // has said is not believed, for anybody can write an address.
  async #lookAtReturn() {
    const run = this.#run;
    const landing = this.#waiting;
    if (!landing.completion) return this.#lookForNews();
    try {
      const said = await this.#call("POST", "/callback", {
        completion: landing.completion,
        look: true,
      });
      if (run !== this.#run) return;
      this.#answered(said, landing);
    } catch (error) {
      if (run.signal.aborted) return;
      const refused = Refused.by(error);
      if (refused.code === "session_not_found") {
        // Whoever signs in as another customer may still change that.
        this.#waiting = null;
        this.#question = null;
        this.#notice = {
          kind: "wait",
          title: "confirm.foreign",
          text: "confirm.foreignText",
          forget: true,
        };
      } else if (WORTH_ANOTHER_TRY.includes(refused.code)) {
        this.#question = null;
        this.#notice = {
          kind: "wait",
          title: "result.pending",
          text: `failure.${refused.code}`,
          reference: refused.reference,
          retry: "return",
        };
      } else {
        this.#forgetReturn();
        this.#refuseReturn(refused);
      }
    }
    this.#render();
  }

  async #answered(said, landing) {
    if (said.status === "connected") {
      this.#forgetReturn();
      await this.#arrived(said, this.#run);
    } else if (said.status === "confirm") {
      this.#waiting = null;
      this.#notice = null;
      this.#question = { ...said };
      this.#render();
      this.#focus("question");
    } else {
      this.#question = null;
      const completion = said.completion ?? landing.completion;
      this.#wait({ ...landing, completion });
    }
    this.#render();
  }

  #wait(landing) {
    if (!this.#waiting) this.#pause = 0;
    this.#waiting = { at: Date.now(), ...landing };
    this.#notice = {
      kind: "info",
      title: "result.pending",
      text: "result.pendingText",
      spins: true,
    };
  }

  // Something is on its way of which only the list will tell.
  async #lookForNews() {
    const left = stored.read("left");
    await this.#reload();
    // A link that came by mail was begun elsewhere, just before the return.
    const since = left?.at ?? this.#waiting?.at - WAITS_FOR;
    const isNew = (one) =>
      left && !left.known.includes(keyOf(one)) && one.status !== "disconnected";
    const at = (one) => Math.max(0, ...one.logins.map((login) => new Date(login.connected_at)));
    const [one] = [...this.#connections.values()]
      .filter((other) => isNew(other) || at(other) > since)
      .sort((first, second) => at(second) - at(first));
    if (!one) {
      if (Date.now() - this.#waiting?.at > WAITS_FOR) {
        this.#waiting = null;
        // It stays true, and can be dismissed now.
        if (this.#notice?.spins) this.#notice = { ...this.#notice, spins: false };
      }
      return this.#render();
    }
    this.#waiting = null;
    await this.#arrived(one, this.#run);
    this.#render();
  }

  #forgetReturn() {
    landed = null;
    this.#waiting = null;
    this.#question = null;
    stored.write("return", null);
  }

  // A connection was made: says which, as the API shows it now, and what is new about it.
  async #arrived(outcome, run) {
    const left = stored.read("left");
    let one;
    try {
      one = await this.#call("GET", pathOf(outcome));
    } catch (error) {
      if (run.signal.aborted) return;
      // It is told when that is over.
      if (Refused.by(error).code !== "connection_not_found") {
        landed = { ...outcome, status: "connected", completion: null };
      }
      return;
    }
    if (run !== this.#run || one.status === "disconnected") return;
    const key = keyOf(one);
    const known = left?.known.includes(key);
    const logins = left?.logins[key] ?? 0;
    const repaired =
      outcome.repaired === undefined ? undefined : String(outcome.repaired) === "true";
    let result = "connected";
    if (repaired === false) result = "another";
    else if (NEEDS_A_PERSON.includes(one.status)) result = "unhealthy";
    else if (repaired) result = "repaired";
    else if (known && one.logins.length > logins) result = "login";
    else if (known) result = "again";
    else if (one.status === "pending") result = "settling";
    this.#connections.set(key, one);
    this.#epoch += 1;
    this.#pause = 0;
    stored.write("left", null);
    this.#notice = {
      kind: { another: "wait", unhealthy: "wait", settling: "info" }[result] ?? "good",
      title: `result.${result}`,
      text: ["unhealthy", "settling"].includes(result)
        ? `status.${one.status}.reason`
        : `result.${result}Text`,
      about: one,
    };
    this.#tell("finch-connected", {
      provider_id: one.provider_id,
      company_id: one.company_id,
      repaired: repaired ?? null,
    });
    this.#channel?.postMessage("changed");
  }

  #refuseReturn(refused) {
    this.#refuse(refused, stored.read("left")?.act);
    stored.write("left", null);
  }

  // `again` is the button that the person has pressed.
  #refuse(refused, again = "connect") {
    const quiet = refused.code === "access_denied";
    this.#notice = {
      kind: quiet ? "info" : "bad",
      title: quiet ? "result.refused" : "result.failed",
      text: `failure.${Object.hasOwn(TEXTS.en.failure, refused.code) ? refused.code : "unexpected"}`,
      reference: refused.reference,
      support: FOR_SUPPORT.includes(refused.code),
      retry: FOR_SUPPORT.includes(refused.code) ? null : again,
    };
    this.#tell("finch-failed", { code: refused.code });
  }

  async #confirm() {
    if (this.#busy) return;
    this.#busy = "confirm";
    this.#render();
    const run = this.#run;
    const { completion } = this.#question;
    try {
      const said = await this.#call("POST", "/callback", { completion });
      if (run !== this.#run) return;
      this.#busy = null;
      await this.#answered(said, { completion, at: Date.now() });
      await this.#reload();
      this.#focus("notice");
    } catch (error) {
      if (run.signal.aborted) return;
      const refused = Refused.by(error);
      if (WORTH_ANOTHER_TRY.includes(refused.code)) {
        this.#question.failed = { code: refused.code, reference: refused.reference };
        this.#tell("finch-failed", { code: refused.code });
      } else {
        this.#forgetReturn();
        this.#refuse(refused, stored.read("left")?.act);
      }
    } finally {
      if (run === this.#run) {
        this.#busy = null;
        this.#render();
      }
    }
  }

  #reject() {
    this.#forgetReturn();
    this.#notice = { kind: "info", title: "confirm.rejected", text: "confirm.rejectedText" };
    this.#render();
    this.#focus("notice");
  }

  // Connecting and repairing.

  #embedded() {
    if (this.getAttribute("mode") === "redirect") return null;
    return typeof this.finchConnect?.initialize === "function" ? this.finchConnect : null;
  }

  // What is to be connected or repaired is in the name of the button that begins it.
  async #connect(act) {
    // A second click, or one on another button, while Finch Connect is being opened.
    if (this.#busy) return;
    this.#busy = act;
    this.#notice = null;
    this.#render();
    this.#announce(this.#text("opening"));
    const run = this.#run;
    const sdk = this.#embedded();
    const one = this.#of(act);
    const repairs = act.startsWith("repair:") && one;
    const body = {
      mode: sdk ? "embedded" : "redirect",
      ...(!repairs && {
        products: this.#asks,
        ...(one && { provider_id: one.provider_id }),
        ...(this.getAttribute("customer-name") && {
          customer_name: this.getAttribute("customer-name"),
        }),
      }),
      ...(!sdk && {
        return_to: this.getAttribute("return-to") || location.origin + location.pathname,
      }),
    };
    try {
      const path = repairs ? `${pathOf(repairs)}/reauthenticate` : "/connect-sessions";
      const begun = await this.#call("POST", path, body);
      if (run !== this.#run) return;
      this.#rememberWhatIsThere(act);
      // The page is left now, or Finch Connect is before it. Where neither came, the buttons come back.
      setTimeout(() => run === this.#run && this.#rest(act), 20 * SECOND);
      if (sdk) return this.#openInside(sdk, begun, act);
      const url = new URL(begun.connect_url);
      if (!/^https?:$/.test(url.protocol)) throw new Refused("unexpected");
      location.assign(url);
    } catch (error) {
      if (run.signal.aborted) return;
      const refused = Refused.by(error);
      this.#busy = null;
      this.#refuse(refused, act);
      if (refused.code === "connection_not_found") await this.#reload();
      this.#render();
      this.#focus("notice");
    }
  }

  // The connection that a button is about.
  #of(act) {
    return this.#connections.get(act.slice(act.indexOf(":") + 1));
  }

  #rest(act) {
    if (this.#busy !== act) return;
    this.#busy = null;
    this.#render();
  }

  get #asks() {
    return (this.getAttribute("products") || "company directory").trim().split(/[\s,]+/);
  }

  // So that the return can say what is new.
  #rememberWhatIsThere(act) {
    const there = [...this.#connections.values()].filter((one) => one.status !== "disconnected");
    stored.write("left", {
      at: Date.now(),
      act,
      known: there.map(keyOf),
      logins: Object.fromEntries(there.map((one) => [keyOf(one), one.logins.length])),
    });
  }

  #openInside(sdk, begun, act) {
    this.#inside = { begun, act, run: this.#run, failed: false };
    this.#frame ??= this.#initialize(sdk);
    this.#frame.open({ sessionId: begun.session_id, state: begun.state, zIndex: 2147483000 });
  }

  // Once, for the SDK listens from then on.
  #initialize(sdk) {
    const address = this.getAttribute("finch-connect-url");
    const over = () => {
      const attempt = this.#inside;
      this.#inside = null;
      if (!attempt || attempt.run !== this.#run) return null;
      this.#rest(attempt.act);
      this.#focus(attempt.act);
      return attempt;
    };
    const closed = () => {
      const attempt = over();
      if (attempt) this.#closedInside(attempt);
    };
    return sdk.initialize({
      onSuccess: ({ code, state }) => {
        const attempt = over();
        // The one that this page has begun, and no other.
        if (!attempt || (state && state !== attempt.begun.state)) return;
        this.#finish({ code, state: attempt.begun.state }, attempt.act);
      },
      onError: ({ errorMessage, errorType }) => {
        console.warn("Finch Connect:", errorType, errorMessage);
        if (this.#inside) this.#inside.failed = true;
        // With an error that the person can mend the frame stays open; else nothing else is told.
        setTimeout(() => document.getElementById("finch-connect-iframe") || closed());
      },
      onClose: closed,
      ...(address && { apiConfig: { connectUrl: address } }),
    });
  }

  #leaveFrame() {
    this.#frame?.destroy?.();
    this.#frame = this.#inside = null;
  }

  #closedInside({ act: retry, failed }) {
    stored.write("left", null);
    this.#notice = failed
      ? { kind: "bad", title: "result.failed", text: "failure.finch_refused", retry }
      : { kind: "info", title: "result.refused", text: "result.closedText", retry };
    this.#render();
    this.#focus("notice");
  }

  async #finish(code, act) {
    const run = this.#run;
    this.#notice = { kind: "info", title: "finishing", spins: true };
    this.#busy = "finish";
    this.#render();
    try {
      const said = await this.#call("POST", "/callback", code);
      if (run !== this.#run) return;
      await this.#answered(said, { completion: said.completion, at: Date.now() });
      if (said.completion) stored.write("return", { ...said, at: Date.now() });
    } catch (error) {
      if (run.signal.aborted) return;
      const refused = Refused.by(error);
      this.#refuse(refused, act);
      if (WORTH_ANOTHER_TRY.includes(refused.code)) {
        // Finch's code is good for ten minutes, and the same code ends the same.
        this.#notice = { ...this.#notice, retry: "finish", code, act };
      }
    } finally {
      if (run === this.#run) {
        this.#busy = null;
        await this.#reload();
        this.#focus("notice");
      }
    }
  }

  // Disconnecting.

  #askToDisconnect(one) {
    if (this.#busy) return;
    this.#dialog = { one, working: false, failed: null, from: `disconnect:${keyOf(one)}` };
    this.#render();
    this.#parts.dialog.showModal();
  }

  async #disconnect() {
    const asked = this.#dialog;
    if (!asked || asked.working) return;
    asked.working = true;
    asked.failed = null;
    this.#render();
    const run = this.#run;
    try {
      const after = await this.#call("DELETE", pathOf(asked.one));
      if (run !== this.#run) return;
      this.#epoch += 1;
      this.#connections.set(keyOf(after), after);
      const done = after.status === "disconnected" ? "disconnected" : "disconnecting";
      const kept = !["disconnected", "disconnecting"].includes(after.status);
      // Made again meanwhile, in another tab: then it is left alone.
      const result = kept ? "again" : done;
      this.#notice = {
        kind: kept ? "info" : "good",
        title: `result.${result}`,
        text: `result.${result}Text`,
        about: after,
      };
      this.#pause = 0;
      asked.done = true;
      // It may have been closed with Escape, and opened for another one.
      if (this.#dialog === asked) this.#parts.dialog.close();
      this.#tell("finch-disconnected", {
        provider_id: after.provider_id,
        company_id: after.company_id,
        status: after.status,
      });
      this.#channel?.postMessage("changed");
    } catch (error) {
      if (run.signal.aborted) return;
      const refused = Refused.by(error);
      asked.working = false;
      asked.failed = { code: refused.code, reference: refused.reference };
      if (this.#dialog === asked) this.#tell("finch-failed", { code: refused.code });
      else this.#refuse(refused, null);
      if (["connection_not_found", "disconnect_refused"].includes(refused.code)) this.#reload();
    } finally {
      if (run === this.#run) {
        this.#render();
        this.#schedule();
      }
    }
  }

  #dialogClosed() {
    const { from, done } = this.#dialog ?? {};
    this.#dialog = null;
    this.#render();
    this.#focus(done ? "notice" : from);
  }

  // Showing it all.

  #focus(act) {
    this.shadowRoot.querySelector(`[data-act="${CSS.escape(act ?? "")}"]`)?.focus();
  }

  #button(act, words, run, options = {}) {
    const { kind = "", icon: sign, label, part = "button", ...more } = options;
    const busy = this.#busy === act;
    return h(
      "button",
      {
        type: "button",
        class: `button ${kind} ${busy ? "busy" : ""}`,
        part: kind.includes("primary") ? `${part} primary-button` : part,
        "data-act": act,
        "aria-label": label,
        // Not `disabled`, which would lose the focus.
        "aria-disabled": this.#busy && !more.always ? "true" : null,
        "aria-busy": busy ? "true" : null,
        "aria-expanded": more.expanded,
        "aria-controls": more.controls,
        onclick: run,
      },
      busy ? h("span", { class: "spinner", "aria-hidden": "true" }) : sign && icon(sign),
      h("span", { class: "words" }, words),
      more.chevron && icon("chevron"),
    );
  }

  #render() {
    const focused = this.shadowRoot.activeElement?.dataset.act;
    const p = this.#parts;
    const all = [...this.#connections.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const ready = this.#phase === "ready";
    const groups = {
      attention: ready ? all.filter((one) => NEEDS_A_PERSON.includes(one.status)) : [],
      active: ready
        ? all.filter((one) => ![...NEEDS_A_PERSON, "disconnected"].includes(one.status))
        : [],
      ended: ready ? all.filter((one) => one.status === "disconnected") : [],
    };
    const live = groups.attention.length + groups.active.length;
    const empty = ready && !live && !this.#cursor;
    // The words may be in another language than what is around them.
    p.live.lang = p.all.lang = p.dialog.lang = this.#language;
    p.all.setAttribute("aria-busy", String(this.#phase === "loading"));
    this.#paint(p.header, [groups.attention.length, ready && !empty, this.#summary()], () =>
      this.#header(groups.attention.length, ready && !empty),
    );
    this.#paint(
      p.top,
      [
        this.#question,
        this.#notice,
        this.#stale,
        this.#phase,
        this.#about && this.#names(this.#about),
      ],
      () => [
        this.#question && this.#questionCard(),
        this.#notice && this.#noticeBox(),
        this.#stale && this.#staleBox(),
      ],
    );
    for (const name of ["attention", "active"]) {
      p[name].hidden = !groups[name].length;
      const beside = name === "active" && groups.attention.length;
      const title = p[name].querySelector("h3");
      title.textContent = this.#text(`sections.${beside ? "others" : name}`);
      title.classList.toggle("unseen", name === "active" && !beside);
    }
    p.ended.hidden = !groups.ended.length;
    p.ended.open = this.#endedOpen;
    this.#paint(p.ended.querySelector("h3"), [groups.ended.length], () => [
      icon("chevron"),
      this.#plain("sections.ended", { n: groups.ended.length }),
    ]);
    for (const [name, list] of Object.entries(p.lists)) this.#showCards(list, groups[name]);
    const rest = [
      this.#phase,
      empty,
      this.#cursor,
      Boolean(this.#reading),
      this.#slow,
      Boolean(this.#question),
    ];
    this.#paint(p.rest, rest, () => this.#below(empty));
    this.#paintDialog();
    this.#observeMore();
    if (focused && this.shadowRoot.activeElement?.dataset.act !== focused) {
      const there = this.shadowRoot.querySelector(`[data-act="${CSS.escape(focused)}"]`);
      // Where the same is there again nobody has asked to be taken to it.
      if (there) there.focus({ preventScroll: true });
      else this.shadowRoot.querySelector('[data-act="notice"], [data-act="title"]')?.focus();
    }
  }

  // The connection that the notice is about, also where it has left the list.
  get #about() {
    const one = this.#notice?.about;
    return one && (this.#connections.get(keyOf(one)) ?? one);
  }

  #paint(place, facts, build) {
    const signature = JSON.stringify([
      this.#language,
      this.#busy,
      this.getAttribute("app-name"),
      this.getAttribute("products"),
      facts,
    ]);
    if (this.#painted.get(place) === signature) return;
    this.#painted.set(place, signature);
    place.replaceChildren(...build().flat().filter(Boolean));
  }

  #summary() {
    const all = [...this.#connections.values()];
    const some = (...words) => all.some((one) => words.includes(one.status));
    const n = all.filter((one) => NEEDS_A_PERSON.includes(one.status)).length;
    if (n) return this.#plain("summary.attention", { n });
    if (some("pending", "processing")) return this.#text("summary.settling");
    if (some("connected")) return this.#text("summary.good");
    // Of what is being disconnected, or of a status of tomorrow, there is nothing to say in general.
    const none = !this.#cursor && all.every((one) => one.status === "disconnected");
    return none ? this.#text("summary.none") : "";
  }

  #header(troubled, listed) {
    const summary = this.#summary();
    return [
      h(
        "div",
        {},
        h("h2", { part: "heading", tabindex: "-1", "data-act": "title" }, this.#text("title")),
        listed &&
          summary &&
          h(
            "p",
            { class: `summary ${troubled ? "bad" : ""}`, part: "summary" },
            troubled > 0 && icon("alert"),
            h("span", {}, summary),
          ),
      ),
      listed &&
        this.#button("connect", this.#text("connect"), () => this.#connect("connect"), {
          kind: troubled ? "" : "primary",
          icon: "plus",
        }),
    ];
  }

  #showCards(list, connections) {
    connections.forEach((one, place) => {
      const key = keyOf(one);
      let card = this.#cards.get(key);
      if (!card) this.#cards.set(key, (card = h("li", { part: "card" })));
      this.#paint(card, [one, this.#open.has(key), this.#provider(one)], () =>
        this.#card(one, card),
      );
      if (list.children[place] !== card) list.insertBefore(card, list.children[place] ?? null);
    });
    while (list.children.length > connections.length) list.lastElementChild.remove();
  }

  #card(one, card) {
    const key = keyOf(one);
    const names = this.#names(one);
    const name = this.#plain("named", names);
    const needs = NEEDS_A_PERSON.includes(one.status);
    const ended = one.status === "disconnected";
    const open = this.#open.has(key);
    card.className = `card ${needs ? "attention bad" : ""}`;
    const id = `card-${this.#cardNumber(key)}`;
    const detail = one.logins.find((login) => login.status_detail)?.status_detail ?? one.status;
    const reason =
      one.problem && this.#text(`problem.${one.problem}`)
        ? `problem.${one.problem}`
        : `status.${one.status}.reason`;
    const label = (action) => this.#plain("action", { action, name });
    const mark = h("span", { class: "mark", "aria-hidden": "true" }, initials(names.provider));
    mark.style.setProperty("--hue", String(hue(one.provider_id)));
    return [
      h(
        "div",
        { class: "row" },
        mark,
        h(
          "div",
          { class: "who" },
          h("h4", { title: names.company }, h("bdi", {}, names.company)),
          h(
            "p",
            { class: "facts" },
            h("span", {}, h("bdi", {}, names.provider)),
            !ended && h("span", {}, this.#plain("card.logins", { n: one.logins.length })),
            !ended &&
              (one.checked_at
                ? this.#time("card.checked", one.checked_at)
                : h("span", {}, this.#text("card.unchecked"))),
            // What has a problem was changed after its end.
            ended &&
              h(
                "span",
                {},
                this.#plain(one.problem ? "card.changed" : "card.ended", {
                  date: this.#date(one.updated_at),
                }),
              ),
          ),
        ),
        this.#status(one.status, "chip"),
        ended
          ? this.#button(
              `again:${key}`,
              this.#text("connectAgain"),
              () => this.#connect(`again:${key}`),
              { kind: "quiet again", label: label(this.#text("connectAgain")) },
            )
          : this.#button(`details:${key}`, this.#text("details"), () => this.#toggle(key), {
              kind: "quiet toggle",
              always: true,
              chevron: true,
              expanded: String(open),
              controls: id,
              label: label(this.#text("details")),
            }),
        !ended &&
          this.#text(reason) &&
          h(
            "div",
            { class: "reason", part: "reason" },
            h("p", {}, this.#say(reason, { ...names, detail })),
            needs &&
              this.#button(
                `repair:${key}`,
                this.#text("repair"),
                () => this.#connect(`repair:${key}`),
                {
                  kind: "primary",
                  label: label(this.#text("repair")),
                },
              ),
          ),
      ),
      h(
        "div",
        { id, class: "body", hidden: !open },
        open && this.#cardBody(one, key, label, names),
      ),
    ];
  }

  #cardNumber(key) {
    return [...this.#cards.keys()].indexOf(key);
  }

  #toggle(key) {
    if (!this.#open.delete(key)) this.#open.add(key);
    this.#render();
  }

  #status(status, kind) {
    const tone =
      {
        connected: "good",
        disconnected: "over",
        disconnecting: "over",
        pending: "wait",
        processing: "wait",
      }[status] ?? (NEEDS_A_PERSON.includes(status) ? "bad" : "over");
    const spins = status === "disconnecting";
    return h(
      "span",
      { class: `status ${kind} ${tone} ${spins ? "spins" : ""}`, part: "status" },
      spins && h("span", { class: "spinner", "aria-hidden": "true" }),
      this.#text(`status.${status}.label`) || status,
    );
  }

  #cardBody(one, key, label, names) {
    const going = one.status === "disconnecting";
    const known = (path, ...value) =>
      h("div", {}, h("dt", {}, this.#text(path)), h("dd", {}, value));
    return [
      h(
        "div",
        {},
        h("h5", {}, this.#text("card.loginsTitle")),
        h(
          "ul",
          { class: "logins" },
          one.logins.map((login, place) => h("li", {}, this.#login(login, place))),
        ),
      ),
      // In full, which above they may not be.
      h(
        "dl",
        { class: "known" },
        known("confirm.company", h("bdi", {}, names.company)),
        known("confirm.provider", h("bdi", {}, names.provider)),
        known("card.companyId", h("code", {}, one.company_id)),
      ),
      !going &&
        h(
          "div",
          { class: "actions" },
          this.#button(`add:${key}`, this.#text("addLogin"), () => this.#connect(`add:${key}`), {
            icon: "plus",
            label: label(this.#text("addLogin")),
          }),
          this.#button(
            `disconnect:${key}`,
            this.#text("disconnect"),
            () => this.#askToDisconnect(one),
            {
              kind: "quiet ends",
              label: label(this.#text("disconnect")),
            },
          ),
        ),
    ];
  }

  #login(login, place) {
    return [
      h("div", { class: "login" }, this.#loginName(login, place), this.#status(login.status, "")),
      h("p", { class: "small first" }, this.#products(login.products)),
      login.account_id &&
        h(
          "p",
          { class: "small" },
          `${this.#text("card.accountId")} `,
          h("code", {}, login.account_id),
        ),
      login.entities.length > 1 &&
        h(
          "ul",
          { class: "entities" },
          [...login.entities]
            .sort(byName)
            .map((entity) =>
              h("li", {}, h("bdi", {}, this.#entity(entity)), this.#status(entity.status, "")),
            ),
        ),
    ];
  }

  #entity(entity) {
    return entity.name ?? this.#plain("card.entity", { id: entity.id.slice(0, 8) });
  }

  #loginName(login, place) {
    return h(
      "span",
      {},
      h("strong", {}, this.#plain("card.login", { n: place + 1 })),
      h(
        "span",
        { class: "small" },
        " · ",
        this.#plain("card.since", { date: this.#date(login.connected_at) }),
      ),
    );
  }

  #noticeBox() {
    const { kind, title, text, reference, support, retry, spins, forget } = this.#notice;
    const one = this.#about;
    const values = one ? this.#names(one) : {};
    const detail = one?.logins.find((login) => login.status_detail)?.status_detail;
    const link = support && this.getAttribute("support-url");
    // A region that comes with its words is not read aloud everywhere, an alert is.
    const news = this.#isNews(this.#notice);
    if (news && kind !== "bad") this.#announce(this.#plain(title, values));
    const close = () => {
      if (forget) this.#forgetReturn();
      this.#notice = null;
      this.#render();
      this.#focus("title");
    };
    return h(
      "div",
      { class: `notice ${kind}`, part: "notice", role: news && kind === "bad" ? "alert" : null },
      spins
        ? h("span", { class: "spinner", "aria-hidden": "true" })
        : icon({ good: "check", info: "info" }[kind] ?? "alert"),
      h(
        "div",
        {},
        h("h3", { tabindex: "-1", "data-act": "notice" }, this.#say(title, values)),
        text && this.#text(text) && h("p", {}, this.#say(text, { ...values, detail })),
        reference && h("p", {}, h("small", {}, this.#say("reference", { id: reference }))),
        (retry || safe(link)) &&
          h(
            "div",
            { class: "actions" },
            retry && this.#retryButton(retry),
            safe(link) &&
              h("a", { class: "button", part: "button", href: link }, this.#text("support")),
          ),
      ),
      !spins &&
        h(
          "button",
          {
            type: "button",
            class: "button quiet icon close",
            part: "button",
            "data-act": "close",
            "aria-label": this.#text("dismiss"),
            onclick: close,
          },
          icon("close"),
        ),
    );
  }

  #retryButton(retry) {
    const act = `retry:${retry}`;
    const doing = {
      return: () => {
        this.#notice = null;
        this.#question = { checking: true };
        this.#render();
        this.#lookAtReturn();
      },
      finish: () => this.#finish(this.#notice.code, this.#notice.act),
    }[retry];
    const words = retry.startsWith("repair:") && this.#of(retry) ? "repair" : "tryAgain";
    return this.#button(act, this.#text(words), doing ?? (() => this.#connect(retry)));
  }

  #staleBox() {
    const { code, reference } = this.#stale;
    const known = Object.hasOwn(TEXTS.en.failure, code) ? code : "unexpected";
    const failed = this.#phase === "failed";
    // No live region around it: the time in it changes by itself.
    const news = this.#isNews(this.#stale);
    if (news && !failed) this.#announce(this.#text("result.stale"));
    const again = () => {
      if (failed) this.#phase = "loading";
      this.#stale = null;
      this.#render();
      if (failed) this.#begin(this.#run);
      else this.#reload();
    };
    return h(
      "div",
      {
        class: `notice ${failed ? "bad" : "wait"}`,
        part: "notice",
        role: news && failed ? "alert" : null,
      },
      icon("alert"),
      h(
        "div",
        {},
        h(
          "h3",
          { tabindex: "-1", "data-act": "stale" },
          this.#text(failed ? "result.unavailable" : "result.stale"),
        ),
        h(
          "p",
          {},
          this.#text(`failure.${known}`),
          " ",
          !failed && this.#time("result.staleText", new Date(this.#updatedAt).toISOString()),
        ),
        reference && h("p", {}, h("small", {}, this.#say("reference", { id: reference }))),
        h("div", { class: "actions" }, this.#button("again", this.#text("tryAgain"), again)),
      ),
    );
  }

  #questionCard() {
    const { checking, provider_id, company_id, entity_names, failed } = this.#question;
    if (checking) {
      return h(
        "div",
        { class: "notice info", part: "notice" },
        h("span", { class: "spinner", "aria-hidden": "true" }),
        h("p", {}, this.#text("confirm.checking")),
      );
    }
    const company = entity_names?.length
      ? entity_names.map((name) => h("div", {}, h("bdi", {}, name)))
      : h("code", {}, company_id);
    return h(
      "section",
      { class: "question", part: "question", "aria-labelledby": "question" },
      h(
        "h3",
        { id: "question", tabindex: "-1", "data-act": "question" },
        this.#text("confirm.title"),
      ),
      h("p", {}, this.#say("confirm.text")),
      h(
        "dl",
        { class: "facts-list" },
        h(
          "div",
          {},
          h("dt", {}, this.#text("confirm.provider")),
          h("dd", {}, h("bdi", {}, this.#provider({ provider_id }))),
        ),
        h("div", {}, h("dt", {}, this.#text("confirm.company")), h("dd", {}, company)),
      ),
      failed && h("p", { role: "alert", class: "bad" }, this.#text(`failure.${failed.code}`)),
      h(
        "div",
        { class: "actions" },
        this.#button("confirm", this.#text("confirm.yes"), () => this.#confirm(), {
          kind: "primary",
        }),
        this.#button("reject", this.#text("confirm.no"), () => this.#busy || this.#reject()),
      ),
    );
  }

  #below(empty) {
    if (this.#phase === "loading") {
      const bones = () =>
        h(
          "div",
          { class: "card still" },
          h(
            "div",
            { class: "row" },
            h("span", { class: "mark bone" }),
            h(
              "div",
              { class: "bones" },
              h("span", { class: "bone line" }),
              h("span", { class: "bone line" }),
            ),
          ),
        );
      return [
        h(
          "div",
          { class: "cards" },
          h("p", { class: "unseen" }, this.#text("loading")),
          bones(),
          bones(),
          bones(),
          this.#slow && h("p", { class: "slow" }, this.#text("slow")),
        ),
      ];
    }
    if (empty) return this.#question ? [] : [this.#empty()];
    if (this.#phase !== "ready" || !this.#cursor) return [];
    const busy = this.#reading ? [h("span", { class: "spinner", "aria-hidden": "true" })] : [];
    return [
      h(
        "button",
        {
          type: "button",
          class: "button more",
          part: "button",
          "data-act": "more",
          onclick: () => this.#more(),
        },
        busy,
        this.#text("more"),
      ),
    ];
  }

  #empty() {
    const point = (path, values) =>
      h("li", {}, icon("check"), h("span", {}, this.#say(path, values)));
    return h(
      "div",
      { class: "empty", part: "empty" },
      drawing("0 0 190 90", PICTURE),
      h("h3", {}, this.#text("empty.title")),
      h("p", {}, this.#say("empty.text")),
      h(
        "ul",
        {},
        point("empty.password"),
        point("empty.reads", { products: this.#products(this.#asks) }),
        point("empty.control"),
      ),
      this.#button("connect", this.#text("connectFirst"), () => this.#connect("connect"), {
        kind: "primary",
      }),
    );
  }

  #observeMore() {
    const button = this.shadowRoot.querySelector('[data-act="more"]');
    this.#observer?.disconnect();
    if (!button || this.#reading || this.#stale) return;
    this.#observer ??= new IntersectionObserver(
      (seen) => seen.some((one) => one.isIntersecting) && this.#more(),
      { rootMargin: "300px" },
    );
    this.#observer.observe(button);
  }

  #paintDialog() {
    const { dialog } = this.#parts;
    if (!this.#dialog) return;
    const { one, working, failed } = this.#dialog;
    const names = this.#names(one);
    const entities = new Set(entitiesOf(one).map((entity) => this.#entity(entity)));
    this.#paint(dialog, [one, working, failed], () => [
      h(
        "div",
        { class: "sheet" },
        h("h2", { id: "dialog-title" }, this.#say("dialog.title", names)),
        h(
          "p",
          { id: "dialog-text", class: this.hasAttribute("app-name") ? null : "first" },
          this.#say("dialog.stops", names),
        ),
        h(
          "ul",
          { id: "dialog-ends" },
          one.logins.map((login, place) =>
            h(
              "li",
              {},
              this.#loginName(login, place),
              h("p", { class: "small first" }, this.#products(login.products)),
            ),
          ),
        ),
        entities.size > 1 &&
          h("p", {}, this.#say("dialog.entities", { names: this.#list([...entities]) })),
        h(
          "p",
          {},
          this.#connections.size > 1 && [this.#text("dialog.stays"), " "],
          this.#say("dialog.undo", names),
        ),
        failed &&
          h(
            "div",
            { class: "notice bad", role: "alert" },
            icon("alert"),
            h(
              "div",
              {},
              h(
                "p",
                {},
                this.#text(
                  `failure.${Object.hasOwn(TEXTS.en.failure, failed.code) ? failed.code : "unexpected"}`,
                ),
              ),
              failed.reference &&
                h("p", {}, h("small", {}, this.#say("reference", { id: failed.reference }))),
            ),
          ),
        h(
          "div",
          { class: "actions" },
          h(
            "button",
            {
              type: "button",
              class: "button",
              part: "button",
              "data-act": "keep",
              autofocus: true,
              "aria-disabled": working ? "true" : null,
              onclick: () => working || dialog.close(),
            },
            this.#text("keep"),
          ),
          h(
            "button",
            {
              type: "button",
              class: `button danger ${working ? "busy" : ""}`,
              part: "button danger-button",
              "data-act": "do-disconnect",
              "aria-disabled": working ? "true" : null,
              onclick: () => this.#disconnect(),
            },
            working && h("span", { class: "spinner", "aria-hidden": "true" }),
            this.#text(working ? "dialog.working" : "disconnect"),
          ),
        ),
      ),
    ]);
  }
}

// Each entity once, whichever logins reach it.
function entitiesOf(one) {
  const entities = (one.logins ?? []).flatMap((login) => login.entities);
  return [...new Map(entities.map((entity) => [entity.id, entity])).values()];
}

// What the page promises is waited for no longer than what the API does.
function within(limit, promised) {
  const { promise, resolve, reject } = Promise.withResolvers();
  limit.addEventListener("abort", () => reject(limit.reason), { once: true });
  promised.then(resolve, reject);
  return promise;
}

function byName(one, other) {
  return (one.name ?? one.id) < (other.name ?? other.id) ? -1 : 1;
}

// Of two words their first letters, of one its first two.
function initials(name) {
  const words = name.trim().split(/\s+/);
  const [first = "", second = ""] = words[1] ? words.map(([letter]) => letter) : words[0];
  return first.toUpperCase() + second;
}

function hue(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

function safe(link) {
  return Boolean(link) && /^(https?:|mailto:|\/)/.test(link);
}

if (!customElements.get("finch-connections")) {
  customElements.define("finch-connections", FinchConnections);
}
