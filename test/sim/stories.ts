/** Stories that once broke a promise: kept as JSON, played again by the tests. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Script } from './script.ts';

export type Story = {
  /** What went wrong, in a sentence. */
  readonly title: string;
  /** The promise that broke. */
  readonly promise: string;
  readonly script: Script;
};

export const STORIES = join(import.meta.dirname, 'stories');

/** All kept stories by file name. */
export function keptStories(): { readonly name: string; readonly story: Story }[] {
  return readdirSync(STORIES)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => ({ name, story: readStory(join(STORIES, name)) }));
}

export function readStory(path: string): Story {
  return JSON.parse(readFileSync(path, 'utf8')) as Story;
}
