/** Moves of single sectors: what is refused and why, their turn, retries, how they are stopped, and how drains go beside them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { setCordoned } from '../../src/scheduler/miner-storage.ts';
import { drain, stays, stopDraining } from '../../src/scheduler/storage-moves.ts';
import type { StoragePath } from '../../src/schema/miner-storage.ts';
import type { StoredMove } from '../../src/schema/stored-move.ts';
import { job, jobId, sectorRecord } from '../store/rows.ts';
import { fileOf, movesWorld, roomy } from './moves-world.ts';
import { MINER } from './world.ts';

const rebuild = (number: number) => job(number, { miner: MINER, number, state: 'Allocated', plan: 'rebuild' });

test('the sectors that are named move one after another; the others stay, and the path takes sectors as before', async () => {
  const { request, one, due, answer, storageOf, declared, move, actions } = await movesWorld({ sectors: 3 });
  expect(await request([3, 1, 3])).toMatchObject([
    { number: 3, phase: 'copy', cause: 'request', from: 'main', to: 'other' },
    { number: 1, phase: 'copy' },
  ]);
  const copy = await one();
  const asked = expect.any(Number) as number;
  expect(copy).toEqual({ step: 'copy', miner: MINER, number: 1, from: 'main', to: 'other', files: [fileOf(1)], asked });
  expect(await due()).toEqual([]);
  await answer(copy);
  expect(await storageOf(1)).toBe('other');
  expect(await declared()).toMatchObject({ storage: 'other', dropped: 'main' });
  const [drop, second] = await due();
  expect([drop, second]).toMatchObject([
    { step: 'drop', number: 1 },
    { step: 'copy', number: 3 },
  ]);
  await answer(drop as StoredMove);
  await answer(second as StoredMove);
  expect([await move(1), await storageOf(3)]).toEqual([undefined, 'other']);
  expect(await storageOf(2)).toBe('main');
  expect(await actions()).toEqual(['storage.move_requested', 'storage.moved']);
});

test('asked for twice it is one move; what is on its way elsewhere, or being taken back, is refused by name', async () => {
  const { request, stop, one, tell, answer, due, actions } = await movesWorld();
  await tell(roomy('main'), roomy('other'), roomy('third'));
  await request([1]);
  const copy = await one();
  expect(await request([1])).toMatchObject([{ phase: 'copy', asked: { bootId: expect.any(String) } }]);
  expect(await due()).toEqual([]);
  await expect(request([1], 'third')).rejects.toMatchObject({
    code: 'not_movable',
    message: expect.stringContaining('s-t01000-1: it is on its way from storage main to other (copy)'),
  });
  await stop([1]);
  await expect(request([1])).rejects.toThrow('is being removed; ask again');
  await answer(copy);
  await answer(await one());
  await request([1], 'third');
  expect(await one()).toMatchObject({ step: 'copy', to: 'third' });
  expect(await actions()).toEqual(['storage.move_requested', 'storage.move_stopped', 'storage.move_requested']);
});

test.each<[string, Partial<StoragePath>, Partial<StoragePath>]>([
  ['storage other: it has 1000 bytes free, and 1050624 are needed; free space there', {}, { freeBytes: 1_000 }],
  ['storage other: it is for t02000 only', {}, { allowMiners: ['t02000'] }],
  ['storage other: it takes nothing of t01000', {}, { denyMiners: ['f01000'] }],
  ['storage other: it is read-only', {}, { readOnly: true }],
  ['storage other: /mnt/other is not there', {}, { problem: '/mnt/other is not there' }],
  ['storage other: its weight is 0', {}, { weight: 0 }],
  ['storage main: /mnt/main is not there', { problem: '/mnt/main is not there' }, {}],
  ['storage other is a bucket, and files are moved between folders only', {}, { path: 's3://sectors/miner' }],
  ['storage main is a bucket, and files are moved between folders only', { path: 's3://sectors/miner' }, {}],
  ['storage main is read-only, so that the old files could not be removed', { readOnly: true }, {}],
])('nothing moves where a path does not take part: %s', async (why, main, other) => {
  const { request, tell, move } = await movesWorld();
  await tell(roomy('main', main), roomy('other', other));
  await expect(request([1])).rejects.toMatchObject({ kind: 'conflict', code: 'not_movable', message: expect.stringContaining(why) });
  expect(await move()).toBeUndefined();
});

test('sectors that cannot move are refused by name with what to do, all of them at once, and then none moves', async () => {
  const { world, request, move } = await movesWorld({ sectors: 9 });
  await world.run((ctx) => {
    ctx.tx.insertJob(rebuild(2));
    ctx.tx.setChecked(MINER, 3, 1, [{ path: fileOf(3).path, how: 'it is not there' }]);
    ctx.tx.putSectorRecord(sectorRecord(4, { files: { storage: 'main', root: '/mnt/main', files: null } }));
    ctx.tx.putSectorRecord(sectorRecord(5, { files: { storage: 'other', root: '/mnt/other', files: [fileOf(5)] } }));
    ctx.tx.putSectorRecord(sectorRecord(6, { files: { storage: 'far', root: '/mnt/far', files: [fileOf(6)] } }));
    setCordoned(ctx, 'main', true, 'operator:test');
  });
  await expect(request([1, 2, 3, 4, 5, 6])).rejects.toMatchObject({
    message: expect.stringMatching(/^nothing was changed: s-t01000-2: job j-/),
    extra: {
      refused: {
        's-t01000-2': expect.stringMatching(/^job j-\S+ has it \(Allocated\); move it when that has ended/),
        's-t01000-3': '1 of its files are bad; rebuild it first (sealpool sectors rebuild s-t01000-3)',
        's-t01000-4': expect.stringContaining('imported without them'),
        's-t01000-5': 'it is in storage other already',
        's-t01000-6': 'no runner has both storage far and other; give one runner both (runner.storage)',
      },
    },
  });
  expect(await move(1)).toBeUndefined();
  await expect(request([1, 99])).rejects.toMatchObject({ kind: 'not_found', message: expect.stringContaining('s-t01000-99') });
  await expect(request([1], 'nowhere')).rejects.toMatchObject({ kind: 'not_found', message: expect.stringContaining('storage nowhere') });
  await world.run((ctx) => setCordoned(ctx, 'other', true, 'operator:test'));
  await expect(request([1])).rejects.toThrow('new sectors are kept out of it (cordon)');
});

test('room is promised to each sector of a request, and to moves that wait for their turn', async () => {
  const { request, tell } = await movesWorld({ sectors: 3 });
  await tell(roomy('main'), roomy('other', { freeBytes: 2 * (2 ** 20 + 2_048) }));
  await expect(request([1, 2, 3])).rejects.toMatchObject({ extra: { refused: { 's-t01000-3': expect.stringContaining('bytes free') } } });
  await request([1, 2]);
  await expect(request([3])).rejects.toThrow('are promised to sectors on their way');
});

test('where nobody is told it takes force', async () => {
  const { request, one, answer, world } = await movesWorld({ settings: { declares: false } });
  await expect(request([1])).rejects.toMatchObject({ code: 'nobody_to_tell' });
  await request([1], 'other', true);
  await answer(await one());
  expect([(await one()).step, await world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.declared)]).toEqual(['drop', 'no']);
});

test('one that fails is tried again to the same path, and says what stands against it until then', async () => {
  const { world, id, request, tell, one, due, answer, move } = await movesWorld();
  await tell(roomy('main'), roomy('other'), roomy('third'));
  await request([1]);
  await answer(await one(), { outcome: 'failed', message: 'storage other: it has 10 bytes free' });
  await answer(await one());
  expect([await due(), await move()]).toEqual([
    [],
    expect.objectContaining({ phase: 'failed', why: 'storage other: it has 10 bytes free' }),
  ]);
  expect(await world.run((ctx) => stays(ctx, ctx.tx.storagePaths(id)[0] as Parameters<typeof stays>[1]))).toContain('10 bytes free');
  await tell(roomy('main'), roomy('other', { readOnly: true }), roomy('third'));
  world.nowMs += 600_000;
  expect([await due(), await move()]).toEqual([[], expect.objectContaining({ phase: 'failed', why: 'storage other: it is read-only' })]);
  await tell(roomy('main'), roomy('other'), roomy('third'));
  expect(await due()).toEqual([]);
  world.nowMs += 600_000;
  expect(await one()).toMatchObject({ step: 'copy', to: 'other' });
});

test('bad files end the copy; the move waits, told, and goes on when the sector is whole again', async () => {
  const { world, request, one, due, answer, move } = await movesWorld();
  await request([1]);
  const bad = [{ path: fileOf(1).path, how: 'it is not there' }];
  await answer(await one(), { outcome: 'bad', bad });
  await answer(await one());
  world.nowMs += 600_000;
  expect([await due(), (await move())?.why]).toEqual([[], expect.stringContaining('rebuild it first')]);
  await world.run((ctx) => ctx.tx.setChecked(MINER, 1, 1, []));
  world.nowMs += 600_000;
  expect((await one()).step).toBe('copy');
});

test('while a job has the sector its move waits and others go on; then the files are those that the job stored', async () => {
  const { world, request, one, due, answer, storageOf, declared } = await movesWorld({ sectors: 2 });
  await request([1, 2]);
  await world.run((ctx) => ctx.tx.insertJob(rebuild(1)));
  const copy = await one();
  expect(copy.number).toBe(2);
  await answer(copy);
  await declared();
  await answer(await one());
  const rebuilt = { ...fileOf(1), hash: `sha256:${'cd'.repeat(32)}` };
  await world.run((ctx) => {
    ctx.tx.putSectorRecord(sectorRecord(1, { files: { storage: 'main', root: '/mnt/main', files: [rebuilt] } }));
    ctx.tx.updateJob({ ...rebuild(1), id: jobId(1), state: 'Finished' });
  });
  expect(await one()).toMatchObject({ step: 'copy', number: 1, files: [rebuilt] });
  expect(await due()).toEqual([]);
  expect(await storageOf(1)).toBe('main');
});

test('files that a job replaced while they were copied are not told as bad', async () => {
  const { world, request, one, answer } = await movesWorld();
  await request([1]);
  const copy = await one();
  const rebuilt = { ...fileOf(1), hash: `sha256:${'cd'.repeat(32)}` };
  await world.run((ctx) => ctx.tx.putSectorRecord(sectorRecord(1, { files: { storage: 'main', root: '/mnt/main', files: [rebuilt] } })));
  await answer(copy, { outcome: 'bad', bad: [{ path: fileOf(1).path, how: 'it has another hash' }] });
  expect(await world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.damage)).toEqual([]);
});

test('stopped before its turn it is gone, while it copies it is taken back, once recorded it goes to its end', async () => {
  const { request, stop, one, due, answer, declared, move } = await movesWorld({ sectors: 2 });
  await request([1, 2]);
  const copy = await one();
  expect(await stop([1, 2])).toHaveLength(2);
  expect([await move(2), (await move(1))?.phase]).toEqual([undefined, 'undo']);
  const undo = await one();
  expect(undo).toMatchObject({ step: 'undo', number: 1 });
  await stop([1]);
  expect(await due()).toEqual([]);
  await answer(copy);
  await answer(undo);
  expect([await move(1), await stop([1, 2])]).toEqual([undefined, []]);
  await request([1]);
  await answer(await one());
  await expect(stop([1])).rejects.toThrow('its files are in storage other by now');
  await declared();
  expect((await one()).step).toBe('drop');
});

test('stopped, it never begins again, whatever its undo meets', async () => {
  const { world, request, stop, one, due, answer, move, storageOf } = await movesWorld();
  await request([1]);
  await one();
  await stop([1]);
  const undo = await one();
  await answer(undo, { outcome: 'failed', message: 'storage other: it is read-only' });
  expect(await move()).toMatchObject({ phase: 'undo' });
  world.nowMs += 2 * 3_600_000;
  await answer(await one());
  expect(await move()).toBeUndefined();
  world.nowMs += 2 * 3_600_000;
  expect([await due(), await storageOf()]).toEqual([[], 'main']);
});

test('stopped while what was made of it is about to be removed, that is removed all the same', async () => {
  const { request, stop, one, answer, move } = await movesWorld();
  await request([1]);
  await answer(await one(), { outcome: 'failed', message: 'storage other: no space' });
  expect(await move()).toMatchObject({ phase: 'undo', asked: null });
  await stop([1]);
  const undo = await one();
  expect(undo.step).toBe('undo');
  await answer(undo);
  expect(await move()).toBeUndefined();
});

test('a drain leaves moves that were asked for alone, and takes over those that fail', async () => {
  const { world, tell, request, stop, one, answer, due, move } = await movesWorld({ sectors: 2 });
  await tell(roomy('main'), roomy('other', { freeBytes: 2 ** 41 }), roomy('third'));
  await request([2], 'third');
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  const copy = await one();
  expect(copy).toMatchObject({ number: 2, to: 'third' });
  await world.run((ctx) => stopDraining(ctx, 'main', 'operator:test'));
  expect((await move(2))?.phase).toBe('copy');
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  await answer(copy, { outcome: 'failed', message: 'no space' });
  await answer(await one());
  const drained = await one();
  expect(drained).toMatchObject({ number: 1, to: 'other' });
  await expect(stop([1])).rejects.toThrow('sealpool storage uncordon main ends that');
  world.nowMs += 600_000;
  await answer(drained, { outcome: 'failed', message: 'no space' });
  await answer(await one());
  expect(await one()).toMatchObject({ number: 2, to: 'other' });
  expect(await move(2)).toMatchObject({ cause: 'drain' });
  expect(await due()).toEqual([]);
});

/** What happens to moves in any order; the number is a sector's. */
type Act =
  | { act: 'request' | 'back' | 'stop' | 'job' | 'ended'; number: number }
  | { act: 'drain' | 'uncordon' | 'reboot' | 'later' | 'declare' };
