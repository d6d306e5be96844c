/**
 * Which addresses a webhook may reach: public unicast only, unless its endpoint allows private ones. An IPv4 address is
 * looked for inside of IPv6 ones as well: mapped, compatible, NAT64, 6to4. After the special-purpose registries of IANA.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

const IPV4 = [
  '0.0.0.0/8', // this network, unspecified
  '10.0.0.0/8',
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8',
  '169.254.0.0/16', // link-local, the metadata service
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
];

const refused4 = new BlockList();
for (const range of IPV4) {
  const [net = '', bits] = range.split('/');
  refused4.addSubnet(net, Number(bits), 'ipv4');
}
/** Only 2000::/3 is global unicast; what is special in it is taken out. */
const global6 = new BlockList();
global6.addSubnet('2000::', 3, 'ipv6');
const refused6 = new BlockList();
for (const [net, bits] of [
  ['2001::', 23], // Teredo, ORCHID, benchmarking
  ['2001:db8::', 32],
  ['2002::', 16], // 6to4 leads to any IPv4 address
  ['3fff::', 20],
] as const)
  refused6.addSubnet(net, bits, 'ipv6');

/** `64:ff9b::/96` is the one range outside of 2000::/3 that leads to the public IPv4 network. */
const nat64 = new BlockList();
nat64.addSubnet('64:ff9b::', 96, 'ipv6');

/** Whether an address, in any spelling of `net`, is none of the public network. What is no address is refused. */
export function isPrivate(address: string): boolean {
  const plain = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  if (isIPv4(plain)) return refused4.check(plain, 'ipv4');
  if (!isIPv6(plain)) return true;
  if (nat64.check(plain, 'ipv6')) return isPrivate(lastFour(plain));
  return !global6.check(plain, 'ipv6') || refused6.check(plain, 'ipv6');
}

/** The last four bytes of an IPv6 address as IPv4. */
function lastFour(address: string): string {
  // The URL parser writes it in hex throughout, without leading zeros.
  const groups = new URL(`http://[${address}]/`).hostname.slice(1, -1).split(':');
  const [high, low] = groups.slice(-2).map((group) => Number.parseInt(group || '0', 16)) as [number, number];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
