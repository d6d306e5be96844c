/** Secrets of webhooks as Standard Webhooks writes them: `whsec_` and base64 of 32 random bytes. */
import type { Ids } from './ports.ts';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const SECRET_BYTES = 32;

/** A fresh secret. */
export function webhookSecret(ids: Ids): string {
  return `whsec_${base64OfHex(ids.hex(SECRET_BYTES))}`;
}

/** Base64, with padding, of bytes given in hex. */
export function base64OfHex(hex: string): string {
  let text = '';
  for (let at = 0; at < hex.length; at += 6) {
    const group = hex.slice(at, at + 6);
    const bits = Number.parseInt(group.padEnd(6, '0'), 16);
    const digits = [18, 12, 6, 0].map((shift) => DIGITS[(bits >> shift) & 63]).join('');
    text += digits.slice(0, group.length / 2 + 1).padEnd(4, '=');
  }
  return text;
}
