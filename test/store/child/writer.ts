/**
 * A control plane's database in a process of its own: `writer.ts PATH COUNT together|one-by-one`. Prints a
 * line per durable commit; exits 3 when the database failed, 4 when it could not be opened.
 */
import { openNodeStore } from '../../../src/store/node.ts';

const [path = '', count = '0', how = 'one-by-one'] = process.argv.slice(2);

try {
  const store = openNodeStore({
    path,
    onFatal(error) {
      console.error(`fatal: ${error.message}`);
      process.exit(3);
    },
  });
  console.log('open');
  const write = async (n: number): Promise<void> => {
    await store.commit((tx) => tx.setMeta(`n-${n}`, 'x'.repeat(500)));
    console.log(`durable ${n}`);
  };
  const numbers = Array.from({ length: Number(count) }, (_, n) => n);
  if (how === 'together') await Promise.all(numbers.map(write));
  else for (const n of numbers) await write(n);
  console.log('written');
  // The process lives on, holding the lock, until it is killed or its input ends.
  process.stdin.on('end', () => store.close());
  process.stdin.resume();
} catch (error) {
  console.error(`${(error as { code?: string }).code}: ${(error as Error).message}`);
  process.exit(4);
}
