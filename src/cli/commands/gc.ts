/** `sealpool gc`: what object storage holds that no job needs. */
import type { Collected } from '../../api/client.ts';
import type { Command, Session } from '../command.ts';
import { size, table, time } from '../text.ts';

function collectedText({ removed, held, items, objects, uploads, unknown, listed }: Collected): string {
  const rows = items.map(({ what, key, sizeBytes, sinceMs, reason, job }) => [what, size(sizeBytes), time(sinceMs), reason, job, key]);
  const of = (sum: Collected['objects'], what: string): string => `${sum.count} ${what} (${size(sum.sizeBytes)})`;
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
