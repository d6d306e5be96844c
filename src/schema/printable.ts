/** Words of a runner as they reach an operator's terminal and page. */
import { z } from 'zod';
import { redacted } from './redacted.ts';

/** Printable text of at most `max` characters, without secrets and control characters. */
export const printable = (max: number) =>
  z
    .string()
    .max(max)
    .transform((text) => redacted(text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')));
