/** Workers by the address they were reached at before: damocles' users name a worker by its instance name or its address. */

/** The port damocles' worker listens on unless it is told another. */
const DAMOCLES_PORT = 17_890;

/** An address with its port, in lower case: `10.0.0.7`, `10.0.0.7:17890`, `[fd00::7]` and `fd00::7` get the usual port where they have none. */
export function fullAddress(address: string): string {
  const plain = address.trim().toLowerCase();
  if (/^\[.*\]:[0-9]+$/.test(plain) || /^[^:]+:[0-9]+$/.test(plain)) return plain;
  const host = plain.includes(':') && !plain.startsWith('[') ? `[${plain}]` : plain;
  return `${host}:${DAMOCLES_PORT}`;
}

/** Address by worker's name, as the configuration maps them. */
export type WorkerAddresses = Readonly<Record<string, string>>;

/** The name of the worker that is meant: a name counts before an address. Undefined: neither is known. */
export function workerNamed(typed: string, names: ReadonlySet<string>, addresses: WorkerAddresses): string | undefined {
  if (names.has(typed)) return typed;
  const wanted = fullAddress(typed);
  return Object.entries(addresses).find(([, address]) => fullAddress(address) === wanted)?.[0];
}
