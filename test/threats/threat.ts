/** A row of the threat table: what an attacker does, what stands against it, and the test that fails without that. */
export type Threat = {
  readonly threat: string;
  readonly control: string;
  /** Below src/. */
  readonly file: string;
  /** Stands there exactly once; `replace` is the source without the control. */
  readonly find: string;
  readonly replace: string;
  /** The test file, and how the name of the test begins that must fail then. */
  readonly test: string;
  readonly name: string;
};
