/**
 * A small foreign processor in damocles' protocol: `foreign-processor.ts STAGE [RECORD]`. Tasks of tests say what
 * happens (`do`, also in the c1out of c2); a task of c2 is answered with the marked proof of its statement, as the replay prover does. RECORD
 * gets a line when a request begins and when it ends.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { replayProof } from '../../src/devnet/replay-proof.ts';

type C1Out = Task & { comm_r: number[]; comm_d: number[]; ticket: number[]; seed: number[] };
type Task = {
  do?: string;
  until?: string;
  pidFile?: string;
  name?: string;
  c1out?: C1Out;
  miner_id?: number;
  sector_id?: number;
  vannilla_proofs?: number[][];
};

const [stage = '', record] = process.argv.slice(2);
const hex = (bytes: number[]): string => Buffer.from(bytes).toString('hex');
const note = (line: string): void => {
  if (record !== undefined) appendFileSync(record, `${line}\n`);
};
const say = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);

function proof({ c1out, miner_id, sector_id }: Task): object {
  const { comm_r, comm_d, ticket, seed } = c1out as C1Out;
  const statement = { miner: `t0${miner_id}`, number: String(sector_id), commR: hex(comm_r), commD: hex(comm_d) };
  return { proof: [...replayProof({ ...statement, ticket: hex(ticket), seed: hex(seed) })] };
}

async function perform(id: number, asked: Task): Promise<void> {
  const task = asked.c1out?.do === undefined ? asked : asked.c1out;
  const name = task.name ?? stage;
  note(`begin ${name}`);
  switch (task.do) {
    case 'hold':
      while (!existsSync(task.until as string)) await new Promise((resolve) => setTimeout(resolve, 5));
      break;
    case 'refuse':
      return say({ id, err_msg: 'not today', output: null });
    case 'die':
      process.stderr.write('out of luck\n');
      return void process.kill(process.pid, 'SIGSEGV');
    case 'hang': {
      // One that left the group hangs along.
      const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
      return writeFileSync(task.pidFile as string, `${process.pid} ${child.pid}`);
    }
    case 'stray':
      process.stdout.write('a library prints here\n{"id":4711,"err_msg":null,"output":1}\n[]\n');
      break;
    case 'environment':
      return say({ id, err_msg: null, output: { environment: process.env, cwd: process.cwd() } });
  }
  note(`end ${name}`);
  if (task.vannilla_proofs !== undefined) {
    note(JSON.stringify(task));
    return say({ id, err_msg: null, output: Array.from({ length: 192 }, () => task.vannilla_proofs?.[0]?.[0]) });
  }
  say({ id, err_msg: null, output: task.c1out === undefined ? { echo: task } : proof(task) });
}

if (process.env['FOREIGN_MUTE'] === undefined) process.stdout.write(`${stage} processor ready\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const { id, task } = JSON.parse(line) as { id: number; task: Task };
  void perform(id, task);
}
