/** Exit codes of the chain, and the way an actor gives one. */

export const EXIT = {
  Ok: 0,
  SysInvalidReceiver: 5,
  SysInsufficientFunds: 6,
  SysOutOfGas: 7,
  IllegalArgument: 16,
  NotFound: 17,
  Forbidden: 18,
  InsufficientFunds: 19,
  IllegalState: 20,
  Serialization: 21,
  UnhandledMessage: 22,
} as const;

/** An actor refused a message: everything the message did is taken back, the code goes into the receipt. */
export class ActorAbort extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, reason: string) {
    super(reason);
    this.name = 'ActorAbort';
    this.exitCode = exitCode;
  }
}

/** The refusal of an argument: exit code 16. */
export function illegal(reason: string): ActorAbort {
  return new ActorAbort(EXIT.IllegalArgument, reason);
}
