/** How a runner's faults spoil what its stages make, and how it sends a file. */
import type { Report } from '../../src/schema/runner.ts';
import type { FakeObjects } from './fake-objects.ts';
import { hashOf, sizeOf } from './replica.ts';
import type { StageFault } from './script.ts';
import { type AttemptUrls, manifestFor } from './transfers.ts';

/** What is made is wrong. */
export const LIES: ReadonlySet<StageFault> = new Set([
  'wrong_comm_r',
  'wrong_comm_d',
  'garbage',
  'forged',
  'bad_proof',
  'missing_output',
  'unparsable',
]);
/** What is said of it is wrong. */
export const SPOILT: ReadonlySet<StageFault> = new Set(['garbage_hash', 'extra_output', 'wrong_size']);

type Output = Extract<Report, { outcome: 'done' }>['outputs'][number];

/** Where a stage's outputs go. */
export type Sending = {
  readonly objects: FakeObjects;
  readonly urls: AttemptUrls;
  /** Whether the next manifest is to be of something else; undefined: none are sent. */
  readonly wrongSum: (() => boolean) | undefined;
};

/** Uploads one file; answers what a report says of it. Throws where the object store refuses it. */
export function sendOutput(
  { objects, urls, wrongSum }: Sending,
  [name, content]: readonly [string, string],
  fault: StageFault | undefined,
): Output {
  const sent = fault === 'garbage_hash' ? `other ${content}` : content;
  const size = sizeOf(name, sent);
  const etag = objects.receive(urls.output(name), sent, size);
  const sizeBytes = size + (fault === 'wrong_size' ? 1 : 0);
  const manifest = wrongSum === undefined ? undefined : manifestFor(sent, size, wrongSum());
  const said = { name, sizeBytes: String(sizeBytes), hash: hashOf(content), parts: [{ number: 1, etag }] };
  return manifest === undefined ? said : { ...said, manifest };
}
