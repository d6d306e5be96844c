/** `sealpool gc`: what object storage holds that no job needs. */
import type { Collected } from '../../api/client.ts';
import type { Command, Session } from '../command.ts';
import { table, time } from '../text.ts';

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `17 bytes`, `3.2 GiB`. */
export function sizeText(sizeBytes: number): string {
  if (sizeBytes < 1024) return `${sizeBytes} bytes`;
  const at = Math.min(UNITS.length, Math.floor(Math.log2(sizeBytes) / 10));
  return `${(sizeBytes / 1024 ** at).toFixed(1)} ${UNITS[at - 1]}`;
}

function collectedText({ removed, held, items, objects, uploads, unknown, listed }: Collected): string {
  const rows = items.map(({ what, key, sizeBytes, sinceMs, reason, job }) => [what, sizeText(sizeBytes), time(sinceMs), reason, job, key]);
  const of = (sum: Collected['objects'], what: string): string => `${sum.count} ${what} (${sizeText(sum.sizeBytes)})`;
  const all = `${of(objects, 'objects')} and ${of(uploads, 'unfinished uploads')}`;
  return [
    ...(rows.length === 0 ? [] : [table(['what', 'size', 'since', 'reason', 'job', 'key'], rows)]),
    removed ? `${all} of ${of(listed, 'objects')} are being removed` : `no job needs ${all} of ${of(listed, 'objects')}`,
    ...(unknown.count === 0 ? [] : [`of ${of(unknown, 'more')} this database knows nothing; they go with --unknown only`]),
    ...(held ? ['nothing is removed until the jobs were compared with the chain after the restore'] : []),
  ].join('\n');
}

async function gc({ client, values, show }: Session): Promise<void> {
  const unknown = values['unknown'] === true;
  show(values['dry-run'] === true ? await client.garbage(unknown) : await client.collectGarbage(unknown), collectedText);
}

export const GC_COMMANDS: readonly Command[] = [
  {
    words: 'gc',
    takes: '[--dry-run] [--unknown]',
    about: 'remove from object storage what no job needs; --unknown: also what this database knows nothing of',
    options: { 'dry-run': { type: 'boolean' }, unknown: { type: 'boolean' } },
    run: gc,
  },
];
