/** Who asked for jobs, and what was answered. */
import type { Reader } from './reader.ts';

/**
 * Every job was asked for by somebody who was told of it, and whatever was told is there. `pledged`: keys that were asked with, by the
 * jobs that were answered; whoever asks still has been answered. `lostPledges`: of a database that is lost.
 */
export function pledgedOnce(
  about: { readonly reader: Reader; readonly pledged: ReadonlyMap<string, string>; readonly lostPledges: ReadonlySet<string> },
  broken: (promise: string, what: string) => void,
): void {
  const { reader, pledged, lostPledges } = about;
  const jobs = new Set(reader.jobs().map(({ id }) => id));
  for (const id of jobs) if (!pledged.has(id)) broken('once', `${id} was never answered to whoever pledged it`);
  for (const [id, key] of pledged)
    if (!jobs.has(id) && !lostPledges.has(id)) broken('once', `${key} was answered with ${id}, which does not exist`);
}
