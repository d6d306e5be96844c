/**
 * What honest sealing gives, as text instead of gigabytes: every file and commitment is a function of its
 * inputs, so that a wrong one is told from a right one without asking whoever made it.
 */
import { exactSizeBytes } from '../../src/schema/artifact.ts';
import { createHash } from 'node:crypto';

export type Comm = { readonly cid: string; readonly hex: string };
export type Sector = { readonly miner: string; readonly number: string | number };

export function sha(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

const comm = (prefix: string, text: string): Comm => {
  const hex = sha(text);
  return { cid: `${prefix}${hex}`, hex };
};

export const hashOf = (content: string): string => `sha256:${sha(content)}`;

/** CID of a piece's bytes. */
export const pieceCid = (content: string): string => comm('baga6ea4seaqpiece', content).cid;

/** The 32 bytes that a CID of ours names. */
export const hexOfCid = (cid: string): string => cid.slice(-64);

/** CommD of a layout of pieces, fillers left out; zeros when there is none. */
export function commDOf(pieces: readonly { cid: string; filler?: boolean | undefined }[]): Comm {
  const real = pieces.filter(({ filler }) => filler !== true).map(({ cid }) => cid);
  return comm('baga6ea4seaqdata', real.length === 0 ? 'zeros' : real.join(' '));
}

/** What makes a replica: sector, ticket and CommD (its CID). */
export function replicaId(sector: Sector, ticket: string, commD: string): string {
  return sha(`replica ${sector.miner} ${sector.number} ${ticket} ${commD}`).slice(0, 32);
}

export const commROf = (replica: string): Comm => comm('bagboea4b5abc', `comm-r ${replica}`);

/** The content of file `name` of a sound replica. */
export const fileOf = (name: string, replica: string): string => `${name}|${replica}|sound`;

/** What an update makes of a sector: its old CommR and the new CommD. */
export function updateId(commROld: string, commD: string): string {
  return sha(`update ${commROld} ${commD}`).slice(0, 32);
}

/** The replica that a sound file is of; undefined for any other content. */
export function replicaOf(content: string): string | undefined {
  return /\|([0-9a-f]{32})\|sound$/.exec(content)?.[1];
}

export const pieceOfRange = (commD: string, offsetBytes: string, sizeBytes: string): string =>
  `range ${offsetBytes}+${sizeBytes} of ${commD}`;
export const updateVanillaOf = (commROld: string, commRNew: string, commD: string): string =>
  `update-vanilla|${commROld}|${commRNew}|${commD}|sound`;

export function updateProofOf(commROld: string, commRNew: string, commD: string): string {
  return Buffer.from(sha(`update proof ${commROld} ${commRNew} ${commD}`).repeat(3)).toString('base64');
}

export const unsealedOf = (commD: string): string => `unsealed|${commD}`;
export const treeDOf = (commD: string): string => `tree-d|${commD}`;
export const vanillaOf = (commR: string, seed: string): string => `vanilla|${commR}|${seed}|sound`;

/** 192 bytes, base64. */
export function proofOf(commR: string, seed: string): string {
  return Buffer.from(sha(`proof ${commR} ${seed}`).repeat(3)).toString('base64');
}

/** Randomness of the chain, 32 bytes whose top two bits are clear. */
export function randomness(kind: 'ticket' | 'seed', epoch: number): string {
  return `${sha(`${kind} ${epoch}`).slice(0, 62)}1f`;
}

/** The size it is said to have: a text stands for a file that has that of its sector. */
export const sizeOf = (name: string, content: string): number => exactSizeBytes(name, 'StackedDrg2KiBV1_1') ?? content.length;
