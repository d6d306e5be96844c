/**
 * The text of `lotus-miner sectors status --on-chain-info`, one sector after another. It lists no pieces and no update,
 * so only committed capacity can be taken from it.
 */
import { refuseUnlessAtRest } from './lotus-states.ts';
import { type Collector, toRecord } from './records.ts';
import { type ParseOptions, RowRefused, quoted } from './values.ts';

/** `CIDcommR:\tbag…` as name and value; of a name that stands twice, the first. */
function fieldsOf(lines: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of lines) {
    const field = /^([A-Za-z][A-Za-z ]*):[ \t]+(\S.*)$/.exec(line.trimEnd());
    const [name, value] = [field?.[1], field?.[2]];
    if (name !== undefined && value !== undefined && !found.has(name)) found.set(name, value);
  }
  return found;
}

/** Signs of data: deals, manifests of pieces, deal weight, events of an upgrade. */
function refuseData(lines: readonly string[], fields: Map<string, string>): void {
  const deals = /[1-9]/.test(fields.get('Deals') ?? '');
  const weight = ['DealWeight', 'VerifiedDealWeight'].some((name) => /[1-9]/.test(fields.get(name) ?? ''));
  const told = lines.some(
    (line) => line.startsWith('Piece Activation Manifests') || /ReplicaUpdate|CCUpdate|SectorUpdateActive/.test(line),
  );
  if (deals || weight || told)
    throw new RowRefused('it holds data, and this text lists no pieces; export the datastore with lotus-shed (docs/import.md)');
}

/** Reads every block that begins with `SectorID:` and a number. */
export function lotusText(text: string, options: ParseOptions, into: Collector): void {
  const lines = text.split(/\r?\n/);
  const begins = lines.flatMap((line, at) => (/^SectorID:[ \t]+[^{\s]/.test(line) ? [at] : []));
  for (const [index, begin] of begins.entries()) {
    const block = lines.slice(begin, begins[index + 1]);
    const fields = fieldsOf(block);
    const number = fields.get('SectorID');
    into.row(`line ${begin + 1} (sector ${quoted(number)})`, () => {
      refuseUnlessAtRest(fields.get('Status'));
      refuseData(block, fields);
      const onChain = /^SectorID:[ \t]+\{Miner: ([0-9]+),/m.exec(block.slice(1).join('\n'))?.[1];
      const proof = fields.get('SealProof');
      return toRecord(
        'lotus',
        {
          miner: onChain,
          number,
          // Printed in hex.
          sealProof: proof !== undefined && /^[0-9a-f]$/.test(proof) ? Number.parseInt(proof, 16) : proof,
          ticketValue: fields.get('Ticket'),
          ticketEpoch: fields.get('TicketH'),
          commD: fields.get('CIDcommD'),
          commR: fields.get('CIDcommR'),
          pieces: undefined,
          preCommit: fields.get('Precommit'),
          proveCommit: fields.get('Commit'),
        },
        options,
      );
    });
  }
}
