/** The Spanish texts. They suit Spain and America, and use the form "usted". */

import type { Texts } from "./types.ts";

export const es: Texts = {
  title: "Conexiones de nómina",
  theApplication: "la aplicación",
  connect: "Conectar otro sistema",
  connectFirst: "Conectar la nómina",
  addLogin: "Añadir otro acceso",
  connectAgain: "Volver a conectar",
  repair: "Iniciar sesión de nuevo",
  disconnect: "Desconectar",
  keep: "Conservar",
  details: "Detalles",
  more: "Mostrar más",
  tryAgain: "Volver a intentar",
  dismiss: "Cerrar",
  support: "Contactar con soporte",
  reference: "Referencia {id}",
  justNow: "ahora mismo",
  named: "{company} en {provider}",
  action: "{action}: {name}",
  loading: "Cargando sus conexiones…",
  slow: "Está tardando más de lo habitual.",
  opening: "Abriendo Finch Connect…",
  finishing: "Terminando su conexión…",
  unknownCompany: "Empresa {id}",
  list: {
    search: "Buscar",
    hint: "Empresa, proveedor o ID",
    status: "Estado",
    provider: "Proveedor",
    order: "Ordenar por",
    allStatuses: "Todos los estados",
    allProviders: "Todos los proveedores",
    attention: "Lo urgente primero",
    name: "Nombre",
    changed: "Último cambio",
    found: { one: "{n} conexión encontrada.", other: "{n} conexiones encontradas." },
    none: "Ninguna conexión coincide.",
    clear: "Borrar",
    reading: "Leyendo todas las conexiones…",
    cut: "Solo se han leído las primeras {n} conexiones. «Mostrar más» lee más.",
    checked: "Todas las conexiones se comprobaron en el último día.",
    othersChecked: "Las conexiones sin hora indicada se comprobaron en el último día.",
  },
  andMore: { one: "{name} y una más", other: "{name} y {n} más" },
  summary: {
    good: "Todo está conectado y funciona.",
    attention: {
      one: "{n} conexión requiere su atención",
      other: "{n} conexiones requieren su atención",
    },
    none: "En este momento no hay nada conectado.",
    settling: "Algunas conexiones se están preparando. Usted no tiene que hacer nada.",
  },
  sections: {
    attention: "Requieren su atención",
    active: "Conexiones",
    others: "Otras conexiones",
    ended: { one: "1 conexión finalizada", other: "{n} conexiones finalizadas" },
  },
  empty: {
    title: "Conecte su sistema de nómina o de recursos humanos",
    text: "Así {app} trabaja con datos al día, sin hojas de cálculo y sin subir archivos.",
    password: "Usted inicia sesión en su proveedor. Su contraseña nunca llega a {app}.",
    control: "Aquí ve todas las conexiones y puede desconectarlas cuando quiera.",
    awaited: "Su nueva conexión aparecerá aquí por sí sola. No hace falta que conecte otra vez.",
    asked: "Su nueva conexión aparecerá aquí cuando haya respondido a la pregunta de arriba.",
  },
  card: {
    logins: { one: "{n} acceso", other: "{n} accesos" },
    checked: "Comprobada {when}",
    lastCheck: "Última comprobación",
    help: "¿Preguntas?",
    unchecked: "Aún sin comprobar",
    login: "Acceso {n}",
    since: "conectado el {date}",
    ended: "Finalizada el {date}",
    changed: "Último cambio: {date}",
    loginsTitle: "Accesos",
    entities: { one: "{n} entidad jurídica", other: "{n} entidades jurídicas" },
    someEntities: "{some} de {n} entidades jurídicas",
    companyId: "ID de la empresa",
    accountId: "ID de la cuenta",
    entity: "Entidad {id}",
  },
  status: {
    pending: {
      label: "En preparación",
      reason:
        "Falta que {provider} autorice el acceso a los datos. Puede tardar unos días. Usted no tiene que hacer nada.",
    },
    processing: {
      label: "En preparación",
      reason: "Los primeros datos de {provider} están en camino. Usted no tiene que hacer nada.",
    },
    connected: { label: "Conexión activa", reason: "" },
    reauth: {
      label: "Falta iniciar sesión",
      reason:
        "{provider} le pide que inicie sesión de nuevo. Hasta entonces no llegan datos nuevos.",
    },
    error_permissions: {
      label: "Falta un permiso",
      reason:
        "La cuenta que usó en {provider} no puede ver los datos. Pida más permisos a su administrador en {provider}, o inicie sesión de nuevo con una cuenta que los tenga.",
    },
    error_no_account_setup: {
      label: "Sin configurar",
      reason:
        "Su cuenta en {provider} no está configurada por completo. Complétela en {provider} y luego inicie sesión de nuevo.",
    },
    unknown: {
      label: "Problema comunicado",
      reason:
        "{provider} comunica un problema que no conocemos («{detail}»). Inicie sesión de nuevo: suele bastar. Si no, contacte con soporte.",
    },
    disconnecting: {
      label: "Desconexión en curso",
      reason: "Falta que {provider} confirme el final. Usted no tiene que hacer nada.",
    },
    disconnected: {
      label: "Conexión finalizada",
      reason: "Ya no se pueden leer datos. Vuelva a conectarla para usarla aquí.",
    },
  },
  otherStatus: {
    label: "Otro estado",
    reason:
      "{provider} comunica «{detail}», que esta página aún no conoce. Usted no tiene que hacer nada. Si faltan datos, contacte con soporte.",
  },
  problem: {
    connect_again:
      "Otra cuenta tenía conectada esta empresa y la ha desconectado. Vuelva a conectarla para usarla aquí.",
    transferred:
      "Esta empresa pertenece ahora a otra cuenta. Usted no tiene que hacer nada. Si es un error, contacte con soporte.",
    another_company:
      "La última vez inició sesión en otra empresa, que ahora es una conexión aparte. Inicie sesión de nuevo y elija esta empresa.",
    disconnect_refused:
      "{provider} no ha aceptado finalizar esta conexión. Inicie sesión de nuevo y vuelva a desconectarla.",
    entity_disconnect_refused:
      "{provider} no ha aceptado desconectar una entidad jurídica de esta conexión. Vuelva a desconectarla; si no funciona, contacte con soporte.",
  },
  product: {
    benefits: "beneficios",
    company: "datos de la empresa",
    deduction: "deducciones",
    directory: "directorio de empleados",
    documents: "documentos",
    employment: "puestos e ingresos",
    individual: "datos personales",
    payment: "totales de nómina",
    pay_statement: "recibos de nómina",
    plans: "planes de beneficios",
    plans_dependents: "familiares a cargo",
    plans_enrollments: "inscripciones en planes",
    recordkeeping: "registros de jubilación",
    ssn: "números de la Seguridad Social",
  },
  reads: {
    title: "Datos que {app} solicita leer",
    benefits: "deducciones y aportaciones para beneficios, y quién participa",
    company:
      "nombre legal, número fiscal, direcciones, departamentos y cuentas bancarias de la empresa",
    deduction: "importes que se descuentan para beneficios, y quién participa",
    directory: "nombres, departamentos y responsables de todos los empleados",
    documents: "formularios fiscales y otros documentos de los empleados",
    employment: "puestos, fechas de inicio y fin, tipos de contrato e ingresos",
    individual: "domicilios, fechas de nacimiento, correos electrónicos y teléfonos",
    payment: "fechas y totales de cada nómina",
    pay_statement: "salario, impuestos y deducciones de cada empleado en cada nómina",
    plans: "los planes de beneficios de la empresa y sus condiciones",
    plans_dependents: "familiares que un plan cubre",
    plans_enrollments: "quién participa en qué plan",
    recordkeeping: "aportaciones a planes de jubilación y sus saldos",
    ssn: "el número de la Seguridad Social de cada empleado",
  },
  confirm: {
    checking: "Un momento: estamos viendo qué se ha conectado…",
    title: "¿Ha sido usted?",
    text: "Alguien acaba de iniciar sesión en un proveedor para conectar esta cuenta. Conéctela solo si ha sido usted y conoce la empresa.",
    provider: "Proveedor",
    company: "Empresa",
    yes: "Sí, conectar",
    no: "No, no he sido yo",
    rejected: "No se ha conectado nada",
    rejectedText: "Este intento termina por sí solo en menos de un día.",
    foreign: "Esto no es para su cuenta",
    foreignText:
      "Este intento se empezó con otra cuenta, o hace demasiado tiempo. Si lo empezó usted, inicie sesión aquí con esa cuenta.",
  },
  result: {
    connected: "Conexión establecida: {name}",
    connectedText: "Los primeros datos pueden tardar unos minutos.",
    settling: "Conexión en preparación: {name}",
    again: "Ya existía la conexión: {name}",
    againText: "Se ha renovado la autorización. No ha cambiado nada más.",
    login: "Se ha añadido otro acceso a {name}",
    loginText: "Los demás accesos siguen como estaban.",
    repaired: "Vuelve a funcionar: {name}",
    repairedText: "Los datos nuevos llegarán como antes.",
    another: "Conexión establecida: {name}, pero no es la que quería reparar",
    anotherText:
      "Ha iniciado sesión en otro sistema. Ahora es una conexión aparte; la otra aún requiere su atención.",
    unhealthy: "Conexión establecida: {name}, pero aún no funciona",
    pending: "Casi listo",
    pendingText:
      "Finch aún no ha terminado. Su conexión aparecerá aquí por sí sola, casi siempre en unos minutos. No hace falta que conecte otra vez.",
    failed: "No ha funcionado",
    refused: "No se ha conectado nada",
    closedText: "Cerró Finch Connect antes del final.",
    disconnected: "Conexión finalizada: {name}",
    disconnectedText: "A partir de ahora {app} ya no puede leer estos datos.",
    disconnecting: "Desconexión en curso: {name}",
    disconnectingText:
      "Falta que el proveedor lo confirme. El proceso sigue por sí solo, también si sale de esta página.",
    entityDisconnected: "Se ha desconectado una entidad jurídica de {name}",
    entityDisconnectedText:
      "A partir de ahora {app} ya no puede leer sus datos. Las demás siguen conectadas.",
    entityDisconnecting: "Se está desconectando una entidad jurídica de {name}",
    entityDisconnectingText:
      "Falta que el proveedor lo confirme. El proceso sigue por sí solo, también si sale de esta página.",
    stale: "No se ha podido actualizar esta lista",
    staleText: "Lo que ve se actualizó {when}.",
    unavailable: "No se pueden mostrar sus conexiones",
  },
  dialog: {
    title: "¿Desconectar {name}?",
    stops: "{app} dejará de recibir datos de {company} desde {provider}. Finalizará lo siguiente:",
    stopsEntity:
      "{app} dejará de recibir datos de {name} desde {provider}. Las demás entidades jurídicas siguen conectadas.",
    entities: "Finaliza para todas sus entidades jurídicas: {names}.",
    stays: "Sus otras conexiones siguen como están.",
    undo: "Para deshacerlo, tendría que volver a iniciar sesión en {provider}.",
    working: "Desconectando…",
  },
  changed: "{name}: {status}",
  failure: {
    access_denied: "Salió de Finch Connect sin autorizar el acceso a los datos.",
    cannot_connect:
      "Esta empresa no se puede conectar a su cuenta, casi siempre porque la tiene otra cuenta. Desconéctela primero allí o contacte con soporte.",
    code_rejected: "Finch no ha aceptado este intento. Vuelva a conectar, por favor.",
    connection_busy:
      "Esta conexión se está modificando ahora mismo. Espere un momento y vuelva a intentarlo.",
    connection_ended:
      "La conexión terminó en el proveedor antes de completarse. Vuelva a conectar, por favor.",
    connection_limit:
      "Su cuenta ya tiene todas las conexiones que puede tener. Desconecte una primero, o abra sus detalles para añadirle otro acceso.",
    connection_not_found:
      "Esta conexión ya no existe. Si todavía la necesita, vuelva a conectarla.",
    customer_unknown:
      "Su sesión no indica a qué cuenta pertenece. Inicie sesión de nuevo o contacte con soporte.",
    disconnect_refused:
      "El proveedor no ha aceptado finalizar esta conexión. Inicie sesión de nuevo en él y vuelva a desconectarla.",
    exchange_uncertain:
      "Se perdió la respuesta de Finch. Vuelva a conectar, por favor; el intento anterior no se lo impedirá.",
    finch_misconfigured:
      "En este momento no se puede conectar. Ya estamos al tanto; vuelva a intentarlo más tarde, por favor.",
    finch_refused:
      "Finch no ha aceptado esta solicitud. Vuelva a intentarlo, por favor, o con otro proveedor. Si tampoco funciona, contacte con soporte.",
    finch_unavailable:
      "En este momento no se puede contactar con Finch. Vuelva a intentarlo en unos minutos, por favor.",
    not_allowed: "Su sesión no permite hacer esto. Inicie sesión de nuevo o contacte con soporte.",
    internal_error:
      "Algo ha fallado por nuestra parte. Vuelva a intentarlo, por favor. Si se repite, contacte con soporte.",
    invalid_request:
      "La solicitud no era válida. Vuelva a cargar la página y empiece de nuevo. Si se repite, contacte con soporte.",
    mode_not_allowed:
      "Esta página no está preparada para conectar de esta manera. Usted no puede hacer nada aquí; contacte con soporte.",
    return_to_not_allowed:
      "Esta página no está preparada para conectar. Ábrala en su dirección habitual o contacte con soporte.",
    route_not_found:
      "No se ha encontrado esta parte del servicio. Vuelva a cargar la página. Si se repite, contacte con soporte.",
    session_expired: "Este enlace o intento es demasiado antiguo. Vuelva a conectar, por favor.",
    session_not_found: "Este intento no se conoce o no es suyo. Vuelva a conectar, por favor.",
    session_used: "Este intento ya se ha usado. Si su conexión no aparece aquí, vuelva a conectar.",
    signature_invalid: "Este mensaje no procede de Finch. Empiece de nuevo, por favor.",
    too_many_logins:
      "Esta conexión tiene el máximo número posible de accesos. Desconéctela y vuelva a conectarla.",
    too_many_requests: "Demasiados intentos. Espere unos minutos y vuelva a intentarlo.",
    unauthorized: "Su sesión ha terminado. Inicie sesión de nuevo, por favor.",
    unreachable: "El servicio no responde. Compruebe su red y vuelva a intentarlo.",
    unexpected:
      "Ha ocurrido algo inesperado. Vuelva a intentarlo, por favor. Si se repite, contacte con soporte.",
  },
};
