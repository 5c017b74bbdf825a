/** The open session is in the address (`#session=ID`): a reload, a bookmark or a link reopens it. */

const KEY = "session";

export function sessionInAddress(): string | null {
  const id = new URLSearchParams(location.hash.slice(1)).get(KEY);
  return id && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : null;
}

export function rememberSession(id: string): void {
  if (sessionInAddress() !== id) history.pushState(null, "", `#${KEY}=${id}`);
}

export function goHome(): void {
  location.hash = "";
}
