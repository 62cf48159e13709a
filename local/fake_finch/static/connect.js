// Sends the result to the page that embeds or opened this page, in the format of Finch's SDK.
const result = document.getElementById("finch-auth-message");
const message = JSON.parse(result.dataset.message);
const host = window.opener ?? (window.parent === window ? null : window.parent);
host?.postMessage(message, result.dataset.target);
