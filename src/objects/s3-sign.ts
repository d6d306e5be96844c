/** URLs for single objects and parts of an S3 bucket. Signed one by one with the SDK's signer, below its request pipeline: an upload has up to 9,500. */
import { S3RequestPresigner } from '@aws-sdk/s3-request-presigner';

/** What the signer takes from the client's configuration. */
export type SignerSettings = ConstructorParameters<typeof S3RequestPresigner>[0];
type Signable = Parameters<S3RequestPresigner['presign']>[0];

/** S3 signs for seven days at most. */
const MOST_TTL_MS = 7 * 24 * 60 * 60 * 1000;

export type UrlWish = {
  readonly method: 'GET' | 'PUT';
  /** The full key in the bucket, made of plain segments. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly ttlMs: number;
  /** Signed along: a body of another length is refused. */
  readonly sizeBytes?: number;
};

export class S3Urls {
  readonly #presigner: S3RequestPresigner;
  readonly #base: URL;

  /** `base`: the URL of the bucket. */
  constructor(settings: SignerSettings, base: URL) {
    this.#presigner = new S3RequestPresigner(settings);
    this.#base = base;
  }

  /** A URL for this method on this object, until it ends. */
  async sign({ method, key, query = {}, ttlMs, sizeBytes }: UrlWish): Promise<string> {
    const base = this.#base;
    const path = `${base.pathname.replace(/\/+$/, '')}/${key}`;
    const request = {
      method,
      protocol: base.protocol,
      hostname: base.hostname,
      ...(base.port === '' ? {} : { port: Number(base.port) }),
      path,
      query: { ...query },
      headers: { host: base.host, ...(sizeBytes === undefined ? {} : { 'content-length': String(sizeBytes) }) },
    };
    const signed = await this.#presigner.presign(request as unknown as Signable, {
      expiresIn: Math.max(1, Math.floor(Math.min(ttlMs, MOST_TTL_MS) / 1000)),
      // Where it is a header of the signature, it binds; as a part of the query it would be for show.
      unhoistableHeaders: new Set(['content-length']),
    });
    const search = Object.entries(signed.query ?? {}).map(([name, value]) => `${encode(name)}=${encode(String(value))}`);
    return `${base.protocol}//${base.host}${path}?${search.join('&')}`;
  }
}

/** As the signature has it: RFC 3986, and the five characters that encodeURIComponent leaves. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
