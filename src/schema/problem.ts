/** Errors that reach people: RFC 9457 problems with a code, a sentence and what to do. */
import { z } from 'zod';

export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  requestId: z.string().optional(),
  /** What stands against it, valid values, and the like. */
  extra: z.record(z.string(), z.unknown()).optional(),
});
export type Problem = z.infer<typeof Problem>;

const STATUS = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  wrong_method: 405,
  conflict: 409,
  gone: 410,
  precondition_failed: 412,
  too_large: 413,
  unsupported_type: 415,
  unprocessable: 422,
  too_many_requests: 429,
  internal: 500,
  unavailable: 503,
  storage_full: 503,
} as const;

/** The kinds of refusal; each maps to one HTTP status. */
export type ProblemKind = keyof typeof STATUS;

/** An error with a stable code and a sentence: what happened, then what to do. */
export class SealpoolError extends Error {
  readonly kind: ProblemKind;
  readonly code: string;
  readonly extra: Record<string, unknown> | undefined;

  constructor(kind: ProblemKind, code: string, message: string, extra?: Record<string, unknown>) {
    super(message);
    this.name = 'SealpoolError';
    this.kind = kind;
    this.code = code;
    this.extra = extra;
  }

  get status(): number {
    return STATUS[this.kind];
  }
}

/** The problem document of an error; anything that is not ours becomes `internal` without its text. */
export function toProblem(error: unknown, requestId?: string): Problem {
  const known =
    error instanceof SealpoolError
      ? error
      : new SealpoolError(
          'internal',
          'internal',
          'something broke inside Sealpool; nothing was changed by this request, look for its request id in the log',
        );
  return {
    type: `urn:sealpool:problem:${known.code}`,
    title: known.kind.replaceAll('_', ' '),
    status: known.status,
    code: known.code,
    detail: known.message,
    ...(requestId === undefined ? {} : { requestId }),
    ...(known.extra === undefined ? {} : { extra: known.extra }),
  };
}
