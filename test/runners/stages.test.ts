/** Prover work through the agent: what a good stage gives back and how each bad one is told of. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bytesOf } from '../objects/conformance.ts';
import { FaultyProxy } from '../objects/faulty-proxy.ts';
import { startLocalServer } from '../objects/local-server.ts';
import { eventually, isRunning, proverWork, useAgent } from './agent-fixture.ts';

const fixture = useAgent();

describe('a stage that ends well', () => {
  test('inputs come in, outputs go out in parts, the result is reported', async () => {
    await fixture.start();
    const [small, large] = [bytesOf('small', 100), bytesOf('large', 200_000)];
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'copy' }),
      inputs: { unsealed: small, 'cache/p_aux': large },
      outputs: { 'unsealed-copy': 1000, 'cache/p_aux-copy': 300_000 },
    });
    const report = await fixture.reported(grant.attempt);
    expect(report).toMatchObject({ outcome: 'done', epoch: 1, result: { copied: 2 } });

    expect(await fixture.plane.output(report, 'unsealed-copy')).toEqual(small);
    expect((await fixture.plane.output(report, 'cache/p_aux-copy')).equals(large)).toBe(true);
  });

  test('its progress and the end of its log are in the heartbeats, whatever it writes', async () => {
    await fixture.start();
    const said = (attempt: string) => fixture.plane.heartbeats.at(-1)?.attempts.find((beat) => beat.attempt === attempt);
    const tells = await fixture.plane.grant({ work: proverWork({ do: 'tell' }) });
    await eventually(() => said(tells.attempt)).toMatchObject({
      fraction: 0.5,
      secondsLeft: 3,
      note: 'running pc1',
      logTail: 'info: half way\na line of a library\n',
    });
    fixture.plane.cancelled.add(tells.attempt);
    const floods = await fixture.plane.grant({ work: proverWork({ do: 'noise' }) });
    await eventually(() => said(floods.attempt)?.logTail).toMatch(/the last line\n$/);
    expect(said(floods.attempt)?.logTail?.length).toBeLessThanOrEqual(8000);
    fixture.plane.cancelled.add(floods.attempt);
  });

  test('it sees no token: only PATH, HOME, XDG_CACHE_HOME, FIL_PROOFS_* and its work folder', async () => {
    await fixture.start({
      environment: {
        ...process.env,
        SEALPOOL_JOIN: 'secret',
        AWS_SECRET_ACCESS_KEY: 'secret',
        FIL_PROOFS_PARAMETER_CACHE: '/params',
        XDG_CACHE_HOME: '/cache',
      },
    });
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'environment' }) });
    const { result } = (await fixture.reported(grant.attempt)) as unknown as {
      result: { environment: Record<string, string>; argv: string[]; cwd: string };
    };
    expect(
      Object.keys(result.environment)
        .filter((name) => name !== 'HOME')
        .sort(),
    ).toEqual(['FIL_PROOFS_PARAMETER_CACHE', 'PATH', 'SEALPOOL_WORK', 'XDG_CACHE_HOME']);
    expect(result.argv).toEqual(['run']);
    expect(result.cwd).toBe(join(fixture.dataDir, 'work', grant.attempt));
  });

  test('outputs that were not asked for stay, optional ones may be missing', async () => {
    await fixture.start();
    const grant = await fixture.plane.grant({
      work: proverWork({
        do: 'output',
        outputs: [
          { name: 'sealed', size: 10 },
          { name: 'extra', size: 10 },
        ],
      }),
      outputs: { sealed: 10, unsealed: 10 },
      optional: ['unsealed'],
    });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done', outputs: [{ name: 'sealed', sizeBytes: '10' }] });
  });

  test('an empty output is uploaded too', async () => {
    await fixture.start();
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'output', outputs: [{ name: 'sealed', size: 0 }] }),
      outputs: { sealed: 10 },
    });
    expect(await fixture.plane.output(await fixture.reported(grant.attempt), 'sealed')).toEqual(Buffer.alloc(0));
  });
});

describe('a stage that fails', () => {
  test.each([
    [
      "the prover's own code and input",
      { do: 'fail', code: 'input_invalid', input: 'sealed' },
      { code: 'input_invalid', input: 'sealed', message: 'the stage program refused' },
    ],
    ['a code that nobody knows', { do: 'fail', code: 'strange' }, { code: 'internal' }],
    ['a crash', { do: 'crash' }, { code: 'internal', message: expect.stringMatching(/SIGSEGV.*thread panicked/s) }],
    ['a kill by the kernel', { do: 'crash', signal: 'SIGKILL' }, { code: 'out_of_memory', message: expect.stringContaining('memory') }],
    ['an exit code without an answer', { do: 'exit', code: 8 }, { code: 'out_of_disk' }],
    ['garbage for an answer', { do: 'garbage' }, { code: 'internal', message: expect.stringContaining('no readable answer') }],
    ['an answer of another shape', { do: 'garbage', text: '{"version":1,"ok":true}' }, { code: 'internal' }],
    ['an answer without end', { do: 'flood' }, { code: 'internal', message: expect.stringContaining('more than an answer can have') }],
    ['a missing output', { do: 'output', outputs: [] }, { code: 'internal', message: expect.stringContaining('sealed is missing') }],
    [
      'an output that is not there',
      { do: 'absent-output', name: 'sealed' },
      { code: 'internal', message: expect.stringContaining('no plain file') },
    ],
    [
      'an output above its limit',
      { do: 'output', outputs: [{ name: 'sealed', size: 101 }] },
      { code: 'internal', message: expect.stringContaining('may have 100') },
    ],
    [
      'an output of another size than answered',
      { do: 'output', outputs: [{ name: 'sealed', size: 10 }], claim: { name: 'sealed', sizeBytes: '11' } },
      { code: 'internal' },
    ],
    [
      'a link for an output',
      { do: 'link', name: 'sealed', target: '/etc/hostname' },
      { code: 'internal', message: expect.stringContaining('no plain file') },
    ],
  ])('%s', async (_name, params, wanted) => {
    await fixture.start();
    const grant = await fixture.plane.grant({ work: proverWork(params), outputs: { sealed: 100 } });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'failed', ...wanted });
  });

  test('a stage program that is not there', async () => {
    await fixture.start({ prover: join(fixture.dir, 'none') });
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'failed', code: 'program_missing' });
  });

  test('an input whose bytes were swapped is told of by its name', async () => {
    await fixture.start();
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'copy' }),
      inputs: { sealed: bytesOf('sealed', 100) },
      edit: (given) => ({ ...given, inputs: given.inputs.map((input) => ({ ...input, hash: `sha256:${'0'.repeat(64)}` })) }),
    });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'failed', code: 'input_differs', input: 'sealed' });
  });

  test('a process that leaves the group and keeps the pipes open is killed, the answer counts', async () => {
    await fixture.start();
    const pidFile = join(fixture.dir, 'daemon.pid');
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'daemon', pidFile }) });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done' });
    const pid = Number(await readFile(pidFile, 'utf8'));
    await eventually(() => isRunning(pid)).toBe(false);
  });
});

describe('transfers', () => {
  test('an input of another size than granted', async () => {
    await fixture.start();
    const edit = (change: (size: number) => number) => async () =>
      fixture.plane.grant({
        work: proverWork({ do: 'copy' }),
        inputs: { sealed: bytesOf('sealed', 100) },
        edit: (given) => ({
          ...given,
          inputs: given.inputs.map((input) => ({ ...input, sizeBytes: String(change(Number(input.sizeBytes))) })),
        }),
      });
    for (const make of [edit((size) => size + 1), edit((size) => size - 1)]) {
      const grant = await make();
      expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'failed', code: 'input_differs', input: 'sealed' });
    }
  });

  test('a URL that is refused fails at once; its query is told to nobody', async () => {
    await fixture.start({ patienceMs: 60_000 });
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'copy' }),
      inputs: { sealed: bytesOf('sealed', 100) },
      edit: (given) => ({ ...given, inputs: given.inputs.map((input) => ({ ...input, url: `${input.url}x` })) }),
    });
    const report = await fixture.reported(grant.attempt);
    expect(report).toMatchObject({ outcome: 'failed', code: 'transfer_failed' });
    expect(JSON.stringify([report, fixture.log])).not.toContain('signature=');
  });

  test.each([
    ['refused', 3_600_000],
    ['old', 1],
  ])('URLs that are %s are replaced by an answer to a heartbeat, and the attempt goes on', async (_how, urlTtlMs) => {
    // The beat that asks is not the next regular one.
    fixture.plane.heartbeatMs = 60_000;
    await fixture.start({ patienceMs: 60_000 });
    const bytes = bytesOf('sealed', 200_000);
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'output', outputs: [{ name: 'sealed', size: 200_000 }] }),
      inputs: { unsealed: bytes },
      outputs: { sealed: 200_000 },
      edit: (given) => ({
        ...given,
        urlTtlMs,
        inputs: given.inputs.map((input) => ({ ...input, url: `${input.url}x` })),
        outputs: given.outputs.map((slot) => ({ ...slot, partUrls: slot.partUrls.map((url) => `${url}x`) })),
      }),
    });
    const report = await fixture.reported(grant.attempt);
    expect(report).toMatchObject({ outcome: 'done' });
    expect((await fixture.plane.output(report, 'sealed')).length).toBe(200_000);
    const asked = fixture.plane.heartbeats.flatMap(({ attempts }) => attempts.flatMap(({ urls }) => urls ?? []));
    expect(asked.flatMap(({ inputs }) => inputs)).toContain('unsealed');
    expect(asked.flatMap(({ parts }) => parts.flatMap(({ numbers }) => numbers))).toEqual(expect.arrayContaining([1, 2, 3, 4]));
    expect(JSON.stringify([report, fixture.log])).not.toContain('signature=');
  });

  test('an upload that is gone fails the attempt', async () => {
    await fixture.start();
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'output', outputs: [{ name: 'sealed', size: 100 }] }),
      outputs: { sealed: 100 },
      edit: (given) => ({
        ...given,
        outputs: given.outputs.map((slot) => ({
          ...slot,
          partUrls: slot.partUrls.map((url) => url.replace(/uploads\/[0-9a-f]+/, `uploads/${'0'.repeat(32)}`)),
        })),
      }),
    });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'failed', code: 'transfer_failed' });
  });

  test('an object store that is away for longer than a transfer is tried does not cost a stage that has ended', async () => {
    const proxy = await FaultyProxy.start(fixture.plane.url);
    onTestFinished(() => proxy.close());
    proxy.fault = (_about, time) => (time <= 3 ? { kind: 'status', status: 503 } : undefined);
    await fixture.start({ patienceMs: 1, sendPatienceMs: 60_000 });
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'output', outputs: [{ name: 'sealed', size: 100 }] }),
      outputs: { sealed: 100 },
      edit: (given) => ({
        ...given,
        outputs: given.outputs.map((slot) => ({
          ...slot,
          partUrls: slot.partUrls.map((url) => url.replace(fixture.plane.url, proxy.url)),
        })),
      }),
    });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done' });
    expect(proxy.partsSent()).toEqual({ 1: 4 });
  });

  test('one that is away with the control plane, for longer than outputs are tried, costs no stage that has ended', async () => {
    const proxy = await FaultyProxy.start(fixture.plane.url);
    onTestFinished(() => proxy.close());
    proxy.fault = (_about, time) => {
      fixture.plane.failWith = time <= 4 ? 503 : undefined;
      return time <= 4 ? { kind: 'status', status: 503 } : undefined;
    };
    await fixture.start({ sendPatienceMs: 1 });
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'output', outputs: [{ name: 'sealed', size: 100 }] }),
      outputs: { sealed: 100 },
      edit: (given) => ({
        ...given,
        leaseMs: 1,
        outputs: given.outputs.map((slot) => ({
          ...slot,
          partUrls: slot.partUrls.map((url) => url.replace(fixture.plane.url, proxy.url)),
        })),
      }),
    });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done' });
    expect(proxy.partsSent()).toEqual({ 1: 5 });
  });

  test('an object store whose disk stays full is told of as storage_full', async () => {
    const full = await startLocalServer({ minFreeBytes: Number.MAX_SAFE_INTEGER });
    try {
      await fixture.start({ sendPatienceMs: 500 });
      const { partUrls } = await full.store.createUpload('a/full', 100, 3_600_000);
      const grant = await fixture.plane.grant({
        work: proverWork({ do: 'output', outputs: [{ name: 'sealed', size: 100 }] }),
        outputs: { sealed: 100 },
        edit: (given) => ({ ...given, outputs: given.outputs.map((slot) => ({ ...slot, partUrls: [...partUrls] })) }),
      });
      expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'failed', code: 'storage_full' });
    } finally {
      await full.close();
    }
  });
});
