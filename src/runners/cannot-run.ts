/** Why no agent runs here, where starting it again as it is does not help. */

/** `refused`: the control plane takes neither its credential nor its join token. `configuration`: something here is to be mended. */
export class CannotRun extends Error {
  readonly why: 'refused' | 'configuration';

  constructor(why: CannotRun['why'], message: string) {
    super(message);
    this.name = 'CannotRun';
    this.why = why;
  }
}
