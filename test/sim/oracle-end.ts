/**
 * What must hold when faults have ended and everything came to rest: every job ended or says why it waits;
 * objects and stored files are whole, and nothing else is left; the chain shows what finished.
 */
import { KEPT, KEPT_OF_UPDATE, pathOf } from './existing.ts';
import type { FakeChain } from './fake-chain.ts';
import type { FakeObjects } from './fake-objects.ts';
import { isProvable, sectorKey } from './ledger.ts';
import type { MinerDisks } from './miner-disks.ts';
import { waitsInEarnest } from './oracle-sectors.ts';
import type { HistoryOracle } from './oracle-history.ts';
import { recordTrue } from './oracle-records.ts';
import type { EffectLine, JobRow, Reader } from './reader.ts';
import { hashOf } from './replica.ts';

type Data = {
  readonly artifacts: Record<string, { key: string; sizeBytes: string; hash: string }>;
  readonly pieces: { key: string }[];
  readonly stored?: { storage: string; files: { path: string; sizeBytes: string; hash: string }[] };
  readonly commR?: { cid: string };
  readonly snapCommR?: { cid: string };
  readonly asked?: { skipOnchainCheck?: boolean };
  readonly record?: { commD: { cid: string } | null; update: { commD: { cid: string } } | null };
};
/** What only the world outside can end: a deal, a sector to put it into, another job of the sector. */
const OUTSIDE: ReadonlySet<string> = new Set(['no_deals', 'no_candidate', 'sector_busy']);

type Kept = { readonly reader: Reader; readonly objects: FakeObjects; readonly chain: FakeChain; readonly spoilt: ReadonlySet<string> };
type Broken = (promise: string, what: string) => void;

export const ended = (state: string): boolean => state === 'Finished' || state === 'Aborted';

/** Jobs that neither ended nor wait for a person, a thread that is taken, or a deal. */
export function unsettled(reader: Reader): JobRow[] {
  const free = reader.threads().filter(({ enabled, job }) => enabled === 1 && job === null);
  return reader.jobs().filter((job) => {
    if (ended(job.state) || job.paused === 1) return false;
    if (job.waiting_for === 'thread') return free.some(({ plan, miner }) => plan === job.plan && (miner === null || miner === job.miner));
    return !(job.waiting_for === 'retry' && OUTSIDE.has(job.error_code ?? '') && waitsInEarnest(reader, job));
  });
}

/** Artifacts of jobs that live exist with the size that was recorded. `spoilt`: keys a fault damaged. */
export function artifactsWhole(reader: Reader, objects: FakeObjects, spoilt: ReadonlySet<string>, broken: Broken): void {
  for (const job of reader.jobs()) {
    if (ended(job.state)) continue;
    const data = reader.dataOf<Data>(job);
    for (const [name, { key, sizeBytes }] of Object.entries(data.artifacts)) {
      const found = objects.objects.get(key);
      if (spoilt.has(key)) continue;
      if (found === undefined) broken('objects', `${name} of ${job.id} in ${job.state} is gone (${key})`);
      else if (String(found.sizeBytes) !== sizeBytes)
        broken('objects', `${name} of ${job.id} has ${found.sizeBytes} bytes, recorded are ${sizeBytes}`);
    }
    for (const { key } of data.pieces)
      if (!spoilt.has(key) && !objects.objects.has(key)) broken('objects', `piece ${key} of ${job.id} is gone`);
  }
}

/** Keys of what a job has, or keeps. */
export const artifactKeys = (reader: Reader, job: JobRow): string[] =>
  Object.values(reader.dataOf<Data>(job).artifacts).map(({ key }) => key);

/** What a forced abort kept is there as long as its pre-commit may be rescued. */
export function keptWhole({ reader, objects, chain, spoilt }: Kept, broken: Broken): void {
  for (const job of reader.jobs()) {
    if (job.state !== 'Aborted') continue;
    const committed = chain.ledger.preCommits.get(sectorKey(job.miner, job.number ?? -1));
    if (committed !== undefined && !isProvable(committed, chain.epoch)) continue;
    // Proven by the message that was out: nothing is left to rescue.
    if (job.plan === 'sealer' && committed === undefined && chain.ledger.sectors.has(sectorKey(job.miner, job.number ?? -1))) continue;
    const { artifacts } = reader.dataOf<Data>(job);
    // It failed on the chain.
    const sent = reader.effects().filter((effect) => effect.job === job.id && effect.step === 'SubmitPC');
    if (committed === undefined && sent.some(({ sender, nonce }) => sender !== null && (nonce ?? 0) < chain.ledger.nonce(sender))) continue;
    for (const { key } of Object.values(artifacts)) {
      if (!spoilt.has(key) && !objects.objects.has(key)) broken('objects', `${key}, kept for ${job.id}, is gone`);
    }
  }
}

/** After the faults: each job ended, or waits for a person with a reason. */
export function alive(reader: Reader, history: HistoryOracle, broken: Broken): void {
  for (const job of unsettled(reader))
    broken('liveness', `${job.id} in ${job.state} waits for ${job.waiting_for} (${job.error_message ?? 'no error'})`);
  for (const job of reader.jobs()) {
    if (ended(job.state) || job.paused === 0) continue;
    const byHand = history.jobs.get(job.id)?.pausedBy.startsWith('operator') ?? false;
    if (!byHand && (job.error_message ?? '') === '') broken('liveness', `${job.id} is paused in ${job.state} and does not say why`);
  }
}

