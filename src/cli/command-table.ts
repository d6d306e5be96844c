/** All commands of the HTTP API, as help groups them. Help, completion and the parser read this one table. */
import type { Command } from './command.ts';
import { BACKUP_COMMANDS } from './commands/backup.ts';
import { COMPLETION_COMMANDS } from './commands/completion.ts';
import { DAMOCLES_COMMANDS } from './commands/damocles.ts';
import { EVENT_COMMANDS } from './commands/events.ts';
import { FETCH_COMMANDS } from './commands/fetch.ts';
import { PIECE_COMMANDS, RUNNER_COMMANDS, TOKEN_COMMANDS } from './commands/fleet.ts';
import { GC_COMMANDS } from './commands/gc.ts';
import { INVENTORY_COMMANDS } from './commands/inventory.ts';
import { PLEDGE_COMMANDS } from './commands/pledge.ts';
import { SECTOR_COMMANDS } from './commands/sectors.ts';
import { STORAGE_COMMANDS } from './commands/storage.ts';
import { LIMIT_COMMAND, SETTINGS_COMMANDS } from './commands/settings.ts';
import { WEBHOOK_COMMANDS } from './commands/webhooks.ts';
import { WORKER_COMMANDS } from './commands/workers.ts';

export const COMMAND_GROUPS: readonly (readonly [title: string, commands: readonly Command[]])[] = [
  ['Sectors', [...PLEDGE_COMMANDS, ...SECTOR_COMMANDS, ...FETCH_COMMANDS]],
  ['Sectors of other systems', INVENTORY_COMMANDS],
  ['What happens', [...EVENT_COMMANDS, ...WEBHOOK_COMMANDS]],
  ['Pieces', PIECE_COMMANDS],
  ['Workers and their sealing_threads', [...WORKER_COMMANDS, LIMIT_COMMAND]],
  ['Runners', RUNNER_COMMANDS],
  ['Miner storage', STORAGE_COMMANDS],
  ['Settings, tokens and backups', [...SETTINGS_COMMANDS, ...TOKEN_COMMANDS, ...BACKUP_COMMANDS, ...GC_COMMANDS]],
  ['Shell', COMPLETION_COMMANDS],
  ["As damocles' manager spells it", DAMOCLES_COMMANDS],
];

export const COMMANDS: readonly Command[] = COMMAND_GROUPS.flatMap(([, commands]) => commands);
