#!/usr/bin/env node
/**
 * Stands in for the stage program where a test needs one that fails in a certain way: `params.do` says how.
 * It speaks the prover's protocol; the real prover has its own tests.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const request = JSON.parse(readFileSync(0, 'utf8'));
const { params, stage } = request;
const say = (line) => writeSync(2, `${JSON.stringify(line)}\n`);
const hashOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const outputs = {};
const make = (name, bytes) => {
  const path = join(request.outputDir, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  outputs[name] = { sizeBytes: String(bytes.length), hash: hashOf(bytes) };
};
const end = (answer, code) => {
  writeSync(1, JSON.stringify({ version: 1, stage, durationMs: 1, ...answer }));
  process.exit(code);
};
const done = (result = {}) => end({ ok: true, outputs, result }, 0);
const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
const hang = () => block(Infinity);

if (params.started) writeFileSync(params.started, String(process.pid));
switch (params.do) {
  case 'copy': {
    for (const [name, { path, hash }] of Object.entries(request.inputs)) {
      const bytes = readFileSync(path);
      if (hashOf(bytes) !== hash)
        end({ ok: false, error: { code: 'input_differs', message: `input ${name} differs; fetch it again`, input: name } }, 3);
      make(`${name}-copy`, bytes);
    }
    done({ copied: Object.keys(request.inputs).length });
    break;
  }
  case 'tell':
    say({ t: 'progress', stage, fraction: 0.5, secondsLeft: 3 });
    say({ t: 'log', level: 'info', msg: 'half way' });
    writeSync(2, 'a line of a library\n');
    hang();
    break;
  case 'environment':
    done({ environment: process.env, argv: process.argv.slice(2), cwd: process.cwd() });
    break;
  case 'fail':
    say({ t: 'log', level: 'error', msg: 'it does not fit' });
    end({ ok: false, error: { code: params.code, message: 'the stage program refused', input: params.input } }, params.exit ?? 4);
    break;
  case 'crash':
    writeSync(2, 'thread panicked\n');
    process.kill(process.pid, params.signal ?? 'SIGSEGV');
    hang();
    break;
  case 'exit':
    process.exit(params.code);
    break;
  case 'garbage':
    process.stdout.write(params.text ?? 'not json', () => process.exit(0));
    break;
  case 'flood':
    (function more() {
      process.stdout.write('x'.repeat(65_536), more);
    })();
    break;
  case 'noise':
    for (let at = 0; at < 2000; at++) process.stderr.write(`line ${at} ${'y'.repeat(200)}\n`);
    process.stderr.write(`${'z'.repeat(1_000_000)}\nthe last line\n`, () => process.stderr.write('', hang));
    break;
  case 'output':
    for (const { name, size } of params.outputs) make(name, Buffer.alloc(size, 7));
    if (params.claim) outputs[params.claim.name] = { ...outputs[params.claim.name], ...params.claim };
    done();
    break;
  case 'early':
    make(params.first, Buffer.alloc(10, 1));
    say({ t: 'output', name: params.first, ...outputs[params.first] });
    while (!existsSync(params.file)) block(5);
    make(params.second, Buffer.alloc(10, 2));
    done();
    break;
  case 'wait-for':
    while (!existsSync(params.file)) block(5);
    make(params.output, Buffer.alloc(10, 7));
    done();
    break;
  case 'absent-output':
    outputs[params.name] = { sizeBytes: '4', hash: hashOf('none') };
    done();
    break;
  case 'link':
    symlinkSync(params.target, join(request.outputDir, params.name));
    outputs[params.name] = { sizeBytes: String(readFileSync(params.target).length), hash: hashOf(readFileSync(params.target)) };
    done();
    break;
  case 'daemon':
    // Leaves the process group, keeps the pipes open, outlives the stage.
    spawn(
      process.execPath,
      ['-e', `require('fs').writeFileSync(${JSON.stringify(params.pidFile)}, String(process.pid)); setInterval(() => {}, 60000)`],
      {
        detached: true,
        stdio: 'inherit',
      },
    ).unref();
    while (!existsSync(params.pidFile)) block(5);
    done();
    break;
  case 'stubborn':
    process.on('SIGTERM', () => undefined);
    hang();
    break;
  default:
    hang();
}
