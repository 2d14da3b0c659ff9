// One door to the API: session cookie, CSRF token, a limit of time, and errors as sentences.

const OFFLINE = "The service cannot be reached just now. Check the connection and try again.";
const PATIENCE_MS = 60_000;

export class ApiError extends Error {
  // answered: the API itself said so, not a proxy, an error page or the network.
  constructor(message, { status = 0, code = "", fields = {}, answered = false } = {}) {
    super(message);
    Object.assign(this, { status, code, fields, answered });
  }

  // Worth trying again without the user: the connection or the service, not the request itself.
  get passing() {
    return !this.answered || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

let given = ""; // a token that the service handed out after the page was made

export function takeToken(token) {
  given = token;
}

// The cookie is the newest: after a login in another window the token of this page counts no more.
const token = () =>
  document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? (given || document.querySelector('meta[name="csrf-token"]')?.content) ?? "";

// keepalive: what is on its way arrives although the page is left.
export async function call(method, url, { json, form, timeout, keepalive = false } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = token();
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const wait = timeout ?? (form ? undefined : PATIENCE_MS); // an upload takes as long as the line needs
  let response;
  let text;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: json === undefined ? form : JSON.stringify(json),
      credentials: "same-origin",
      keepalive,
      signal: wait && AbortSignal.timeout(wait),
    });
    text = await response.text();
  } catch {
    throw new ApiError(OFFLINE);
  }
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    // A proxy or an error page answered instead of the API.
  }
  if (response.ok && data !== null) return data;
  if (response.ok) throw new ApiError(OFFLINE);
  const { message, code, fields } = data?.error ?? {};
  const told = response.status === 401 ? null : message;
  throw new ApiError(told ?? sentence(response.status), { status: response.status, code, fields, answered: Boolean(message) });
}

function sentence(status) {
  if (status === 413) return "The file is too large for the service. Send a smaller one.";
  if (status === 401) return "You are no longer logged in. Open the login page in another tab, then try again here.";
  if (status === 403) return "Your account may not do this.";
  if (status === 404) return "That is not there any more.";
  return "The service could not answer just now. Try again in a moment.";
}
