/** Bugs planted one at a time, each a change of the text of one source file. */
import { FLEET } from './planted-fleet.ts';

export type Mutant = {
  readonly name: string;
  /** Below src/. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What has to go with it in the same file: two checks that stand before the same fault. */
  readonly also?: { readonly find: string; readonly replace: string };
};

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'fence removed: a report counts whatever became of its attempt',
    file: 'scheduler/held-attempt.ts',
    find: "job === undefined || attempt.status !== 'running' || attempt.epoch !== named.epoch || attempt.generation !== job.generation",
    replace: 'job === undefined',
  },
  {
    name: 'a message is sent before it is stored',
    file: 'effects/messages.ts',
    find: '      if (!(await run((ctx) => engine.effectSigned(ctx, id, fresh)))) return undefined;',
    replace: '      await chain.push(fresh);\n      if (!(await run((ctx) => engine.effectSigned(ctx, id, fresh)))) return undefined;',
  },
  {
    name: 'stored bytes are signed anew instead of pushed again',
    file: 'effects/messages.ts',
    find: 'if (signed === null) {',
    replace: 'if (signed === null || true) {',
  },
  {
    name: 'a withdrawn message is pushed all the same',
    file: 'effects/messages.ts',
    find: 'if (!(await run((ctx) => engine.effectSigned(ctx, id, fresh)))) return undefined;',
    replace: 'await run((ctx) => engine.effectSigned(ctx, id, fresh));',
  },
  {
    name: 'nonces of messages on their way are not counted',
    file: 'effects/messages.ts',
    find: 'const floor = tx.lastNonce(sender) + 1;',
    replace: 'const floor = 0;',
  },
  {
    name: 'a later nonce passes an earlier one that was refused',
    file: 'effects/messages.ts',
    find: "return code === 'nonce_taken' || code === 'nonce_used';",
    replace: "return code === 'nonce_taken' || failureOf(error).category !== 'temporary';",
  },
  {
    name: 'a ticket is taken for ten times as long as the chain takes it',
    file: 'scheduler/ticket.ts',
    find: 'export const TICKET_VALID_EPOCHS = 3_780;',
    replace: 'export const TICKET_VALID_EPOCHS = 37_800;',
  },
  {
    name: 'a paused job signs its message',
    file: 'scheduler/outbox.ts',
    find: 'job !== undefined && (job.paused || isFinal(job.state) || effect.generation !== job.generation)',
    replace: 'job === undefined',
    also: {
      find: "if (effect === undefined || effect.status !== 'open') return false;\n  const ctx",
      replace: 'if (effect === undefined) return false;\n  const ctx',
    },
  },
  {
    name: 'going back forgets the message that is out',
    file: 'scheduler/change.ts',
    find: 'for (const { field, message } of liveMessages(job)) kept[field] = message;',
    replace: 'for (const { field } of liveMessages(job)) delete kept[field];',
  },
  {
    name: 'going back draws another ticket although the pre-commit is out',
    file: 'scheduler/change.ts',
    find: 'if (job.data.ticket !== undefined) kept.ticket = job.data.ticket;',
    replace: '',
  },
  {
    name: 'lost wake-up: a stage whose runner is lost is not granted anew',
    file: 'scheduler/fleet.ts',
    find: 'if (job.generation === attempt.generation) settle(ctx, job);',
    replace: '',
  },
  {
    name: 'lost wake-up: what is due again is not looked at',
    file: 'scheduler/tick.ts',
    find: 'for (const job of due)',
    replace: 'for (const job of due.slice(1))',
  },
  {
    name: 'retries are never counted from zero again',
    file: 'scheduler/change.ts',
    find: 'retries: further ? 0 : job.retries, error: null',
    replace: 'retries: job.retries, error: null',
  },
  {
    name: 'lease time in the wrong unit',
    file: 'scheduler/grants.ts',
    find: 'return ctx.settings.leaseMs + (ctx.settings.graceMs[stage] ?? 0);',
    replace: 'return (ctx.settings.leaseMs + (ctx.settings.graceMs[stage] ?? 0)) / 1000;',
  },
  {
    name: 'an artifact is collected too early: going back drops what the state still needs',
    file: 'scheduler/change.ts',
    find: 'Object.values(job.data.artifacts).flatMap(({ key }) => (keys.has(key) ? [] : [key])),\n  );\n  const back',
    replace: 'Object.values(job.data.artifacts).flatMap(({ key }) => [key]),\n  );\n  const back',
  },
  {
    name: 'files of a sector that may be rescued are collected at once',
    file: 'scheduler/change.ts',
    find: "want(ctx, aborted, DELETE_KEPT, { kind: 'delete', keys }, filesGoMs(ctx, job.data.preCommit))",
    replace: "want(ctx, aborted, DELETE_KEPT, { kind: 'delete', keys })",
  },
  {
    name: 'files of a sector that may be rescued are kept for a tenth of the time',
    file: 'scheduler/live-message.ts',
    find: 'export const PROVE_COMMIT_WITHIN = 86_550;',
    replace: 'export const PROVE_COMMIT_WITHIN = 8_655;',
  },
  {
    name: 'what a refused result uploaded is left behind',
    file: 'scheduler/reports.ts',
    find: "  discardOutputs(ctx, job, attempt);\n  again(ctx, dropCheckpoints(ctx, job, attempt), attempt, reason);\n  return answer('refused'",
    replace: "  again(ctx, dropCheckpoints(ctx, job, attempt), attempt, reason);\n  return answer('refused'",
  },
  {
    name: 'resume skips the check of the state',
    file: 'scheduler/resume-target.ts',
    find: 'if (valid.includes(state)) return state;',
    replace: 'return state;',
  },
  {
    name: 'a deposit is given up without force',
    file: 'scheduler/operate.ts',
    find: 'if (live.length > 0 && options.force !== true)',
    replace: 'if (live.length > 9 && options.force !== true)',
  },
  {
    name: 'a ticket that a pre-commit names is left without force',
    file: 'scheduler/operate.ts',
    find: 'if (past && options.force !== true)',
    replace: 'if (past && options.force !== true && job.id === undefined)',
  },
  {
    name: 'an abort does not say which messages are out',
    file: 'scheduler/operate.ts',
    find: 'notice: noticeOf(live,',
    replace: 'notice: noticeOf(live.slice(1),',
  },
  {
    name: 'a sector is given away while a message of an ended job may still change it',
    file: 'scheduler/ended.ts',
    find: 'if (job === undefined) return undefined;',
    replace: 'if (job === undefined || job.id !== undefined) return undefined;',
  },
  {
    name: 'event without row: a pause is written down and not done',
    file: 'scheduler/operate.ts',
    find: "paused: true, waiting: { for: 'operator' }",
    replace: "waiting: { for: 'operator' }",
  },
  {
    name: 'row without event: a transition is done and not written down',
    file: 'scheduler/change.ts',
    find: "note(ctx, changed, { actor: 'engine', kind: 'transition', from: job.state, to, event });",
    replace: "if (to !== 'PC1Done') note(ctx, changed, { actor: 'engine', kind: 'transition', from: job.state, to, event });",
  },
  {
    name: 'going back keeps the generation',
    file: 'scheduler/change.ts',
    find: 'const back = change(ctx, job, { state, generation: job.generation + 1,',
    replace: 'const back = change(ctx, job, { state, generation: job.generation,',
  },
  {
    name: 'the deposit is paid before the challenge was verified',
    file: 'scheduler/plans/sealer-todo.ts',
    find: "if (!data.challenge.passed) return stage('Verify');",
    replace: '',
  },
  {
    name: 'a proof is sent that nobody verified',
    file: 'scheduler/plans/sealer-todo.ts',
    find: "return data.proofChecked === true ? advance('C2') : stage('Verify');",
    replace: "return advance('C2');",
  },
  {
    name: 'a proof is sent without the pieces of its sector',
    file: 'scheduler/plans/sealer-todo.ts',
    find: 'pieces:\n        job.data.pieces.length === 0',
    replace: 'pieces:\n        job.data.pieces.length >= 0',
  },
  {
    name: 'a seed that is not there yet is a permanent error',
    file: 'effects/performer.ts',
    find: 'return drawSeed(want, chain);',
    replace:
      "return drawSeed(want, chain).then((seed) => seed.outcome === 'wait' && effect.failures === 0 ? { outcome: 'error', category: 'permanent', code: 'no_seed', message: 'there is no seed' } : seed);",
  },
  {
    name: 'a finished job keeps its thread',
    file: 'scheduler/change.ts',
    find: 'ctx.tx.putThread({ ...thread, job: null });',
    replace: 'ctx.tx.putThread({ ...thread });',
  },
  {
    name: 'a refusal keeps half of what it wrote',
    file: 'store/group-commit.ts',
    find: '      undo.run();\n',
    replace: '',
  },
  {
    name: 'a message is believed without confidence',
    file: 'effects/landed.ts',
    find: 'const CONFIDENCE_EPOCHS = 5;',
    replace: 'const CONFIDENCE_EPOCHS = 0;',
  },
  {
    name: 'after a restore the numbers of lost events are given out again',
    file: 'store/restore.ts',
    find: 'set seq = ${next} where',
    replace: 'set seq = seq + 0 * @now where',
  },
  {
    name: 'two restores of one backup give out the same numbers',
    file: 'store/restore.ts',
    find: 'set seq = ${next} where',
    replace: 'set seq = seq + 10000000 + 0 * @now where',
  },
  {
    name: 'a delivery that nobody took counts as done',
    file: 'scheduler/deliveries.ts',
    find: 'const done = outcome.status !== null && outcome.status >= 200 && outcome.status < 300;',
    replace: 'const done = true;',
  },
  {
    name: 'the cursor of a webhook passes an event',
    file: 'scheduler/deliveries.ts',
    find: 'tx.updateWebhook({ ...webhook, cursor: last.seq });',
    replace: 'tx.updateWebhook({ ...webhook, cursor: last.seq + 1 });',
  },
  {
    name: 'an idempotency key is forgotten',
    file: 'api/idempotency.ts',
    find: '    ctx.tx.insertAnswer({ token, key, request, answer: JSON.stringify(kept), createdMs: ctx.nowMs });\n',
    replace: '    void kept;\n',
  },
  {
    name: 'garbage: what a running attempt may still make is taken for garbage',
    file: 'scheduler/live-keys.ts',
    find: "return attempt.status === 'running';",
    replace: 'return attempt.status === undefined;',
  },
  {
    name: 'garbage: artifacts that a job names are taken for garbage',
    file: 'scheduler/live-keys.ts',
    find: '(_ctx, { data }) => Object.values(data.artifacts).map(({ key }) => key),',
    replace: '() => [],',
  },
  {
    name: 'garbage: a piece that waits for a sector is taken for garbage',
    file: 'scheduler/garbage.ts',
    find: "if (job === undefined) return 'stays';",
    replace: "if (job === undefined) return { reason: 'job_ended', job: null };",
  },
  {
    name: 'garbage: what a forced abort keeps goes at once',
    file: 'scheduler/live-keys.ts',
    find: "if (status === 'open') leaving.add(key);",
    replace: "if (final) named.delete(key);\n      else if (status === 'open') leaving.add(key);",
  },
  {
    name: 'garbage: nothing is ever collected',
    file: 'scheduler/garbage.ts',
    find: 'if (collectingHeld(ctx)) return judged;',
    replace: 'if (judged.length > 0) return judged;',
  },
  ...FLEET,
  {
    name: 'storage: t_aux is not kept',
    file: 'schema/artifact.ts',
    find: "return ['sealed', P_AUX, T_AUX, ...treeRLastNames(proof)];",
    replace: "return ['sealed', P_AUX, ...treeRLastNames(proof)];",
  },
  {
    name: 'the record has the seed as ticket',
    file: 'scheduler/plans/sealer-plan.ts',
    find: 'ticket: ticket ?? null,',
    replace: 'ticket: data.seed ?? ticket ?? null,',
  },
  {
    name: 'sector.json has no ticket',
    file: 'scheduler/plans/stage-work.ts',
    find: '    ticket: data.ticket,\n    commD: data.commD,',
    replace: '    commD: data.commD,',
  },
  {
    name: 'storage: old files are dropped before whoever does Window PoSt is told',
    file: 'scheduler/storage-moves.ts',
    find: "phase: tells ? 'declare' : 'drop', why: null",
    replace: "phase: 'drop', why: null",
  },
  {
    name: 'storage: a move is recorded before the copy was checked',
    file: 'scheduler/storage-moves.ts',
    find: "  if (outcome === 'done') {\n    if (step === 'copy')",
    replace: "  if (outcome !== 'failed' || step === 'copy') {\n    if (step === 'copy')",
  },
  {
    name: 'storage: files are recorded elsewhere while a job has the sector',
    file: 'scheduler/storage-moves.ts',
    find: '(there?.storage !== from || isBusy(ctx, miner, number))',
    replace: 'there?.storage !== from',
  },
  {
    name: 'storage: a step whose answer is lost is never asked for again',
    file: 'scheduler/move-steps.ts',
    find: "  if (asked.bootId !== (ctx.tx.runner(asked.runner)?.bootId ?? '')) return false;\n  return ctx.nowMs - asked.atMs <",
    replace: '  return true || ctx.nowMs - asked.atMs <',
  },
  {
    name: 'storage: room that is promised is promised again',
    file: 'store/miner-storage.ts',
    find: 'of [...reserved.all(), ...copied.all()]) sums.set',
    replace: 'of [...reserved.all(), ...copied.all()].slice(1)) sums.set',
  },
  {
    name: 'storage: nobody is told of moved files, and they count as told of',
    file: 'scheduler/storage-moves.ts',
    find: '  if (tells) declareRecord(ctx, moved, from);\n',
    replace: "  if (tells) ctx.tx.setDeclared(miner, number, 'yes');\n",
    also: { find: "phase: tells ? 'declare' : 'drop', why: null", replace: "phase: 'drop', why: null" },
  },
  {
    name: 'storage: a declaration does not say which files are gone',
    file: 'scheduler/declared.ts',
    find: '    dropped,\n  });',
    replace: '    dropped: null,\n  });\n  void dropped;',
  },
];
