/** The cards of a machine, as their vendors' tools tell: nvidia-smi, rocm-smi, or none. */
import type { Gpu } from '../schema/runner.ts';
import { type ToolOptions, toolOutput } from './tool.ts';

const TOOL_MS = 10_000;
const MOST_CARDS = 64;
const MIB = 2 ** 20;

/** All cards; none where there is no tool, or where it fails. Never rejects. */
export async function findGpus(environment: ToolOptions['environment'], timeoutMs = TOOL_MS): Promise<Gpu[]> {
  const options = { environment, timeoutMs };
  const [nvidia, amd] = await Promise.all([nvidiaCards(options), amdCards(options)]);
  return [...nvidia, ...amd].slice(0, MOST_CARDS);
}

async function nvidiaCards(options: ToolOptions): Promise<Gpu[]> {
  const query = (fields: string): Promise<string | undefined> =>
    toolOutput('nvidia-smi', [`--query-gpu=${fields}`, '--format=csv,noheader,nounits'], options);
  // Drivers from before MIG refuse the whole query for the field they do not know.
  const text =
    (await query('index,name,memory.total,driver_version,mig.mode.current')) ?? (await query('index,name,memory.total,driver_version'));
  const cards = (text ?? '').split('\n').flatMap(nvidiaCard);
  if (!cards.some(({ split }) => split)) return cards.map(({ gpu }) => gpu);
  const parts = migParts((await toolOutput('nvidia-smi', ['-L'], options)) ?? '');
  return cards.flatMap(({ index, gpu, split }) =>
    // A split card cannot be used as one; one that nobody cut yet has no part.
    split
      ? (parts.get(index) ?? []).map((part) => ({
          ...gpu,
          model: `${gpu.model} MIG ${part.profile}`.slice(0, 80),
          vramBytes: part.vramBytes,
        }))
      : [gpu],
  );
}

/** `0, NVIDIA A100-SXM4-40GB, 40960, 550.54.15, Disabled`. A line that is none of these is what the tool says when it fails. */
function nvidiaCard(line: string): { index: string; gpu: Gpu; split: boolean }[] {
  const [index = '', name = '', mebibytes = '', driver = '', mig = ''] = line.split(',').map((part) => part.trim());
  if (!/^[0-9]+$/.test(index) || name === '' || mebibytes === '') return [];
  // `[N/A]` where memory is the machine's own, `[Unknown Error]` for a card that fell off the bus.
  if (/error/i.test(`${name} ${mebibytes}`)) return [];
  const vramBytes = /^[0-9]{1,9}$/.test(mebibytes) ? Number(mebibytes) * MIB : 0;
  return [{ index, gpu: { model: name.slice(0, 80), vramBytes, ...driverOf(driver) }, split: mig === 'Enabled' }];
}

/** The parts of each card in `nvidia-smi -L`: `  MIG 3g.20gb     Device  0: (UUID: MIG-…)` below `GPU 0: …`. */
function migParts(text: string): Map<string, { profile: string; vramBytes: number }[]> {
  const parts = new Map<string, { profile: string; vramBytes: number }[]>();
  let card: string | undefined;
  for (const line of text.split('\n')) {
    card = /^GPU ([0-9]+):/.exec(line)?.[1] ?? card;
    const [, profile, gibibytes] = /^\s+MIG ((?:[0-9]+c\.)?[0-9]+g\.([0-9]+)gb\S*)\s+Device/.exec(line) ?? [];
    if (card === undefined || profile === undefined) continue;
    parts.set(card, [...(parts.get(card) ?? []), { profile, vramBytes: Number(gibibytes) * 1024 * MIB }]);
  }
  return parts;
}

async function amdCards(options: ToolOptions): Promise<Gpu[]> {
  const text = await toolOutput('rocm-smi', ['--showproductname', '--showmeminfo', 'vram', '--showdriverversion', '--json'], options);
  const told = jsonOf(text ?? '');
  const driver = fieldOf(told['system'], /^driver version$/);
  return Object.entries(told).flatMap(([card, fields]) => {
    if (!/^card[0-9]+$/.test(card)) return [];
    // Names changed their capitals with the versions of the tool, and what is not known is told as such.
    const model = fieldOf(fields, /^card series$/) ?? fieldOf(fields, /^device name$/) ?? fieldOf(fields, /^card model$/) ?? 'AMD';
    const bytes = fieldOf(fields, /^vram total memory \(b\)$/) ?? '';
    return [{ model: model.slice(0, 80), vramBytes: /^[0-9]{1,15}$/.test(bytes) ? Number(bytes) : 0, ...driverOf(driver ?? '') }];
  });
}

/** The object in a text that may begin with warnings. */
function jsonOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text.slice(Math.max(0, text.indexOf('{'))));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function fieldOf(fields: unknown, name: RegExp): string | undefined {
  if (typeof fields !== 'object' || fields === null) return undefined;
  const value = Object.entries(fields).find(([key]) => name.test(key.toLowerCase()))?.[1];
  return typeof value === 'string' && value !== '' && value !== 'N/A' ? value : undefined;
}

const driverOf = (text: string): { driver?: string } => (/^[\w.+-]{1,40}$/.test(text) ? { driver: text } : {});
