/**
 * The fused `next`: check every report → complete its uploads → apply it; then grant, or hold the answer
 * back until there is something to grant. Each report is answered on its own: a bad one costs no other.
 */
import { SealpoolError } from '../schema/problem.ts';
import type { Grant, NextAnswer, NextRequest, Report } from '../schema/runner.ts';
import type { SelfTest } from '../schema/self-test.ts';
import type { StoredCheck } from '../schema/stored-check.ts';
import type { StoredMove } from '../schema/stored-move.ts';
import { cancelledOf, loseUnknown, seen } from '../scheduler/fleet.ts';
import { missingKey } from '../scheduler/disputed-inputs.ts';
import { noteCached } from '../scheduler/artifact-caches.ts';
import type { ReportAnswer } from '../scheduler/held-attempt.ts';
import { type GrantPlan, grantStages, handBack } from '../scheduler/grants.ts';
import { noteStorage } from '../scheduler/miner-storage.ts';
import type { UploadRow } from '../scheduler/ports.ts';
import { noteSoftware } from '../scheduler/software.ts';
import { applyReport, checkReport } from '../scheduler/reports.ts';
import { dueMoves, takeMoves } from '../scheduler/storage-moves.ts';
import { dueChecks, takeChecks } from '../scheduler/stored-checks.ts';
import { beginTaking, stopTaking } from '../scheduler/taken-results.ts';
import { dueTests, takeTestAnswers } from '../scheduler/self-test/tests.ts';
import type { Stage } from '../schema/stage.ts';
import { runnerOf } from './auth.ts';
import { takeCheckpoints } from './checkpoints.ts';
import type { ApiParts } from './parts.ts';
import { urlTtlMs } from './urls.ts';
import type { Woken } from './waiting.ts';

/** Uploads of a report that are completed at a time. */
const SIDE_BY_SIDE = 4;

type Output = Extract<Report, { outcome: 'done' }>['outputs'][number];
type Checked = {
  readonly report: Report;
  readonly standing: ReturnType<typeof checkReport>;
  readonly uploads: readonly UploadRow[];
  readonly missing: string | undefined;
};

/** Answers a runner's `next`. Throws 401 for an unknown credential. */
export async function answerNext(parts: ApiParts, credential: string, request: NextRequest, gone: AbortSignal): Promise<NextAnswer> {
  const { bootId } = request;
  const checkpoints = await takeCheckpoints(parts, credential, { bootId, checkpoints: request.checkpoints ?? [] }, complete);
  const { reports, stages, forget } = await takeReports(parts, credential, request);
  // What it tells is answered at once; only an empty question waits.
  const { tests: answered = [], checked = [], moved = [] } = request;
  const told = [reports, checkpoints, answered, checked, moved].reduce((sum, { length }) => sum + length, 0);
  const waitMs = told > 0 ? 0 : Math.min(request.waitMs, parts.settings.pollMs);
  // Some agents count the slots of what they report as free: those that have to report again still hold theirs.
  const held = reports.filter(({ status }) => status === 'retry_later').length;
  const asking = { ...request, freeSlots: Math.max(0, request.freeSlots - held) };
  const { cancel, grants, tests, checks, moves } = await grantOrWait(parts, credential, asking, { waitMs, stages, gone });
  return {
    reports,
    grants,
    cancel,
    ...(tests.length === 0 ? {} : { tests: [...tests] }),
    ...(checks.length === 0 ? {} : { checks: [...checks] }),
    ...(moves.length === 0 ? {} : { moves: [...moves] }),
    ...(checkpoints.length === 0 ? {} : { checkpoints }),
    ...(forget.length === 0 ? {} : { forget: [...forget] }),
  };
}