/** Effects that are to end. Files that are not there are asked for as long as nobody brings them back: a sector that lost them, or that a lost database moved. */
export function openEffects(reader: Reader, disks: MinerDisks): EffectLine[] {
  const open = reader.openEffects() === 0 ? [] : reader.effects().filter(({ status }) => status === 'open');
  return open.filter(({ job, want }) => {
    const { kind, storage = '', files = [] } = JSON.parse(want) as { kind: string; storage?: string; files?: string[] };
    const disk = disks.find(storage);
    return kind !== 'declare' || job !== null || disk === undefined || files.every((path) => disk.files.has(path));
  });
}

/** After everything ended: nothing is left open, and nothing is left over. Answers which objects are to be there. */
export function cleared(
  parts: {
    reader: Reader;
    objects: FakeObjects;
    disks: MinerDisks;
    chain: FakeChain;
    spoilt: ReadonlySet<string>;
    orphans: ReadonlySet<string>;
  },
  broken: Broken,
): ReadonlySet<string> {
  const { reader, objects, chain } = parts;
  for (const { id, step, last_error } of openEffects(reader, parts.disks))
    broken('liveness', `effect ${id} (${step}) is open for ever: ${last_error}`);
  for (const { id, stage } of reader.running()) broken('liveness', `attempt ${id} of ${stage} runs for ever`);
  for (const { id, job } of reader.threads()) if (job !== null) broken('liveness', `thread ${id} still has ${job}`);
  // Nobody knows any more of what came after a backup that had to be restored.
  const wanted = new Set(reader.waitingPieces().map(({ key }) => key));
  for (const job of reader.jobs()) {
    const data = reader.dataOf<Data>(job);
    // A forced abort keeps its files as long as the pre-commit may be rescued.
    for (const { key } of Object.values(data.artifacts)) wanted.add(key);
    // Nobody looked whether the message landed: what a new try would need stays.
    if (data.asked?.skipOnchainCheck === true) for (const { key } of data.pieces) wanted.add(key);
    if (job.state === 'Finished') finished(parts, job, data, broken);
    else if (job.state !== 'Aborted') broken('liveness', `${job.id} is in ${job.state} after its abort`);
  }
  for (const key of objects.objects.keys()) if (!wanted.has(key) && !parts.orphans.has(key)) broken('objects', `${key} is left over`);
  if (reader.uploads().length > 0) broken('objects', `uploads of ${reader.uploads()[0]?.attempt} are left in the database`);
  const stuck = chain.mempool();
  if (stuck.length > 0) broken('nonces', `message ${stuck[0]?.cid} with nonce ${stuck[0]?.nonce} is stuck in the mempool`);
  return wanted;
}

/** What flows.md keeps for good. */
function keptPaths({ plan, miner, number }: JobRow, { record }: Data): string[] {
  const updated = plan === 'snapup' || (record?.update ?? null) !== null;
  const names = [...(plan === 'snapup' ? [] : KEPT), ...(updated ? KEPT_OF_UPDATE : []), 'cache/sector.json'];
  return names.map((name) => pathOf(miner, number ?? -1, name));
}

function finished(
  parts: { reader: Reader; disks: MinerDisks; chain: FakeChain; objects: FakeObjects; spoilt: ReadonlySet<string> },
  job: JobRow,
  data: Data,
  broken: Broken,
): void {
  const sector = parts.chain.ledger.sectors.get(sectorKey(job.miner, job.number ?? -1));
  const onChain = job.plan === 'sealer' ? data.commR?.cid : job.plan === 'snapup' ? data.snapCommR?.cid : sector?.commR;
  // An update may have come over a sealed sector since.
  const has = sector !== undefined && (sector.commR === onChain || (job.plan === 'sealer' && sector.keyCommR === onChain));
  if (!has && data.asked?.skipOnchainCheck !== true)
    broken('chain', `${job.id} is Finished, and the chain does not have sector ${job.number} with its CommR`);
  if (job.plan === 'unseal') {
    const piece = parts.objects.objects.get(data.artifacts.piece?.key ?? '');
    const commD = data.record?.update?.commD.cid ?? data.record?.commD?.cid ?? '';
    if (piece === undefined || (!parts.spoilt.has(data.artifacts.piece?.key ?? '') && !piece.content.endsWith(` of ${commD}`)))
      broken('objects', `${job.id} is Finished without the piece that was asked for`);
    return;
  }
  if (data.stored === undefined) broken('stored files', `${job.id} is Finished without stored files`);
  if (has) recordTrue(parts, job, broken);
  const paths = new Set((data.stored?.files ?? []).map(({ path }) => path));
  for (const path of keptPaths(job, data))
    if (!paths.has(path)) broken('stored files', `${job.id} is Finished, and ${path} was not stored`);
  // It may have been moved since; files of an update that the chain refused after its job had ended are no part of the sector, and stay.
  const record = parts.reader.records().find(({ miner, number }) => miner === job.miner && number === job.number);
  const disk = parts.disks.find((has ? record?.storage : undefined) ?? data.stored?.storage ?? '');
  for (const { path, hash } of data.stored?.files ?? []) {
    const content = disk?.files.get(path);
    // A later job of the same sector writes its record beside the files anew.
    const rewritten = path.endsWith('sector.json');
    if (!rewritten && !parts.spoilt.has(`${disk?.id}:${path}`) && (content === undefined || hashOf(content) !== hash))
      broken('stored files', `${path} of ${job.id} is not whole`);
  }
}
