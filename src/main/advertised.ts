/** Where a control plane says that it is: to runners, to commands, and in the URLs of the embedded object store. */
import type { Config } from './config.ts';

export type Advertised = {
  /** Where it listens. */
  readonly listening: string;
  /** What others are told: public_url, else the same. */
  readonly url: string;
  /** Said at the start, where others cannot use what they are told. */
  readonly warning: string | undefined;
};

/** All addresses of the machine, as they may be written. */
const ALL = /^(0\.0\.0\.0|[0:]*:[0:]*)$/;

export function advertised(config: Pick<Config, 'listen' | 'public_url'>, port: number): Advertised {
  const { listen, public_url: publicUrl } = config;
  const listening = `http://${listen.includes(':') ? `[${listen}]` : listen}:${port}`;
  const url = publicUrl ?? listening;
  const isNoPlace = publicUrl === undefined && ALL.test(listen);
  const warning = isNoPlace
    ? `runners and clients on other machines are told ${url}, which leads each of them to itself; set public_url to how they reach this one`
    : undefined;
  return { listening, url, warning };
}
