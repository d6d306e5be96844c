/**
 * Connections that lead to public addresses only. A name is resolved once, every address of the answer is checked, and
 * the socket gets those very addresses: a second answer of the name server (rebinding) is never asked for. The address
 * that the socket has reached is looked at once more.
 */
import { Resolver, lookup } from 'node:dns/promises';
import { type LookupFunction, isIP } from 'node:net';
import { callbackify } from 'node:util';
import { buildConnector } from 'undici';
import { isPrivate } from './addresses.ts';

export type Resolve = (hostname: string) => Promise<readonly { address: string; family: number }[]>;

export type GuardOptions = {
  /** Until the connection stands, TLS included. */
  readonly connectMs: number;
  /** The name server. */
  readonly resolve?: Resolve;
  /** Which addresses are refused. */
  readonly refused?: (address: string) => boolean;
  /** Certificates to trust besides the usual ones, PEM. */
  readonly ca?: string;
};

/** The receiver is at an address that must not be reached. */
export class AddressRefused extends Error {
  readonly address: string;

  constructor(address: string) {
    // Not which one: that would tell what names inside the house stand for.
    super('the receiver is at no public address; use a public one, or let an admin allow private addresses for this webhook');
    this.address = address;
    this.name = 'AddressRefused';
  }
}

/** A name server that says nothing is given up after this; the system's own look-up would go on, and hold one of few threads. */
const NAME_MS = 2_000;

/** Asks the name servers. Unlike the system's look-up it can be given up, and waits for no other one. */
export function publicResolve(): Resolve {
  const resolver = new Resolver({ timeout: NAME_MS, tries: 1 });
  return async (hostname) => {
    const [four, six] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    if (four.status === 'rejected' && six.status === 'rejected') throw four.reason;
    return [
      ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 })) : []),
      ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 })) : []),
    ];
  };
}

/** Resolves names by the system, as /etc/hosts has them too; one look-up of a name at a time, whoever asks. */
export function systemResolve(): Resolve {
  const underWay = new Map<string, ReturnType<Resolve>>();
  return (hostname) => {
    const known = underWay.get(hostname);
    if (known !== undefined) return known;
    const asked = lookup(hostname, { all: true, verbatim: true }).finally(() => underWay.delete(hostname));
    underWay.set(hostname, asked);
    return asked;
  };
}

/** A connector for undici's Agent that refuses what `refused` says. */
export function guardedConnector(options: GuardOptions): buildConnector.connector {
  const { connectMs, resolve = publicResolve(), refused = isPrivate, ca } = options;
  const addressesOf = callbackify(async (hostname: string) => {
    const addresses = await resolve(hostname);
    const bad = addresses.find(({ address }) => refused(address));
    if (bad !== undefined) throw new AddressRefused(bad.address);
    if (addresses.length === 0) throw new Error('the name has no address');
    return addresses;
  });
  const checked: LookupFunction = (hostname, { all }, callback) => {
    addressesOf(hostname, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) callback(error, [], 0);
      else if (all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    });
  };
  const connect = buildConnector({
    timeout: connectMs,
    lookup: checked,
    ...(ca === undefined ? {} : { ca }),
  } as buildConnector.BuildOptions);
  return (target, callback) => {
    const literal = target.hostname.replace(/^\[|\]$/g, '');
    // No name is looked up for an address.
    if (isIP(literal) !== 0 && refused(literal)) {
      callback(new AddressRefused(literal), null);
      return;
    }
    connect(target, (error, socket) => {
      if (error !== null || socket === null) {
        callback(error ?? new Error('there is no connection'), null);
        return;
      }
      const reached = socket.remoteAddress ?? '';
      if (!refused(reached)) {
        callback(null, socket);
        return;
      }
      socket.destroy();
      callback(new AddressRefused(reached), null);
    });
  };
}
