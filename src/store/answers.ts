/** What was answered to requests with an Idempotency-Key. */
import { and, eq, lt } from 'drizzle-orm';
import type { AnswerRow, Tx } from '../scheduler/ports.ts';
import { bound as p, type Db, prepareInsert } from './db.ts';
import { answers } from './tables.ts';

/** The part of `Tx` about answers. */
export function answersPart(db: Db) {
  const insert = prepareInsert(db, answers);
  const byKey = db
    .select()
    .from(answers)
    .where(and(eq(answers.token, p('token')), eq(answers.key, p('key'))))
    .prepare();
  const old = db
    .select({ token: answers.token, key: answers.key })
    .from(answers)
    .where(lt(answers.createdMs, p('beforeMs')))
    .limit(p('limit'))
    .prepare();
  const drop = db
    .delete(answers)
    .where(and(eq(answers.token, p('token')), eq(answers.key, p('key'))))
    .prepare();
  return {
    answer: (token, key) => byKey.get({ token, key }) as AnswerRow | undefined,
    insertAnswer: (row) => insert(row),
    dropAnswers(beforeMs, limit) {
      const rows = old.all({ beforeMs, limit });
      for (const row of rows) drop.run(row);
      return rows.length;
    },
  } satisfies Partial<Tx>;
}
