/**
 * `make threats`: the table of threats by runners and their results. Each row's test passes as the sources are, and fails when
 * the row's control is taken out of a copy of them; ends with 1 when one does not. `--only TEXT` of a threat or control.
 */
import { parseArgs } from 'node:util';
import { THREATS, Tree, endsOf } from './plant.ts';

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const rows = THREATS.filter(({ threat, control }) => `${threat}: ${control}`.includes(values.only));
const tree = new Tree();
process.once('SIGINT', () => {
  tree.remove();
  process.exit(130);
});
let bad = 0;
try {
  const line = (cells: readonly string[]): void => void process.stdout.write(`| ${cells.join(' | ')} |\n`);
  line(['threat', 'control', 'test', 'without the control']);
  line(['---', '---', '---', '---']);
  const outcomes = await tree.run([...new Set(rows.map(({ test }) => test))]);
  for (const row of rows) {
    const before = endsOf(row, outcomes);
    const after = before.length === 0 ? [] : endsOf(row, await tree.runWithout(row));
    const passes = before.length > 0 && before.every((status) => status === 'passed');
    const caught = after.includes('failed');
    if (!passes || !caught) bad += 1;
    const said = passes
      ? caught
        ? 'it fails'
        : 'IT DOES NOT FAIL'
      : before.length === 0
        ? 'THERE IS NO SUCH TEST'
        : 'IT FAILS WITH THE CONTROL TOO';
    line([row.threat, row.control, `${row.test}: ${row.name}`, said]);
  }
} finally {
  tree.remove();
}
process.stdout.write(`${rows.length} rows, ${bad} without a test that fails when the control is taken out\n`);
process.exitCode = bad === 0 ? 0 : 1;
