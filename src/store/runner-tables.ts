/** Runners and what they join with; part of `tables.ts`, whose rules hold here too. */
import { sql } from 'drizzle-orm';
import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

export const runners = sqliteTable(
  'runners',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    name: text('name').notNull(),
    trust: text('trust').notNull(),
    labels: text('labels').notNull(),
    stages: text('stages').notNull(),
    storage: text('storage').notNull(),
    resources: text('resources').notNull(),
    credentialHash: text('credential_hash').notNull().unique(),
    /** Since when that is its credential; null: since it registered. */
    credentialMs: integer('credential_ms'),
    /** What the next credential is made of, beside the present one. */
    nextCredentialSeed: text('next_credential_seed'),
    nextCredentialHash: text('next_credential_hash').unique(),
    /** The one before, which is dead: whoever comes with it has stolen it. */
    previousCredentialHash: text('previous_credential_hash').unique(),
    bootId: text('boot_id').notNull(),
    /** JSON list of `[boot id, until when it was the newest]`, oldest first. */
    earlierBoots: text('earlier_boots'),
    status: text('status').notNull(),
    reason: text('reason'),
    strikes: integer('strikes').notNull(),
    lastSeenMs: integer('last_seen_ms').notNull(),
    /** One of its leases ran out then, and it has said nothing since. */
    silentSinceMs: integer('silent_since_ms'),
    registeredMs: integer('registered_ms').notNull(),
    /** JSON: self-tests and their outcomes. */
    tests: text('tests'),
    agentVersion: text('agent_version'),
    /** JSON list of keys: artifacts on its disk. */
    cached: text('cached'),
    slots: integer('slots'),
    /** JSON: how long stages took it. */
    stageMs: text('stage_ms'),
  },
  (t) => [
    index('runners_rented')
      .on(t.lastSeenMs)
      .where(sql`${t.trust} = 'rented' and ${t.status} = 'ready'`),
  ],
);

export const joinTokens = sqliteTable('join_tokens', {
  hash: text('hash').primaryKey(),
  trust: text('trust').notNull(),
  labels: text('labels').notNull(),
  expiresMs: integer('expires_ms').notNull(),
  usedBy: text('used_by'),
});
