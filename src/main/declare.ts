/** Whom the configuration tells of stored files: lotus-miner, or a command of the operator's. */
import { LotusStorage } from '../chain/lotus-storage.ts';
import type { Declare } from '../effects/declare.ts';
import { SealpoolError } from '../schema/problem.ts';
import { type Config, secretOf } from './config.ts';
import { declareByCommand } from './declare-command.ts';

const refuse = (message: string): SealpoolError => new SealpoolError('bad_request', 'configuration', message);

/** `declare` undefined: nobody is told. Throws `configuration` where something is missing. */
export function openDeclare(config: Config): { readonly declare: Declare | undefined; close(): Promise<void> } {
  const nothing = async (): Promise<void> => undefined;
  switch (config['storage.declare']) {
    case 'none':
      return { declare: undefined, close: nothing };
    case 'damocles':
      throw refuse(
        'storage.declare = "damocles" cannot be had: damocles-manager takes stored files (SubmitPersistedEx) only of sectors that it allocated itself; use "command" with a script that imports the sector there, see docs/operating.md',
      );
    case 'command': {
      const command = config['storage.command'];
      if (command === undefined)
        throw refuse('storage.declare is "command" and storage.command is not set; name the program and its arguments');
      return { declare: declareByCommand(command, config['storage.command_timeout_ms'], process.env), close: nothing };
    }
    case 'lotus': {
      const url = config['storage.lotus.url'];
      const file = config['storage.lotus.token_file'];
      if (url === undefined || file === undefined)
        throw refuse('storage.declare is "lotus"; set storage.lotus.url (lotus-miner, http://…/rpc/v0) and storage.lotus.token_file');
      // Read before each call, so that a renewed file is seen.
      const lotus = new LotusStorage({ url, token: async () => secretOf(undefined, file) ?? '', timeoutMs: config['chain.timeout_ms'] });
      return { declare: (declaration) => lotus.declare(declaration), close: () => lotus.close() };
    }
  }
}
