/** What is measured, in the same words for every system. Each call talks to a server in a process of its own. */

export interface DispatchQueue {
  readonly name: string;
  /** How it is set up, in a few words for the table. */
  readonly setup: string;
  /** One durable enqueue, acknowledged. */
  enqueue(): Promise<void>;
  /** Takes and completes `jobs` jobs one by one, `lanes` at a time; resolves when all are acknowledged. */
  work(jobs: number, lanes: number): Promise<void>;
  /** The same as fast as the system can: its own batches, its own prefetch. */
  drain(jobs: number): Promise<void>;
  /** Resolves when that many jobs can be taken. */
  queued(jobs: number): Promise<void>;
  /**
   * One job of two stages: a worker takes the first; from the moment it reports it done until another worker,
   * already waiting, holds the second. Milliseconds.
   */
  handOff(): Promise<number>;
  close(): Promise<void>;
}

/** Opens a fresh, empty queue that will hold at most `jobs` jobs. */
export type Open = (jobs: number) => Promise<DispatchQueue>;