async function takeReports(
  parts: ApiParts,
  credential: string,
  request: NextRequest,
): Promise<{ reports: NextAnswer['reports']; stages: readonly Stage[]; forget: readonly string[] }> {
  const { checked, stages, forget } = await parts.door.run((ctx) => {
    // Stages whose reports come along are counted among the running ones by some agents.
    const slots = request.reports.length > 0 ? 0 : request.freeSlots + request.running.length;
    const spoke = seen(ctx, runnerOf(ctx, credential), request.bootId, request.resources, slots > 0 ? slots : undefined);
    // Of an earlier process nothing counts.
    const newest = spoke.bootId === request.bootId;
    const known = noteCached(ctx, spoke, newest ? request.cached : undefined);
    const tested = takeTestAnswers(ctx, noteSoftware(ctx, known.runner, request.software), request.tests ?? []);
    const runner = newest ? noteStorage(ctx, tested, request.storage) : tested;
    if (newest) {
      takeChecks(ctx, runner, request.checked ?? []);
      takeMoves(ctx, runner, request.moved ?? []);
    }
    // An answer that never arrived leaves grants that the runner does not know of. An earlier process knows nothing of the newest one's.
    if (runner.bootId === request.bootId)
      loseUnknown(ctx, runner, new Set([...request.running, ...request.reports].map(({ attempt }) => attempt)));
    const looked = request.reports.map((report): Checked => {
      const standing = checkReport(ctx, runner, report);
      // Of a job that has ended or gone back nothing tells any more what the stage's inputs were.
      const missing = standing.status === 'apply' ? missingKey(ctx, report) : undefined;
      if (report.outcome === 'done' && standing.status === 'apply' && standing.wrong === undefined) beginTaking(ctx, report.attempt);
      return { report, standing, uploads: ctx.tx.uploadsOfAttempt(report.attempt), missing };
    });
    return { checked: looked, stages: runner.stages, forget: known.forget };
  });
  if (checked.length === 0) return { reports: [], stages, forget };
  const completed = await Promise.all(checked.map((item) => completeUploads(parts, item)));
  const reports = await parts.door.run((ctx) =>
    completed.map(({ report, answer }) => {
      // Read anew each time: a report before this one may have struck the runner.
      const settled = answer ?? applyReport(ctx, runnerOf(ctx, credential), report);
      if (settled.status === 'retry_later') stopTaking(ctx, report.attempt);
      return { attempt: report.attempt, ...settled };
    }),
  );
  return { reports, stages, forget };
}

/** Makes objects of what was uploaded. What the runner did wrong becomes its failure, what is ours it is asked to report again. */
async function completeUploads(
  parts: ApiParts,
  { report, standing, uploads, missing }: Checked,
): Promise<{ report: Report; answer?: ReportAnswer }> {
  if (standing.status !== 'apply') return { report, answer: standing };
  // Applying what is refused by its names or sizes drops its uploads.
  if (standing.wrong !== undefined) return { report };
  // Applying the failure drops its uploads.
  if (report.outcome === 'failed') return missing === undefined ? { report } : lookedFor(parts, report, missing);
  const named = report.outputs;
  try {
    await completeAll(parts, uploads, named);
  } catch (error) {
    // Keys are the control plane's own: that one is taken is nothing a runner did.
    if (!(error instanceof SealpoolError) || error.status >= 500 || error.code === 'object_exists') {
      parts.log.warn({ err: error, attempt: report.attempt }, 'uploads of an attempt could not be completed');
      return {
        report,
        answer: { status: 'retry_later', message: 'the object store cannot take the files now; report the same again in a few seconds' },
      };
    }
    const { attempt, epoch } = report;
    return {
      report: {
        outcome: 'failed',
        attempt,
        epoch,
        code: 'transfer_failed',
        message: `its uploads do not make what it reported: ${error.message}`,
      },
    };
  }
  const unused = uploads.filter(({ name }) => !named.some((output) => output.name === name));
  await Promise.allSettled(unused.map(({ key, uploadId }) => parts.objects.abortUpload(key, uploadId)));
  return { report };
}

