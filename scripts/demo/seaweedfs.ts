/** SeaweedFS as one process (`weed mini`), with one key that may do everything. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Installed by scripts/python-packages.sh. */
export const WEED = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sealpool/python/bin/weed');
export const HAS_WEED = existsSync(WEED);

export type S3Key = { readonly accessKey: string; readonly secretKey: string };

const PARTS = ['master', 'filer', 'volume', 's3', 'admin'] as const;
/** How many free ports it takes. */
export const WEED_PORTS = PARTS.length * 2;

export type WeedCommand = {
  readonly args: readonly string[];
  /** Where it speaks S3, on loopback; its other parts ask for no key, so nothing of it may be reached from elsewhere. */
  readonly port: number;
  /** It leaves sockets behind, named by its ports. */
  cleanUp(): void;
};

/** How to start it over `folder/data`; its key stands in a file, since arguments can be read by everybody. */
export function weedCommand(folder: string, { accessKey, secretKey }: S3Key, ports: readonly number[]): WeedCommand {
  const portArgs = PARTS.flatMap((name, at) => [`-${name}.port=${ports[at]}`, `-${name}.port.grpc=${ports[at + PARTS.length]}`]);
  const identities = join(folder, 's3.json');
  const actions = ['Admin', 'Read', 'Write', 'List', 'Tagging'];
  writeFileSync(identities, JSON.stringify({ identities: [{ name: 'sealpool', credentials: [{ accessKey, secretKey }], actions }] }), {
    mode: 0o600,
  });
  const off = ['-master.telemetry=false', '-admin.ui=false', '-webdav=false', '-s3.port.iceberg=0', '-s3.port.lance=0'];
  const at = ['-ip=127.0.0.1', '-ip.bind=127.0.0.1'];
  return {
    args: ['mini', `-dir=${join(folder, 'data')}`, ...at, `-s3.config=${identities}`, ...portArgs, ...off],
    port: ports[PARTS.indexOf('s3')] as number,
    cleanUp: () => {
      for (const [index, port] of ports.entries()) {
        const name = `${PARTS[index % PARTS.length]}${index < PARTS.length ? '' : '-grpc'}`;
        rmSync(join('/tmp', `seaweedfs-${name}-${port}.sock`), { force: true });
      }
    },
  };
}
