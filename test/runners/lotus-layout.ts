/**
 * What lotus looks at when it opens a path (storage/paths `Local.OpenPath`, `declareSectors`; storiface `LocalStorageMeta`,
 * `ParseSectorID`), as rules of our own. Answers what it would refuse or warn about.
 */
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { P_AUX, T_AUX } from '../../src/schema/artifact.ts';

/** In lotus' order; each is a folder of the path. */
const TYPES = ['unsealed', 'sealed', 'cache', 'update', 'update-cache'];
const FOLDERS = new Set(['cache', 'update-cache']);
const NUMBERS = ['Weight', 'MaxStorage'];
const FLAGS = ['CanSeal', 'CanStore'];
const LISTS = ['Groups', 'AllowTo', 'AllowTypes', 'DenyTypes', 'AllowMiners', 'DenyMiners'];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function metaComplaints(path: string): Promise<string[]> {
  const text = await readFile(join(path, 'sectorstore.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return ['no sectorstore.json'];
  const meta = JSON.parse(text) as Record<string, unknown>;
  const isUint = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0;
  const isList = (value: unknown): boolean => value === null || (Array.isArray(value) && value.every((one) => typeof one === 'string'));
  const list = (field: string): string[] => (meta[field] as string[] | null) ?? [];
  return [
    ...(typeof meta['ID'] === 'string' && UUID.test(meta['ID']) ? [] : ['ID is no UUID']),
    ...NUMBERS.filter((field) => !isUint(meta[field])).map((field) => `${field} is no unsigned number`),
    ...FLAGS.filter((field) => typeof meta[field] !== 'boolean').map((field) => `${field} is no flag`),
    ...LISTS.filter((field) => !isList(meta[field])).map((field) => `${field} is no list of texts`),
    ...Object.keys(meta)
      .filter((field) => !['ID', ...NUMBERS, ...FLAGS, ...LISTS].includes(field))
      .map((field) => `lotus has no field ${field}`),
    ...(meta['CanSeal'] === true || meta['CanStore'] === true ? [] : ['neither for sealing nor for storing']),
    ...['AllowTypes', 'DenyTypes'].flatMap((field) =>
      list(field)
        .filter((type) => !TYPES.includes(type))
        .map((type) => `${field} has ${type}`),
    ),
    ...['AllowMiners', 'DenyMiners'].flatMap((field) =>
      list(field)
        .filter((miner) => !/^[tf]0[0-9]+$/.test(miner))
        .map((miner) => `${field} has ${miner}`),
    ),
  ];
}

async function entryComplaints(path: string, type: string, name: string): Promise<string[]> {
  // The one name that is passed over; everything else has to be a sector, or the whole path is refused.
  if (name === 'fetching') return [];
  if (!/^s-t0[0-9]+-[0-9]+$/.test(name)) return [`${type}/${name} is no sector`];
  const entry = await stat(join(path, type, name));
  if (FOLDERS.has(type) !== entry.isDirectory()) return [`${type}/${name} is ${entry.isDirectory() ? 'a folder' : 'no folder'}`];
  if (!FOLDERS.has(type)) return entry.size === 0 ? [`${type}/${name} is empty`] : [];
  const inside = await readdir(join(path, type, name));
  const needed = type === 'cache' ? [P_AUX, T_AUX] : [P_AUX];
  return needed
    .map((file) => file.split('/')[1] as string)
    .filter((file) => !inside.includes(file))
    .map((file) => `${type}/${name} has no ${file}`);
}

/** `attached`: it has to have its sectorstore.json too. */
export async function lotusComplaints(path: string, { attached = true } = {}): Promise<string[]> {
  const complaints = attached ? await metaComplaints(path) : [];
  for (const type of TYPES) {
    for (const name of await readdir(join(path, type)).catch(() => [])) complaints.push(...(await entryComplaints(path, type, name)));
  }
  return complaints;
}
