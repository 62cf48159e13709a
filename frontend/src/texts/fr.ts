/** The French texts, in the form "vous". \u00a0 and \u202f are the spaces before signs like : and ?. */

import type { Texts } from "./types.ts";

export const fr: Texts = {
  title: "Connexions de paie",
  theApplication: "l’application",
  connect: "Connecter un autre système",
  connectFirst: "Connecter la paie",
  addLogin: "Ajouter un identifiant",
  connectAgain: "Connecter à nouveau",
  repair: "S’identifier à nouveau",
  disconnect: "Déconnecter",
  keep: "Conserver",
  details: "Détails",
  more: "Afficher plus",
  tryAgain: "Réessayer",
  dismiss: "Fermer",
  support: "Contacter l’assistance",
  reference: "Référence {id}",
  justNow: "à l’instant",
  named: "{company} chez {provider}",
  action: "{action}\u00a0: {name}",
  loading: "Chargement de vos connexions…",
  slow: "Cela prend plus de temps que d’habitude.",
  opening: "Ouverture de Finch Connect…",
  finishing: "Votre connexion se termine…",
  unknownCompany: "Entreprise {id}",
  list: {
    search: "Rechercher",
    hint: "Entreprise, fournisseur ou ID",
    status: "Statut",
    provider: "Fournisseur",
    order: "Trier par",
    allStatuses: "Tous les statuts",
    allProviders: "Tous les fournisseurs",
    attention: "À traiter d’abord",
    name: "Nom",
    changed: "Dernière modification",
    found: { one: "{n} connexion trouvée.", other: "{n} connexions trouvées." },
    none: "Aucune connexion ne correspond.",
    clear: "Effacer",
    reading: "Lecture de toutes les connexions…",
    cut: "Seules les {n} premières connexions ont été lues. «\u00a0Afficher plus\u00a0» en lit davantage.",
    checked: "Toutes les connexions ont été vérifiées au cours des dernières 24 heures.",
    othersChecked:
      "Les connexions sans heure indiquée ont été vérifiées au cours des dernières 24 heures.",
  },
  andMore: { one: "{name} et une autre", other: "{name} et {n} autres" },
  summary: {
    good: "Tout est connecté et fonctionne.",
    attention: {
      one: "{n} connexion demande votre attention",
      other: "{n} connexions demandent votre attention",
    },
    none: "Rien n’est connecté pour le moment.",
    settling: "Certaines connexions sont en préparation. Vous n’avez rien à faire.",
  },
  sections: {
    attention: "À traiter",
    active: "Connexions",
    others: "Autres connexions",
    ended: { one: "1 connexion terminée", other: "{n} connexions terminées" },
  },
  empty: {
    title: "Connectez votre système de paie ou de ressources humaines",
    text: "{app} travaille ainsi avec des données à jour, sans tableur ni envoi de fichiers.",
    password:
      "Vous vous identifiez chez votre fournisseur. {app} ne voit jamais votre mot de passe.",
    control: "Chaque connexion figure ici, et vous pouvez la déconnecter à tout moment.",
    awaited: "Votre nouvelle connexion apparaîtra ici toute seule. Inutile de connecter à nouveau.",
    asked:
      "Votre nouvelle connexion apparaîtra ici quand vous aurez répondu à la question ci-dessus.",
  },
  card: {
    logins: { one: "{n} identifiant", other: "{n} identifiants" },
    checked: "Vérifiée {when}",
    lastCheck: "Dernière vérification",
    help: "Questions",
    unchecked: "Pas encore vérifiée",
    login: "Identifiant {n}",
    since: "connecté le {date}",
    ended: "Terminée le {date}",
    changed: "Dernière modification\u00a0: {date}",
    loginsTitle: "Identifiants",
    entities: { one: "{n} entité juridique", other: "{n} entités juridiques" },
    someEntities: "{some} sur {n} entités juridiques",
    companyId: "ID entreprise",
    accountId: "ID compte",
    entity: "Entité {id}",
  },
  status: {
    pending: {
      label: "En préparation",
      reason:
        "{provider} doit encore autoriser l’accès aux données. Cela peut prendre quelques jours. Vous n’avez rien à faire.",
    },
    processing: {
      label: "En préparation",
      reason: "Les premières données de {provider} sont en route. Vous n’avez rien à faire.",
    },
    connected: { label: "Connexion active", reason: "" },
    reauth: {
      label: "Identification requise",
      reason:
        "{provider} vous demande de vous identifier à nouveau. D’ici là, aucune nouvelle donnée n’arrive.",
    },
    error_permissions: {
      label: "Autorisation manquante",
      reason:
        "Le compte que vous avez utilisé chez {provider} ne peut pas voir les données. Demandez plus de droits à votre administrateur chez {provider}, ou identifiez-vous à nouveau avec un compte qui les a.",
    },
    error_no_account_setup: {
      label: "Non configurée",
      reason:
        "Votre compte chez {provider} n’est pas entièrement configuré. Terminez la configuration chez {provider}, puis identifiez-vous à nouveau.",
    },
    unknown: {
      label: "Problème signalé",
      reason:
        "{provider} signale un problème que nous ne connaissons pas («\u00a0{detail}\u00a0»). Identifiez-vous à nouveau\u00a0: cela suffit en général. Sinon, contactez l’assistance.",
    },
    disconnecting: {
      label: "Déconnexion en cours",
      reason: "{provider} doit encore confirmer la fin. Vous n’avez rien à faire.",
    },
    disconnected: {
      label: "Connexion terminée",
      reason: "Plus aucune donnée ne peut être lue. Connectez-la à nouveau pour l’utiliser ici.",
    },
  },
  otherStatus: {
    label: "Autre statut",
    reason:
      "{provider} signale «\u00a0{detail}\u00a0», que cette page ne connaît pas encore. Vous n’avez rien à faire. S’il manque des données, contactez l’assistance.",
  },
  problem: {
    connect_again:
      "Un autre compte avait connecté cette entreprise et l’a déconnectée. Connectez-la à nouveau pour l’utiliser ici.",
    transferred:
      "Cette entreprise appartient désormais à un autre compte. Vous n’avez rien à faire. Si c’est une erreur, contactez l’assistance.",
    another_company:
      "La dernière fois, vous avez choisi une autre entreprise, qui est maintenant une connexion à part. Identifiez-vous à nouveau, et choisissez cette entreprise.",
    disconnect_refused:
      "{provider} a refusé de mettre fin à cette connexion. Identifiez-vous à nouveau, puis déconnectez-la encore une fois.",
    entity_disconnect_refused:
      "{provider} a refusé de déconnecter une entité juridique de cette connexion. Déconnectez-la encore une fois\u202f; si cela échoue, contactez l’assistance.",
  },
  product: {
    benefits: "avantages sociaux",
    company: "données de l’entreprise",
    deduction: "retenues",
    directory: "annuaire des salariés",
    documents: "documents",
    employment: "postes et revenus",
    individual: "données personnelles",
    payment: "totaux de paie",
    pay_statement: "bulletins de paie",
    plans: "régimes d’avantages sociaux",
    plans_dependents: "personnes à charge",
    plans_enrollments: "adhésions aux régimes",
    recordkeeping: "dossiers de retraite",
    ssn: "numéros de sécurité sociale",
  },
  reads: {
    title: "Données que {app} demande à lire",
    benefits: "retenues et cotisations pour les avantages sociaux, et qui y participe",
    company: "nom légal, numéro fiscal, adresses, services et comptes bancaires de l’entreprise",
    deduction: "montants retenus pour les avantages sociaux, et qui y participe",
    directory: "noms, services et responsables de tous les salariés",
    documents: "formulaires fiscaux et autres documents des salariés",
    employment: "intitulés de poste, dates de début et de fin, types de contrat et revenus",
    individual: "adresses personnelles, dates de naissance, e-mails et numéros de téléphone",
    payment: "dates et totaux de chaque paie",
    pay_statement: "salaire, impôts et retenues de chaque salarié pour chaque paie",
    plans: "les régimes d’avantages sociaux de l’entreprise et leurs conditions",
    plans_dependents: "les proches couverts par un régime",
    plans_enrollments: "qui participe à quel régime",
    recordkeeping: "cotisations aux régimes de retraite et leurs soldes",
    ssn: "le numéro de sécurité sociale de chaque salarié",
  },
  confirm: {
    checking: "Un instant\u00a0: nous regardons ce qui a été connecté…",
    title: "Était-ce vous\u202f?",
    text: "Quelqu’un vient de s’identifier chez un fournisseur pour connecter ce compte. Ne le connectez que si c’était vous et si vous connaissez l’entreprise.",
    provider: "Fournisseur",
    company: "Entreprise",
    yes: "Oui, connecter",
    no: "Non, ce n’était pas moi",
    rejected: "Rien n’a été connecté",
    rejectedText: "Cette tentative prend fin toute seule d’ici un jour.",
    foreign: "Ce n’est pas pour votre compte",
    foreignText:
      "Cette tentative a été commencée avec un autre compte, ou il y a trop longtemps. Si vous l’avez commencée vous-même, identifiez-vous ici avec ce compte.",
  },
  result: {
    connected: "Connexion établie\u00a0: {name}",
    connectedText: "Les premières données peuvent prendre quelques minutes.",
    settling: "Connexion en préparation\u00a0: {name}",
    again: "La connexion existait déjà\u00a0: {name}",
    againText: "L’autorisation a été renouvelée. Rien d’autre n’a changé.",
    login: "Un autre identifiant a été ajouté à {name}",
    loginText: "Les autres identifiants restent inchangés.",
    repaired: "La connexion fonctionne à nouveau\u00a0: {name}",
    repairedText: "Les nouvelles données arriveront comme avant.",
    another: "Connexion établie\u00a0: {name}, mais ce n’est pas celle que vous vouliez réparer",
    anotherText:
      "Vous avez choisi autre chose. C’est maintenant une connexion à part\u202f; l’autre demande toujours votre attention.",
    unhealthy: "Connexion établie\u00a0: {name}, mais elle ne fonctionne pas encore",
    pending: "Presque terminé",
    pendingText:
      "Finch n’a pas encore terminé. Votre connexion apparaîtra ici toute seule, le plus souvent en quelques minutes. Inutile de connecter à nouveau.",
    failed: "Cela n’a pas fonctionné",
    refused: "Rien n’a été connecté",
    closedText: "Vous avez fermé Finch Connect avant la fin.",
    disconnected: "Connexion terminée\u00a0: {name}",
    disconnectedText: "Désormais, {app} ne peut plus lire ces données.",
    disconnecting: "Déconnexion en cours\u00a0: {name}",
    disconnectingText:
      "Le fournisseur doit encore confirmer. Cela continue tout seul, même si vous quittez cette page.",
    entityDisconnected: "Une entité juridique de {name} est déconnectée",
    entityDisconnectedText:
      "Désormais, {app} ne peut plus lire ses données. Les autres restent connectées.",
    entityDisconnecting: "Déconnexion en cours d’une entité juridique de {name}",
    entityDisconnectingText:
      "Le fournisseur doit encore confirmer. Cela continue tout seul, même si vous quittez cette page.",
    stale: "Cette liste n’a pas pu être mise à jour",
    staleText: "Dernière mise à jour\u00a0: {when}.",
    unavailable: "Vos connexions ne peuvent pas être affichées",
  },
  dialog: {
    title: "Déconnecter {name}\u202f?",
    stops: "{app} ne recevra plus de données de {provider} pour {company}. Cela met fin à\u00a0:",
    stopsEntity:
      "{app} ne recevra plus de données de {provider} pour {name}. Les autres entités juridiques restent connectées.",
    entities: "Cela vaut pour toutes ses entités juridiques\u00a0: {names}.",
    stays: "Vos autres connexions restent inchangées.",
    undo: "Pour revenir en arrière, vous devriez vous identifier à nouveau chez {provider}.",
    working: "Déconnexion…",
  },
  changed: "{name}\u00a0: {status}",
  failure: {
    access_denied: "Vous avez quitté Finch Connect sans autoriser l’accès aux données.",
    cannot_connect:
      "Cette entreprise ne peut pas être connectée à votre compte, le plus souvent parce qu’un autre compte l’a déjà. Déconnectez-la d’abord là-bas, ou contactez l’assistance.",
    code_rejected: "Finch n’a pas accepté cette tentative. Veuillez connecter à nouveau.",
    connection_busy:
      "Cette connexion est en cours de modification. Patientez un instant, puis réessayez.",
    connection_ended:
      "La connexion a pris fin chez le fournisseur avant d’être achevée. Veuillez connecter à nouveau.",
    connection_limit:
      "Votre compte a déjà toutes les connexions auxquelles il a droit. Déconnectez-en d’abord une, ou ouvrez ses détails pour lui ajouter un identifiant.",
    connection_not_found:
      "Cette connexion n’existe plus. Si vous en avez encore besoin, connectez-la à nouveau.",
    customer_unknown:
      "Votre session n’indique pas à quel compte vous appartenez. Identifiez-vous à nouveau, ou contactez l’assistance.",
    disconnect_refused:
      "Le fournisseur a refusé de mettre fin à cette connexion. Identifiez-vous à nouveau chez lui, puis déconnectez-la encore une fois.",
    exchange_uncertain:
      "La réponse de Finch s’est perdue. Veuillez connecter à nouveau\u202f; la tentative précédente ne vous gênera pas.",
    finch_misconfigured:
      "La connexion est impossible pour le moment. Nous en sommes informés\u202f; veuillez réessayer plus tard.",
    finch_refused:
      "Finch n’a pas accepté cette demande. Veuillez réessayer, ou choisir un autre fournisseur. Si cela échoue aussi, contactez l’assistance.",
    finch_unavailable:
      "Finch est injoignable pour le moment. Veuillez réessayer dans quelques minutes.",
    not_allowed:
      "Votre session ne le permet pas. Identifiez-vous à nouveau, ou contactez l’assistance.",
    internal_error:
      "Un problème est survenu de notre côté. Veuillez réessayer. Si cela se reproduit, contactez l’assistance.",
    invalid_request:
      "Cette demande n’était pas valide. Rechargez la page et recommencez. Si cela se reproduit, contactez l’assistance.",
    mode_not_allowed:
      "Cette page n’est pas configurée pour connecter de cette manière. Vous ne pouvez rien faire ici\u202f; contactez l’assistance.",
    return_to_not_allowed:
      "Cette page n’est pas configurée pour connecter. Ouvrez-la à son adresse habituelle, ou contactez l’assistance.",
    route_not_found:
      "Cette partie du service est introuvable. Rechargez la page. Si cela se reproduit, contactez l’assistance.",
    session_expired: "Ce lien ou cette tentative est trop ancien. Veuillez connecter à nouveau.",
    session_not_found:
      "Cette tentative est inconnue, ou n’est pas la vôtre. Veuillez connecter à nouveau.",
    session_used:
      "Cette tentative a déjà servi. Si votre connexion n’apparaît pas ici, connectez à nouveau.",
    signature_invalid: "Ce message ne vient pas de Finch. Veuillez recommencer.",
    too_many_logins:
      "Cette connexion a le plus grand nombre possible d’identifiants. Déconnectez-la, puis connectez-la à nouveau.",
    too_many_requests: "Trop de tentatives. Patientez quelques minutes, puis réessayez.",
    unauthorized: "Votre session est terminée. Veuillez vous identifier à nouveau.",
    unreachable: "Le service ne répond pas. Vérifiez votre réseau, puis réessayez.",
    unexpected:
      "Un imprévu est survenu. Veuillez réessayer. Si cela se reproduit, contactez l’assistance.",
  },
};
