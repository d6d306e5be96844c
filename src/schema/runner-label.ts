/** Labels of a join token that mean something to the scheduler. All others are the operator's own words. */
import { z } from 'zod';
import { Stage } from './stage.ts';

/** Dearer than any machine: what is above it is a slip of the pen. */
const MOST_USD_PER_HOUR = 10_000;
const PRICE = 'usd_per_hour=';
const STAGES = 'stages=';
const UNCHECKED = 'hardware=unchecked';

const fault = (label: string): string | undefined => {
  if (label.startsWith(PRICE)) {
    const written = label.slice(PRICE.length);
    const fine = /^[0-9]{1,6}(\.[0-9]{1,9})?$/.test(written) && Number(written) <= MOST_USD_PER_HOUR;
    return fine ? undefined : `usd_per_hour is a number from 0 to ${MOST_USD_PER_HOUR}`;
  }
  if (label.startsWith(STAGES)) {
    const unknown = label
      .slice(STAGES.length)
      .split('+')
      .filter((stage) => !Stage.safeParse(stage).success);
    return unknown.length === 0 ? undefined : `there is no stage ${unknown.join(', ')}; they are joined by + as in stages=PC2+C2`;
  }
  if (label.startsWith('hardware=') && label !== UNCHECKED) return `hardware can only be unchecked`;
  return undefined;
};

/** A label of a join token: free words, or `usd_per_hour=0.4`, `stages=PC2+C2`, `hardware=unchecked`. */
export const RunnerLabel = z
  .string()
  .min(1)
  .max(60)
  .superRefine((label, context) => {
    const message = fault(label);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

export type Terms = {
  /** What an hour of the machine costs; 0 where no label says. */
  readonly usdPerHour: number;
  /** The only stages it may get; undefined: whichever it offers. */
  readonly stages: readonly string[] | undefined;
  /** It gets stages whatever its memory, cards and disk. */
  readonly unchecked: boolean;
};

/** What the labels say. A label that is wrong (one from before they were checked) says nothing. */
export function termsOf(labels: readonly string[]): Terms {
  const good = labels.filter((label) => fault(label) === undefined);
  const price = good.find((label) => label.startsWith(PRICE));
  const stages = good.find((label) => label.startsWith(STAGES));
  return {
    usdPerHour: price === undefined ? 0 : Number(price.slice(PRICE.length)),
    stages: stages?.slice(STAGES.length).split('+'),
    unchecked: good.includes(UNCHECKED),
  };
}
