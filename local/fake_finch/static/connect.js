// Hands the result to the page that embeds or opened this one, in the form Finch's SDK listens for.
const result = document.getElementById("finch-auth-message");
const message = JSON.parse(result.dataset.message);
const around = window.opener ?? (window.parent === window ? null : window.parent);
around?.postMessage(message, result.dataset.target);