const number = fc.integer({ min: 1, max: 3 });
const anyAct: fc.Arbitrary<Act | { act: 'answer'; as: 'done' | 'failed' | 'lost' }> = fc.oneof(
  fc.record({ act: fc.constantFrom('request' as const, 'back' as const, 'stop' as const, 'job' as const, 'ended' as const), number }),
  fc.record({ act: fc.constantFrom('drain' as const, 'uncordon' as const, 'reboot' as const, 'later' as const, 'declare' as const) }),
  fc.record({
    act: fc.constant('answer' as const),
    as: fc.constantFrom('done' as const, 'done' as const, 'failed' as const, 'lost' as const),
  }),
);

test(
  'in any order the storage that a record names holds the files; in the end each is in one storage only',
  { timeout: 300_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyAct, { maxLength: 40 }), async (acts) => {
        const the = await movesWorld({ sectors: 3 });
        /** What each path holds, as the steps that were done make it. */
        const held = { main: new Set([1, 2, 3]), other: new Set<number>() } as Record<string, Set<number>>;
        const asked: StoredMove[] = [];
        let jobs = 0;
        const live = new Map<number, number>();
        const whole = async (): Promise<void> => {
          for (const one of [1, 2, 3]) expect(held[(await the.storageOf(one)) as string]?.has(one), `sector ${one}`).toBe(true);
        };
        const next = async (): Promise<void> => {
          asked.push(...(await the.due()));
          // One whose move was stopped meanwhile the runner ends before the step that takes it back.
          const moves = await the.world.run((ctx) => ctx.tx.storageMoves());
          const wanted = ({ number: of, asked: atMs }: StoredMove): boolean =>
            moves.some((move) => move.number === of && move.phase === 'copy' && move.asked?.atMs === atMs);
          const copies = asked.filter((step) => step.step === 'copy' && wanted(step));
          for (const from of ['main', 'other']) expect(copies.filter((copy) => copy.from === from).length).toBeLessThanOrEqual(1);
        };
        /** The runner does a step as `move-files.ts` does it. */
        const did = ({ step, from, to, number: of }: StoredMove): boolean => {
          if (step === 'copy') held[to]?.add(of);
          if (step === 'drop' && !held[to]?.has(of)) return false;
          if (step === 'drop') held[from]?.delete(of);
          if (step === 'undo' && held[from]?.has(of)) held[to]?.delete(of);
          return true;
        };
        const answer = async (as: 'done' | 'failed' | 'lost'): Promise<void> => {
          const step = asked.shift();
          if (step === undefined) return;
          if (as === 'failed') return the.answer(step, { outcome: 'failed', message: 'no space' });
          const done = did(step);
          if (as === 'done') await the.answer(step, done ? {} : { outcome: 'bad', bad: [{ path: 'x', how: 'it is not there' }] });
        };
        const reboot = async (n: number): Promise<void> => {
          asked.length = 0;
          await the.world.run((ctx) => ctx.tx.updateRunner({ ...the.row(ctx), bootId: `boot-${n}` }));
        };
        let boots = 0;
        for (const one of acts) {
          if (one.act === 'request') await the.request([one.number]).catch(refused);
          if (one.act === 'back') await the.request([one.number], 'main').catch(refused);
          if (one.act === 'stop') await the.stop([one.number]).catch(refused);
          if (one.act === 'job' && !live.has(one.number)) {
            const id = (jobs += 1);
            live.set(one.number, id);
            await the.world.run((ctx) => ctx.tx.insertJob({ ...rebuild(one.number), id: jobId(id) }));
          }
          if (one.act === 'ended') await ended(one.number);
          if (one.act === 'drain') await the.world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
          if (one.act === 'uncordon')
            await the.world.run((ctx) => {
              setCordoned(ctx, 'main', false, 'operator:test');
              stopDraining(ctx, 'main', 'operator:test');
            });
          if (one.act === 'reboot') await reboot((boots += 1));
          if (one.act === 'later') the.world.nowMs += 700_000;
          if (one.act === 'declare') await the.declared();
          if (one.act === 'answer') await answer(one.as);
          await next();
          await whole();
        }
        async function ended(of: number): Promise<void> {
          const id = live.get(of);
          live.delete(of);
          if (id !== undefined) await the.world.run((ctx) => ctx.tx.updateJob({ ...rebuild(of), id: jobId(id), state: 'Finished' }));
        }
        for (const of of [1, 2, 3]) await ended(of);
        await reboot((boots += 1));
        for (let turn = 0; turn < 60 && (await the.world.run((ctx) => ctx.tx.storageMoves())).length > 0; turn += 1) {
          await next();
          while (asked.length > 0) await answer('done');
          await the.declared();
          the.world.nowMs += 700_000;
          await whole();
        }
        expect(await the.world.run((ctx) => ctx.tx.storageMoves())).toEqual([]);
        for (const of of [1, 2, 3]) expect(Object.keys(held).filter((id) => held[id]?.has(of))).toEqual([await the.storageOf(of)]);
      }),
      { numRuns: 40 },
    );
  },
);

function refused(error: unknown): void {
  expect((error as { kind?: string }).kind).toBe('conflict');
}