/** Some at a time. After an error no more is begun; it is thrown once nothing is under way, since what comes of it drops the uploads. */
async function completeAll(parts: ApiParts, uploads: readonly UploadRow[], outputs: readonly Output[]): Promise<void> {
  const left = outputs.values();
  const errors: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (const output of left) {
      const upload = uploads.find(({ name }) => name === output.name);
      // A name that was never asked for has no upload; applying the report refuses it.
      if (upload !== undefined) await complete(parts, upload, output).catch((error: unknown) => errors.push(error));
      if (errors.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane));
  if (errors.length > 0) throw errors[0];
}

/** An input is gone where the store says so; one that is there was only not fetched, which is the runner's failure. */
async function lookedFor(
  parts: ApiParts,
  report: Extract<Report, { outcome: 'failed' }>,
  key: string,
): Promise<{ report: Report; answer?: ReportAnswer }> {
  try {
    return (await parts.objects.head(key)) === undefined ? { report } : { report: { ...report, code: 'transfer_failed' } };
  } catch (error) {
    parts.log.warn({ err: error, attempt: report.attempt }, 'an input that a runner misses could not be looked for');
    return {
      report,
      answer: { status: 'retry_later', message: 'the object store does not answer now; report the same again in a few seconds' },
    };
  }
}

/** Completes one upload. An object of its size under its key is what an earlier completion of it made. */
async function complete(parts: ApiParts, { key, uploadId }: UploadRow, output: Output): Promise<void> {
  const sizeBytes = Number(output.sizeBytes);
  try {
    await parts.objects.completeUpload(key, uploadId, output.parts, sizeBytes);
  } catch (error) {
    if (!(error instanceof SealpoolError) || error.code !== 'object_exists') throw error;
    if ((await parts.objects.head(key))?.sizeBytes !== sizeBytes) throw error;
  }
}

/** What an answer has beside those to reports. */
type Waited = Pick<NextAnswer, 'cancel' | 'grants'> & {
  readonly tests: readonly SelfTest[];
  readonly checks: readonly StoredCheck[];
  readonly moves: readonly StoredMove[];
};

async function grantOrWait(
  parts: ApiParts,
  credential: string,
  request: NextRequest,
  { waitMs, stages, gone }: { waitMs: number; stages: readonly Stage[]; gone: AbortSignal },
): Promise<Waited> {
  const over = new AbortController();
  const stop = AbortSignal.any([over.signal, parts.ending, gone]);
  const waited = parts.sleep(waitMs, stop).then(() => over.abort('over'));
  // Who takes nothing waits for no stage.
  const kinds = ['runners', ...(request.freeSlots > 0 ? stages.map((stage) => `stage:${stage}` as const) : [])] as const;
  let changed: Promise<Woken | undefined> = Promise.resolve(undefined);
  try {
    for (;;) {
      const woken = await changed;
      // Asked before reading, so that no change between the two is missed.
      changed = parts.door.oneOf(kinds, stop);
      const looked = parts.door.run((ctx) => {
        const runner = runnerOf(ctx, credential);
        // An asker that hung up, went silent or is no longer the newest process, or a server about to end, would lose what is granted now.
        const lost = gone.aborted || parts.ending.aborted || runner.silentSinceMs !== undefined || runner.bootId !== request.bootId;
        const slots = lost ? 0 : request.freeSlots;
        // Who only measures the way to the object store takes no errands along.
        const errands = !lost && request.probe !== true;
        const plans = grantStages(ctx, runner, slots);
        return {
          cancel: cancelledOf(ctx, runner, request.running),
          plans,
          tests: slots === 0 ? [] : dueTests(ctx, runner),
          checks: errands ? dueChecks(ctx, runner) : [],
          moves: errands ? dueMoves(ctx, runner) : [],
        };
      });
      // What this one does not take may fit another one that waits.
      void looked.then(
        ({ plans }) => parts.door.passOn(woken, plans.length > 0),
        () => parts.door.passOn(woken, false),
      );
      const { cancel, plans, tests, checks, moves } = await looked;
      const grants = await openGrants(parts, plans);
      if (grants.length > 0 && gone.aborted) {
        await giveBack(parts, plans, 'the runner hung up before it got the grant');
        return { cancel, grants: [], tests: [], checks: [], moves: [] };
      }
      const some = [grants, cancel, tests, checks, moves].some(({ length }) => length > 0);
      if (some || waitMs === 0 || stop.aborted) return { cancel, grants, tests, checks, moves };
    }
  } finally {
    over.abort('over');
    await waited;
    // It may have been woken for a stage that it never looked at.
    void changed.then((woken) => parts.door.passOn(woken, false));
  }
}

