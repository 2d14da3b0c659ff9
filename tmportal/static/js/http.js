// One door to the API: session cookie, CSRF token, and errors as sentences.

const OFFLINE = "The service cannot be reached just now. Check the connection and try again.";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  // Worth trying again without the user: the connection or the service, not the request itself.
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

export async function call(method, url, { json, form, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = token();
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: json === undefined ? form : JSON.stringify(json),
      credentials: "same-origin",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(OFFLINE, 0);
  }
  const text = await response.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    // A proxy or an error page answered instead of the API.
  }
  if (response.ok && data !== null) return data;
  const told = response.status === 401 ? null : data?.error?.message;
  throw new ApiError(told ?? sentence(response.status), response.status);
}

function sentence(status) {
  if (status === 413) return "The file is too large for the service. Send a smaller one.";
  if (status === 401) return "You are no longer logged in. Open the login page in another tab, then try again here.";
  if (status === 403) return "Your account may not do this.";
  if (status === 404) return "That is not there any more.";
  return "The service could not answer just now. Try again in a moment.";
}
