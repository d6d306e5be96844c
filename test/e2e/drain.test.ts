/**
 * Paths of miner storage are emptied, and single sectors moved, while runner and control plane are killed: real processes, real files,
 * the command line. Stood in for: lotus' sector index (test/chain/fake-lotus-storage.ts), and proofs.
 */
import { expect, test } from 'vitest';
import { lotusComplaints } from '../runners/lotus-layout.ts';
import { filesIn, storageWorld } from './storage-world.ts';

test(
  'drain: what was sealed into one path ends in the other, whole and known to lotus, whoever is killed meanwhile; one sector moves back',
  { timeout: 480_000 },
  async () => {
    const { world, lotus, roots, environment, sealpool, known } = await storageWorld('main', 'spare');
    const runner = await world.addRunner('one', { environment: environment('main', 'spare') });
    for (const job of await world.pledge(2)) await world.finished(job);
    const { main = '', spare = '' } = roots;
    const sealed = await filesIn(main);
    expect(Object.keys(sealed).filter((path) => path.startsWith('sealed/'))).toHaveLength(2);
    expect(await filesIn(spare)).toEqual({});
    const declared = known('main');
    expect([declared.length, known('spare')]).toEqual([4, []]);
    const killed = async (): Promise<void> => {
      await runner.end('SIGKILL');
      await world.controlPlane.end('SIGKILL');
      await world.controlPlane.start();
      await runner.start();
    };

    expect(await sealpool('storage', 'drain', 'main')).toMatch(/^main .* drained/m);
    await killed();
    const emptied = async (): Promise<number | undefined> =>
      (await world.client.storage().catch(() => undefined))?.items.find(({ id, moving }) => id === 'main' && moving === null)?.sectors;
    await expect.poll(emptied, { timeout: 120_000, interval: 100 }).toBe(0);
    expect([await filesIn(main), await filesIn(spare)]).toEqual([{}, sealed]);
    expect([known('main'), known('spare'), lotus.violations]).toEqual([[], declared, []]);
    expect(await lotusComplaints(spare)).toEqual([]);

    const table = await sealpool('storage', 'list');
    expect(table).toMatch(/^main .* 0 .* drained$/m);
    expect(table).toMatch(/^spare .* 2 .* takes sectors$/m);
    const sector = (await world.client.sectors({})).items[0]?.sector as string;
    expect(await sealpool('storage', 'find', sector)).toMatch(/is in storage spare .*; whoever does Window PoSt sees it/);
    // What is sealed now goes to the other path, until the drained one may take sectors again.
    const [next = ''] = await world.pledge();
    await world.finished(next);
    expect(Object.keys(await filesIn(main))).toEqual([]);
    await expect(sealpool('storage', 'move', sector, '--to', 'main')).rejects.toThrow('new sectors are kept out of it (cordon)');
    expect(await sealpool('storage', 'uncordon', 'main')).toMatch(/^main .* takes sectors$/m);

    const all = await filesIn(spare);
    const [its, others] = [true, false].map((own) =>
      Object.fromEntries(Object.entries(all).filter(([path]) => path.includes(`/${sector}`) === own)),
    );
    await expect(sealpool('storage', 'move', sector, '--to', 'spare')).rejects.toThrow(`${sector}: it is in storage spare already`);
    expect(await sealpool('storage', 'move', sector, '--to', 'main')).toMatch(
      new RegExp(`^${sector} +spare +main .* copy .* asked for`, 'm'),
    );
    await killed();
    const left = async () => (await world.client.storageMoves().catch(() => undefined))?.items;
    await expect.poll(left, { timeout: 120_000, interval: 100 }).toEqual([]);
    expect([await filesIn(main), await filesIn(spare)]).toEqual([its, others]);
    expect([known('main').length, known('spare').length, lotus.violations]).toEqual([2, 4, []]);
    expect(await sealpool('storage', 'find', sector)).toMatch(/is in storage main .*; whoever does Window PoSt sees it/);
    expect(await lotusComplaints(main)).toEqual([]);
  },
);
