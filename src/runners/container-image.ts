/** The image of the stages: named so that it can be one image only, and there before the first stage. */
import { z } from 'zod';
import type { ContainerEngine } from './container-engine.ts';
import { EngineError, NO_LIMIT } from './container-engine.ts';
import type { Log } from './options.ts';

const DIGEST = /^(?:([^@\s]+)@)?sha256:([0-9a-f]{64})$/;

/** Throws a sentence unless the image is named by what it holds: `NAME@sha256:…`, or the `sha256:…` that is its id. */
export function checkPinned(image: string): void {
  if (DIGEST.test(image)) return;
  throw new Error(
    `the image ${image} is named by a tag, which can become another image; name it with runner.container_image as NAME@sha256:… (its digest), or sha256:… (its id)`,
  );
}

/** Sees that the image is there: loads it from `archive` or pulls it where it is not. Answers how the engine is asked for it. */
export async function ensureImage(engine: ContainerEngine, image: string, archive: string | undefined, log: Log): Promise<string> {
  checkPinned(image);
  const [, name, hex = ''] = DIGEST.exec(image) ?? [];
  const asked = name === undefined ? hex : image;
  const isThere = async (): Promise<boolean> => (name === undefined ? hasId(engine, image) : hasDigest(engine, image));
  if (await isThere()) return asked;
  if (archive !== undefined) {
    log('info', `loading the image from ${archive}`);
    await engine.send('/images/load?quiet=1', archive);
  } else if (name !== undefined) {
    log('info', `pulling the image ${image}`);
    checkPull(await engine.call('POST', `/images/create?fromImage=${encodeURIComponent(image)}`, undefined, NO_LIMIT), image);
  }
  if (await isThere()) return asked;
  const how = archive === undefined ? 'load it, or name its archive with runner.container_archive' : `${archive} holds another one`;
  throw new Error(`the container engine does not have the image ${image}; ${how}`);
}

const Images = z.array(z.object({ Id: z.string() }));

/** Looked for among all: asked for an id that it does not have, Podman fails. */
async function hasId(engine: ContainerEngine, id: string): Promise<boolean> {
  return Images.parse(await engine.call('GET', '/images/json')).some(({ Id }) => Id === id);
}

async function hasDigest(engine: ContainerEngine, image: string): Promise<boolean> {
  try {
    await engine.call('GET', `/images/${encodeURIComponent(image)}/json`);
    return true;
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return false;
    throw error;
  }
}

/** A pull that fails under way has answered 200 before; its last line has the error. */
function checkPull(answer: unknown, image: string): void {
  const lines = (Array.isArray(answer) ? answer : [answer]) as readonly ({ error?: unknown } | null)[];
  const error = lines.find((line) => typeof line?.error === 'string')?.error;
  if (error === undefined) return;
  throw new Error(`the image ${image} cannot be pulled (${String(error)}); load it, or name its archive with runner.container_archive`);
}
