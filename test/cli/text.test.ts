/** What a runner calls itself reaches the operator's terminal as text, and as nothing that steers it. */
import { expect, test } from 'vitest';
import { table } from '../../src/cli/text.ts';
import { RegisterRequest } from '../../src/schema/runner.ts';

const HOSTILE = '\u001b]0;owned\u0007\u001b[2J\u009b31m<img src=x onerror=alert(1)>\r\n';
const resources = { cores: 1, ramBytes: 1, diskFreeBytes: 1, gpus: [{ model: HOSTILE, vramBytes: 1 }] };
const join = { token: 'x'.repeat(16), bootId: 'boot-of-a-test', agentVersion: '0', stages: ['C2'], storage: [HOSTILE] };

test('control characters of a name, a storage and a GPU are taken out where they come in', () => {
  const { name, storage, resources: kept } = RegisterRequest.parse({ ...join, name: HOSTILE, resources });
  for (const text of [name, ...storage, ...kept.gpus.map(({ model }) => model)])
    expect(text).toBe(']0;owned[2J31m<img src=x onerror=alert(1)>\n');
});

test('and once more where a table is printed', () => {
  expect(table(['name'], [[HOSTILE]])).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});
