/** Text without secrets: what is logged, and the words of runners that become part of the history. */

/** Our own secrets, and those of webhooks. */
const SECRET = /sp-(api|run|join)-[0-9a-f]+/g;
const WEBHOOK_SECRET = /whsec_[A-Za-z0-9+/=_-]+/g;
/** Tokens of Lotus and Venus nodes. */
const JWT = /eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g;
const BEARER = /(Bearer )[\x21-\x7e]+?(?=["\\\s]|$)/gi;
const SIGNED_QUERY = /(https?:\/\/[^\s"'?\\]+)\?[^\s"'\\]+/g;
/** Of a signed URL without its host: ours, and S3's. */
const SIGNATURE = /([?&](?:signature|x-amz-signature|x-amz-credential|x-amz-security-token)=)[^&\s"'\\]+/gi;
/** Name and password in a URL. */
const USER_INFO = /(https?:\/\/)[^\s"'/?#\\@]+@/g;

/** The text without secrets and without URLs' queries. */
export function redacted(line: string): string {
  return line
    .replaceAll(SECRET, 'sp-$1-[secret]')
    .replaceAll(WEBHOOK_SECRET, 'whsec_[secret]')
    .replaceAll(JWT, '[token]')
    .replaceAll(BEARER, '$1[secret]')
    .replaceAll(SIGNED_QUERY, '$1?[query]')
    .replaceAll(SIGNATURE, '$1[secret]')
    .replaceAll(USER_INFO, '$1[secret]@');
}
