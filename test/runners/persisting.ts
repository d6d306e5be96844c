/**
 * A process that stores the files of one sector, and is killed at one step of it: `persisting.ts STORAGE WORK STEP`.
 * Without STEP it counts: `steps N`.
 */
import { killedAtStep } from './killed-steps.ts';

const [storage = '', work = '', last = '0'] = process.argv.slice(2);
const steps = killedAtStep(storage, Number(last));

const { persistOneSector } = await import('./persist-one-sector.ts');
const names = { sealed: 'sealed/s-t01000-7', 'cache/p_aux': 'cache/s-t01000-7/p_aux', 'cache/t_aux': 'cache/s-t01000-7/t_aux' };
await persistOneSector([{ id: 'main', path: storage }], work, names);
process.stdout.write(`steps ${steps()}\n`);
