/** A rented host that lies: `node lying-prover.ts MODE run`. Honest but for what MODE says. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ProverRequest, hashOf, perform } from '../replay-prover/replay-prover.ts';

const [mode] = process.argv.slice(2);
const text = readFileSync(0, 'utf8');
const request = JSON.parse(text) as ProverRequest;
const { exitCode, answer } = perform(text);

function give(proof: Buffer): void {
  writeFileSync(join(request.outputDir, 'proof.bin'), proof);
  answer.result['proof'] = proof.toString('base64');
  if ('proof.bin' in answer.outputs) answer.outputs['proof.bin'] = { sizeBytes: String(proof.length), hash: hashOf(proof) };
}

if (mode === 'flipped-proof' && request.stage === 'c2') {
  const proof = Buffer.from(String(answer.result['proof']), 'base64');
  proof.writeUInt8(proof.readUInt8(100) ^ 1, 100);
  give(proof);
}
if (mode === 'wrong-comm-r' && request.stage === 'pc2') {
  // A commitment of its own making, well formed, over files that stay honest.
  const { commitmentCid } = await import('../../src/chain/cids.ts');
  const hex = '11'.repeat(31) + '01';
  answer.result['commR'] = { cid: commitmentCid('sealed', hex).toString(), hex };
}
if (mode === 'missing-file' && request.stage === 'pc2') {
  rmSync(join(request.outputDir, 'cache/p_aux'));
  delete answer.outputs['cache/p_aux'];
}
if (mode === 'other-sector' && request.stage === 'c2') {
  // A proof that holds, of the same commitments under another number: what a copy of somebody's proof is.
  const other = { ...request, sector: { ...request.sector, number: String(Number(request.sector.number) + 1) } };
  const { sealStatement } = await import('../replay-prover/replay-prover.ts');
  const { replayProof } = await import('../../src/devnet/replay-proof.ts');
  give(Buffer.from(replayProof(sealStatement(other))));
}
if (mode === 'empty-file' && request.stage === 'pc2') {
  writeFileSync(join(request.outputDir, 'sealed'), '');
  answer.outputs['sealed'] = { sizeBytes: '0', hash: hashOf(Buffer.alloc(0)) };
}
process.stdout.write(`${JSON.stringify(answer)}\n`);
process.exitCode = exitCode;
