import { compileGlob } from './glob.ts';
import type { Glob } from './glob.ts';

/**
 * One name for a model that servers of Ollama's kind know by several (its `types/model/name.go`): without its registry, the
 * namespace `library/` and the tag `:latest`. No other server gives these words a meaning, so the form is the same everywhere.
 */
export function plainModelName(name: string): string {
  const bare = name.replace(ownRegistry, '').replace(ownNamespace, '');
  return latest.test(bare) ? bare.slice(0, -':latest'.length) : bare;
}

const ownRegistry = /^(?:https?:\/\/)?registry\.ollama\.ai\//i;
const ownNamespace = /^library\//i;
const latest = /[^:]:latest$/i;

/**
 * A pattern of a rule that allows: it matches a name as it is spelled, and by its {@link plainModelName}. Letter case counts. A pattern without
 * `*` is a name itself, and `llama3:latest` there is `llama3`.
 */
export function allowedModel(source: string): Glob {
  const glob = compileGlob(source.includes('*') ? source : plainModelName(source));
  return { ...glob, source, matches: (name) => glob.matches(name) || glob.matches(plainModelName(name)) };
}

/**
 * A pattern of a rule that denies: it matches in any letter case, and whichever of its names a model is called by, since some server may
 * read it so.
 */
export function deniedModel(source: string): Glob {
  const pattern = source.toLowerCase();
  const glob = compileGlob(pattern.includes('*') ? pattern : plainModelName(pattern));
  return { ...glob, source, matches: (name) => readingsOf(name.toLowerCase()).some((one) => glob.matches(one)) };
}

function readingsOf(name: string): readonly string[] {
  const plain = plainModelName(name);
  return [
    plain,
    name,
    `${plain}:latest`,
    `library/${plain}`,
    `library/${plain}:latest`,
    `registry.ollama.ai/library/${plain}`,
    `registry.ollama.ai/${plain}`,
    `registry.ollama.ai/${plain}:latest`,
  ];
}
