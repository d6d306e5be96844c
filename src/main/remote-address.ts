/** Who is at the other end of a connection: by its socket, or as a proxy that is trusted says. */
import { BlockList, isIP } from 'node:net';
import { SealpoolError } from '../schema/problem.ts';

/** An address without its port, brackets and zone, an IPv4 one in IPv6 form as IPv4; undefined: it is none. */
function plain(written: string): string | undefined {
  const bare = written
    .trim()
    .replace(/^\[(.*)\](:\d+)?$/, '$1')
    .replace(/%.*$/, '');
  const four = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/i.exec(bare)?.[1] ?? bare;
  return isIP(four) === 0 ? undefined : four;
}

/** One IPv6 host has 2^64 addresses: its network stands for them. */
function counted(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

function listOf(trusted: readonly string[]): BlockList {
  const list = new BlockList();
  for (const one of trusted) {
    const [address = '', bits] = one.split('/');
    const version = isIP(address);
    const family = version === 6 ? 'ipv6' : 'ipv4';
    const most = version === 6 ? 128 : 32;
    if (version === 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)))
      throw new SealpoolError(
        'bad_request',
        'configuration',
        `trusted_proxies: ${JSON.stringify(one)} is no address and no network; write 10.0.0.7 or 10.0.0.0/8`,
      );
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/**
 * Tells the client's address. `X-Forwarded-For` counts only where the socket's other end is one of `trusted` (addresses or
 * networks), and of it the last address that is none of those: what stands before it anybody can write. An IPv6 client is
 * told as its /64. Throws `configuration` where `trusted` has something else.
 */
export function remoteAddress(
  trusted: readonly string[],
): (socket: string | undefined, forwardedFor: string | undefined) => string | undefined {
  const list = listOf(trusted);
  const isTrusted = (address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  return (socket, forwardedFor) => {
    let address = socket === undefined ? undefined : plain(socket);
    const hops = (forwardedFor ?? '').split(',').reverse();
    for (const hop of hops) {
      if (address === undefined || !isTrusted(address)) break;
      const before = plain(hop);
      if (before === undefined) break;
      address = before;
    }
    return address === undefined ? undefined : counted(address);
  };
}
