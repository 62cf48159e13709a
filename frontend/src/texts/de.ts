/** The German texts. */

import type { Texts } from "./types.ts";

export const de: Texts = {
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
  list: {
    search: "Suchen",
    hint: "Firma, Anbieter oder ID",
    status: "Status",
    provider: "Anbieter",
    order: "Sortieren nach",
    allStatuses: "Alle Status",
    allProviders: "Alle Anbieter",
    attention: "Dringendes zuerst",
    name: "Name",
    changed: "Letzte Änderung",
    found: { one: "{n} Verbindung gefunden.", other: "{n} Verbindungen gefunden." },
    none: "Keine Verbindung passt dazu.",
    clear: "Zurücksetzen",
    reading: "Alle Verbindungen werden gelesen …",
    cut: "Nur die ersten {n} Verbindungen wurden gelesen. „Mehr zeigen“ liest weiter.",
    checked: "Alle Verbindungen wurden innerhalb des letzten Tages geprüft.",
    othersChecked: "Verbindungen ohne Zeitangabe wurden innerhalb des letzten Tages geprüft.",
  },
  andMore: { one: "{name} und eine weitere", other: "{name} und {n} weitere" },
  summary: {
    good: "Alles ist verbunden und in Ordnung.",
    attention: {
      one: "{n} Verbindung erfordert Ihre Aufmerksamkeit",
      other: "{n} Verbindungen erfordern Ihre Aufmerksamkeit",
    },
    none: "Zurzeit ist nichts verbunden.",
    settling: "Einige Verbindungen werden noch eingerichtet. Sie müssen nichts tun.",
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
    control: "Jede Verbindung steht hier, und Sie können sie jederzeit trennen.",
    awaited:
      "Ihre neue Verbindung erscheint hier von selbst. Sie müssen nicht noch einmal verbinden.",
    asked: "Ihre neue Verbindung erscheint hier, wenn Sie die Frage oben beantwortet haben.",
  },
  card: {
    logins: { one: "{n} Anmeldung", other: "{n} Anmeldungen" },
    checked: "Geprüft {when}",
    lastCheck: "Zuletzt geprüft",
    help: "Fragen",
    unchecked: "Noch nicht geprüft",
    login: "Anmeldung {n}",
    since: "verbunden am {date}",
    ended: "Getrennt am {date}",
    changed: "Zuletzt geändert am {date}",
    loginsTitle: "Anmeldungen",
    entities: { one: "{n} Gesellschaft", other: "{n} Gesellschaften" },
    someEntities: "{some} von {n} Gesellschaften",
    companyId: "Firmen-ID",
    accountId: "Konto-ID",
    entity: "Gesellschaft {id}",
  },
  status: {
    pending: {
      label: "Wird eingerichtet",
      reason:
        "{provider} muss den Zugang noch freigeben. Das kann einige Tage dauern. Sie müssen nichts tun.",
    },
    processing: {
      label: "Wird eingerichtet",
      reason: "Die ersten Daten von {provider} sind unterwegs. Sie müssen nichts tun.",
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
        "Das Konto, das Sie bei {provider} benutzt haben, darf die Daten nicht sehen. Bitten Sie Ihre Verwaltung bei {provider} um mehr Rechte, oder melden Sie sich mit einem Konto neu an, das sie hat.",
    },
    error_no_account_setup: {
      label: "Nicht eingerichtet",
      reason:
        "Ihr Konto bei {provider} ist nicht vollständig eingerichtet. Schließen Sie das bei {provider} ab, und melden Sie sich dann neu an.",
    },
    unknown: {
      label: "Problem gemeldet",
      reason:
        "{provider} meldet ein Problem, das wir nicht kennen („{detail}“). Melden Sie sich neu an: Das löst es meist. Wenn nicht, kontaktieren Sie den Support.",
    },
    disconnecting: {
      label: "Wird getrennt",
      reason: "{provider} muss das Ende noch bestätigen. Sie müssen nichts tun.",
    },
    disconnected: {
      label: "Getrennt",
      reason:
        "Es können keine Daten mehr gelesen werden. Verbinden Sie neu, um sie hier zu verwenden.",
    },
  },
  otherStatus: {
    label: "Anderer Status",
    reason:
      "{provider} meldet „{detail}“, was diese Seite noch nicht kennt. Sie müssen nichts tun. Wenn Daten fehlen, kontaktieren Sie den Support.",
  },
  problem: {
    connect_again:
      "Ein anderes Konto hatte diese Firma verbunden und hat sie getrennt. Verbinden Sie sie neu, um sie hier zu verwenden.",
    transferred:
      "Diese Firma gehört jetzt zu einem anderen Konto. Sie müssen nichts tun. Wenn das falsch ist, kontaktieren Sie den Support.",
    another_company:
      "Zuletzt haben Sie sich bei einer anderen Firma angemeldet, die jetzt eine eigene Verbindung ist. Melden Sie sich neu an, und wählen Sie diese Firma.",
    disconnect_refused:
      "{provider} hat es abgelehnt, diese Verbindung zu beenden. Melden Sie sich neu an, und trennen Sie sie dann noch einmal.",
    entity_disconnect_refused:
      "{provider} hat es abgelehnt, eine Gesellschaft dieser Verbindung zu trennen. Trennen Sie die Gesellschaft noch einmal; wenn das nicht hilft, kontaktieren Sie den Support.",
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
  reads: {
    title: "Was {app} lesen möchte",
    benefits: "Abzüge und Beiträge für Zusatzleistungen, und wer teilnimmt",
    company: "rechtlicher Name, Steuernummer, Adressen, Abteilungen und Bankkonten der Firma",
    deduction: "Beträge, die für Zusatzleistungen abgezogen werden, und wer teilnimmt",
    directory: "Namen, Abteilungen und Vorgesetzte aller Beschäftigten",
    documents: "Steuerformulare und andere Dokumente der Beschäftigten",
    employment: "Stellenbezeichnungen, Beginn und Ende, Art der Beschäftigung und Einkommen",
    individual: "Wohnadressen, Geburtsdaten, E-Mail-Adressen und Telefonnummern",
    payment: "Daten und Summen jeder Lohnabrechnung",
    pay_statement: "Lohn, Steuern und Abzüge jeder Person in jeder Lohnabrechnung",
    plans: "die Leistungspläne der Firma und ihre Bedingungen",
    plans_dependents: "Angehörige, die ein Plan einschließt",
    plans_enrollments: "wer an welchem Plan teilnimmt",
    recordkeeping: "Beiträge zur Altersvorsorge und ihr Stand",
    ssn: "die Sozialversicherungsnummer jeder Person",
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
    rejectedText: "Dieser Versuch endet von selbst binnen eines Tages.",
    foreign: "Das ist nicht für Ihr Konto",
    foreignText:
      "Dieser Versuch wurde mit einem anderen Konto begonnen, oder vor zu langer Zeit. Haben Sie ihn selbst begonnen, dann melden Sie sich hier mit jenem Konto an.",
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
      "Finch ist noch nicht fertig. Ihre Verbindung erscheint hier von selbst, meist binnen Minuten. Sie müssen nicht noch einmal verbinden.",
    failed: "Das hat nicht geklappt",
    refused: "Nichts wurde verbunden",
    closedText: "Sie haben Finch Connect vor dem Ende geschlossen.",
    disconnected: "{name} ist getrennt",
    disconnectedText: "Von jetzt an kann {app} hier nichts mehr lesen.",
    disconnecting: "{name} wird getrennt",
    disconnectingText:
      "Der Anbieter muss es noch bestätigen. Das geht von selbst weiter, auch wenn Sie diese Seite verlassen.",
    entityDisconnected: "Eine Gesellschaft von {name} ist getrennt",
    entityDisconnectedText:
      "Von jetzt an kann {app} hier nichts mehr lesen. Die anderen bleiben verbunden.",
    entityDisconnecting: "Eine Gesellschaft von {name} wird getrennt",
    entityDisconnectingText:
      "Der Anbieter muss es noch bestätigen. Das geht von selbst weiter, auch wenn Sie diese Seite verlassen.",
    stale: "Diese Liste konnte nicht aktualisiert werden",
    staleText: "Stand: {when}.",
    unavailable: "Ihre Verbindungen können nicht gezeigt werden",
  },
  dialog: {
    title: "{name} trennen?",
    stops: "{app} erhält dann keine Daten mehr von {provider} für {company}. Das beendet:",
    stopsEntity:
      "{app} erhält dann keine Daten mehr von {provider} für {name}. Die anderen Gesellschaften bleiben verbunden.",
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
    connection_limit:
      "Ihr Konto hat so viele Verbindungen, wie es haben darf. Trennen Sie zuerst eine, oder fügen Sie ihr in ihren Details eine weitere Anmeldung hinzu.",
    connection_not_found:
      "Diese Verbindung gibt es nicht mehr. Wenn Sie sie noch brauchen, verbinden Sie neu.",
    customer_unknown:
      "Ihre Anmeldung sagt nicht, zu welchem Konto Sie gehören. Melden Sie sich neu an, oder kontaktieren Sie den Support.",
    disconnect_refused:
      "Der Anbieter hat es abgelehnt, diese Verbindung zu beenden. Melden Sie sich dort neu an, und trennen Sie sie dann noch einmal.",
    exchange_uncertain:
      "Die Antwort von Finch ging verloren. Bitte verbinden Sie neu; der frühere Versuch hindert Sie nicht daran.",
    finch_misconfigured:
      "Verbinden geht zurzeit nicht. Wir wissen davon; bitte versuchen Sie es später.",
    finch_refused:
      "Finch hat diese Anfrage nicht angenommen. Bitte versuchen Sie es erneut, oder mit einem anderen Anbieter. Hilft auch das nicht, kontaktieren Sie den Support.",
    finch_unavailable:
      "Finch ist zurzeit nicht zu erreichen. Bitte versuchen Sie es in einigen Minuten erneut.",
    not_allowed:
      "Ihre Anmeldung erlaubt das nicht. Melden Sie sich neu an, oder kontaktieren Sie den Support.",
    internal_error:
      "Bei uns ging etwas schief. Bitte versuchen Sie es erneut. Geschieht es wieder, kontaktieren Sie den Support.",
    invalid_request:
      "Diese Anfrage war nicht gültig. Laden Sie die Seite neu, und fangen Sie neu an. Geschieht es wieder, kontaktieren Sie den Support.",
    mode_not_allowed:
      "Diese Seite ist nicht dafür eingerichtet, so zu verbinden. Sie können hier nichts tun; kontaktieren Sie den Support.",
    return_to_not_allowed:
      "Diese Seite ist nicht zum Verbinden eingerichtet. Öffnen Sie sie unter ihrer üblichen Adresse, oder kontaktieren Sie den Support.",
    route_not_found:
      "Diesen Teil des Dienstes gibt es nicht. Laden Sie die Seite neu. Geschieht es wieder, kontaktieren Sie den Support.",
    session_expired: "Dieser Link oder Versuch ist zu alt. Bitte verbinden Sie neu.",
    session_not_found:
      "Dieser Versuch ist nicht bekannt oder nicht Ihrer. Bitte verbinden Sie neu.",
    session_used:
      "Dieser Versuch wurde schon benutzt. Steht Ihre Verbindung nicht hier, dann verbinden Sie neu.",
    signature_invalid: "Diese Nachricht kommt nicht von Finch. Bitte fangen Sie neu an.",
    too_many_logins:
      "Diese Verbindung hat die größtmögliche Zahl von Anmeldungen. Trennen Sie sie, und verbinden Sie sie neu.",
    too_many_requests: "Das war zu oft. Warten Sie einige Minuten, und versuchen Sie es erneut.",
    unauthorized: "Ihre Anmeldung ist abgelaufen. Bitte melden Sie sich neu an.",
    unreachable: "Der Dienst antwortet nicht. Prüfen Sie Ihr Netz, und versuchen Sie es erneut.",
    unexpected:
      "Etwas Unerwartetes ist geschehen. Bitte versuchen Sie es erneut. Geschieht es wieder, kontaktieren Sie den Support.",
  },
};
