/** The text of `damocles-manager util sealer sectors state`. It names no seal proof, and no commitments of an update. */
import { refuseUnlessFinal } from './damocles-state.ts';
import { type Collector, type PieceFacts, toRecord } from './records.ts';
import { type ParseOptions, RowRefused, isAbsent } from './values.ts';

/** Reads every block that begins with `Sector s-t01000-7:`. */
export function damoclesText(text: string, options: ParseOptions, into: Collector): void {
  const lines = text.split(/\r?\n/);
  const begins = lines.flatMap((line, at) => (/^Sector s-[tf]0[0-9]+-[0-9]+:/.test(line) ? [at] : []));
  for (const [index, begin] of begins.entries()) {
    const [, miner, number] = /^Sector s-([tf]0[0-9]+)-([0-9]+):/.exec(lines[begin] as string) as RegExpExecArray;
    const block = lines.slice(begin, begins[index + 1]).join('\n');
    const after = (name: string): string | undefined => new RegExp(`^\\s*${name}:[ \\t]*(\\S.*?)\\s*$`, 'm').exec(block)?.[1];
    into.row(`line ${begin + 1} (sector ${number})`, () => {
      const reason = /^\s*Aborting:\s*\n\s*(\S.*?)\s*$/m.exec(block)?.[1];
      refuseUnlessFinal(after('Finalized') === 'true', after('Removed') === 'true', isAbsent(reason) ? '' : (reason as string));
      if (after('Upgraded') === 'true')
        throw new RowRefused('it was upgraded, and this text does not tell the commitments of the update; use `sectors state export-json`');
      const ticket = /^\(([0-9]+)\) ([0-9a-f]+)$/.exec(after('Ticket') ?? '');
      return toRecord(
        'damocles',
        {
          miner,
          number,
          sealProof: undefined,
          ticketEpoch: ticket?.[1],
          ticketValue: ticket?.[2],
          commD: after('CommD'),
          commR: after('CommR'),
          pieces: piecesOf(block),
          preCommit: after('PreCommit Message'),
          proveCommit: after('ProveCommit Message'),
        },
        options,
      );
    });
  }
}

function piecesOf(block: string): PieceFacts[] {
  return [...block.matchAll(/^\s*Piece: \{ cid: ([^;\s]*); size: ([0-9]*); offset: [0-9]* \}\s*$/gm)].map(([, cid, paddedSize]) => ({
    cid,
    paddedSize,
  }));
}
