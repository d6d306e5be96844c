/** The prover's own fixtures, read by the side that asks and believes: both sides mean the same protocol. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { StageFailure } from '../../src/runners/failure.ts';
import { readAnswer } from '../../src/runners/prover-answer.ts';
import { ArtifactName } from '../../src/schema/artifact.ts';
import { AddPieceResult, Pc2Result, ProofResult, TreeDResult, ValidResult } from '../../src/schema/prover-result.ts';
import { FailureCode } from '../../src/schema/runner.ts';
import { ProverStage, ProverWork } from '../../src/schema/stage.ts';

const folder = join(import.meta.dirname, '../../runner-image/schema/fixtures');
const fixtures = (kind: string): string[] => readdirSync(folder).filter((name) => name.endsWith(`.${kind}.json`));
const text = (name: string): string => readFileSync(join(folder, name), 'utf8');

const RESULTS = {
  'add-piece': AddPieceResult,
  'tree-d': TreeDResult,
  pc2: Pc2Result,
  c2: ProofResult,
  'snap-prove': ProofResult,
  'verify-vanilla': ValidResult,
  'verify-seal': ValidResult,
  'verify-update': ValidResult,
} as const;

test('there is a request and an answer of every stage', () => {
  for (const stage of ProverStage.options) {
    expect(fixtures('request')).toContain(`${stage}.request.json`);
    expect(fixtures('answer')).toContain(`${stage}.answer.json`);
  }
});

describe('requests', () => {
  test.each(fixtures('request'))('%s is what a grant carries, with named inputs', (name) => {
    const request = JSON.parse(text(name)) as Record<string, unknown> & { inputs: Record<string, unknown> };
    const { stage, network, sector, params } = request;
    const work = { kind: 'prover', stage, network, sector, params };
    expect(ProverWork.parse(work)).toEqual(work);
    for (const input of Object.keys(request.inputs)) expect(ArtifactName.parse(input)).toBe(input);
  });
});

describe('answers', () => {
  test.each(fixtures('answer'))('%s is read as it is meant', (name) => {
    const raw = JSON.parse(text(name)) as {
      ok: boolean;
      stage: string | null;
      result?: unknown;
      outputs?: Record<string, unknown>;
      error?: { code: string; message: string };
    };
    if (!raw.ok) {
      expect(FailureCode.parse(raw.error?.code)).toBe(raw.error?.code);
      const read = () => readAnswer({ code: 3, signal: null, stdout: text(name) }, '');
      expect(read).toThrow(StageFailure);
      expect(read).toThrow(raw.error?.message);
      return;
    }
    const answer = readAnswer({ code: 0, signal: null, stdout: text(name) }, '');
    expect(Object.keys(answer.outputs)).toEqual(Object.keys(raw.outputs ?? {}));
    for (const output of Object.keys(answer.outputs)) expect(ArtifactName.parse(output)).toBe(output);
    const schema = RESULTS[raw.stage as keyof typeof RESULTS];
    if (schema !== undefined) expect(schema.safeParse(raw.result).error).toBeUndefined();
  });
});
