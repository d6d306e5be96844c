/** What a stage calls the pieces of client data among its inputs. */

/** The input that is the job's piece at this place, counted from 0. */
export const pieceInput = (at: number): string => `piece-${at}`;
