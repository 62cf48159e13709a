// The SDK of the fake Finch. Like Finch's own SDK (an npm package, also on Finch's CDN), it opens Finch
// Connect in a frame and passes the result to callbacks of the application.

globalThis.FinchConnect = {
  initialize({ onSuccess, onError, onClose, apiConfig }) {
    const address = apiConfig?.connectUrl ?? "https://connect.tryfinch.com";
    let frame = null;

    const close = () => {
      frame?.remove();
      frame = null;
      document.body.style.overflow = "";
    };

    const receive = ({ data, origin }) => {
      if (data?.name !== "finch-auth-message-v2" || !origin.startsWith(address)) return;
      if (data.kind !== "error" || data.error?.shouldClose) close();
      if (data.kind === "success") onSuccess({ code: data.code, state: data.state });
      else if (data.kind === "closed") onClose();
      else onError({ errorMessage: data.error?.message, errorType: data.error?.type });
    };

    window.addEventListener("message", receive);
    return {
      open({ sessionId, state, zIndex = 999 }) {
        close();
        const url = new URL(`${address}/authorize`);
        url.searchParams.set("session", sessionId);
        if (state) url.searchParams.set("state", state);
        url.searchParams.set("app_type", "spa");
        url.searchParams.set("sdk_host_url", location.origin);
        url.searchParams.set("mode", "employer");
        url.searchParams.set("sdk_version", "fake");
        frame = document.createElement("iframe");
        frame.id = "finch-connect-iframe";
        frame.src = url.href;
        frame.title = "Finch Connect";
        const { style } = frame;
        Object.assign(style, { position: "fixed", inset: "0", width: "100%", height: "100%" });
        Object.assign(style, { border: "none", zIndex: String(zIndex) });
        document.body.prepend(frame);
        document.body.style.overflow = "hidden";
      },
      close,
      destroy() {
        close();
        window.removeEventListener("message", receive);
      },
    };
  },
};