/** Uploads and URLs for what was granted; what cannot be handed out goes back. */
async function openGrants(parts: ApiParts, plans: readonly GrantPlan[]): Promise<Grant[]> {
  const opened = await Promise.all(
    plans.map(async (plan) => {
      try {
        return await openGrant(parts, plan);
      } catch (error) {
        parts.log.warn({ err: error, attempt: plan.attempt }, 'a grant could not be handed out');
        const sentence = error instanceof SealpoolError ? error.message : 'the object store failed';
        await giveBack(parts, [plan], sentence);
        return undefined;
      }
    }),
  );
  return opened.filter((grant) => grant !== undefined);
}

async function openGrant(parts: ApiParts, plan: GrantPlan): Promise<Grant> {
  const { attempt, epoch, stage, work, leaseMs, request, sector } = plan;
  const ttlMs = urlTtlMs(parts);
  const inputs = await Promise.all(
    plan.inputs.map(async ({ name, key, sizeBytes, hash, required, manifest }) => ({
      name,
      key,
      url: await parts.objects.getUrl(key, ttlMs),
      sizeBytes,
      hash,
      ...(required === undefined ? {} : { required }),
      ...(manifest === undefined ? {} : { manifest }),
    })),
  );
  const slots = await Promise.all(
    plan.outputs.map(async ({ name, key, maxSizeBytes, exactly, required, early }) => ({
      name,
      key,
      maxSizeBytes,
      required,
      ...(early === undefined ? {} : { early }),
      upload: await parts.objects.createUpload(key, maxSizeBytes, ttlMs, exactly),
    })),
  );
  if (slots.length > 0) {
    const goesOn = await parts.door.run((ctx) => {
      // Opening uploads takes its time: an operator may have ended the attempt meanwhile, and nobody would drop them.
      if (ctx.tx.attempt(attempt)?.status !== 'running') return false;
      for (const { name, key, upload } of slots) ctx.tx.insertUpload({ attempt, name, key, uploadId: upload.uploadId });
      return true;
    });
    if (!goesOn) {
      await Promise.allSettled(slots.map(({ key, upload }) => parts.objects.abortUpload(key, upload.uploadId)));
      throw new SealpoolError('conflict', 'lease_lost', `attempt ${attempt} ended before it was handed out`);
    }
  }
  const outputs = slots.map(({ upload, maxSizeBytes, ...slot }) => ({
    ...slot,
    maxSizeBytes: String(maxSizeBytes),
    partSizeBytes: upload.partSizeBytes,
    partUrls: [...upload.partUrls],
    ...(upload.checksum === undefined ? {} : { checksum: upload.checksum }),
  }));
  const about = { ...(request === null ? {} : { requestId: request }), ...(sector === null ? {} : { sector }) };
  return { attempt, epoch, stage, work, leaseMs, urlTtlMs: ttlMs, ...about, inputs, outputs };
}

async function giveBack(parts: ApiParts, plans: readonly GrantPlan[], reason: string): Promise<void> {
  const uploads = await parts.door.run((ctx) =>
    plans.flatMap(({ attempt }) => {
      const rows = ctx.tx.uploadsOfAttempt(attempt);
      ctx.tx.deleteUploads(attempt);
      handBack(ctx, attempt, reason);
      return rows;
    }),
  );
  await Promise.allSettled(uploads.map(({ key, uploadId }) => parts.objects.abortUpload(key, uploadId)));
}
