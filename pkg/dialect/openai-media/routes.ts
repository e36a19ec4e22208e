import { deploymentOf, prefixes } from '../openai/routes.ts';

/** What is asked of OpenAI's audio and image routes. */
export type MediaKind = 'transcription' | 'translation' | 'speech' | 'generation' | 'edit' | 'variation';

const kinds: Readonly<Record<string, MediaKind>> = {
  '/audio/transcriptions': 'transcription',
  '/audio/translations': 'translation',
  '/audio/speech': 'speech',
  '/images/generations': 'generation',
  '/images/edits': 'edit',
  '/images/variations': 'variation',
};

export interface MediaRoute {
  readonly kind: MediaKind;
  /** A deployment of Azure's, which the path names. */
  readonly model: string | undefined;
  /** The path with another model in it. Absent: it names none. */
  readonly renamed?: (model: string) => string;
}

const exact = new Map<string, MediaRoute>(
  prefixes.flatMap((prefix) =>
    Object.entries(kinds).map(([path, kind]): [string, MediaRoute] => [`${prefix}${path}`, { kind, model: undefined }]),
  ),
);

/** Undefined: none of these routes. */
export function mediaRoute(method: string, path: string): MediaRoute | undefined {
  if (method !== 'POST') return undefined;
  const known = exact.get(path);
  if (known !== undefined) return known;
  const deployment = deploymentOf(path);
  const kind = deployment === undefined ? undefined : kinds[deployment.rest];
  if (deployment === undefined || kind === undefined) return undefined;
  return { kind, model: deployment.model, renamed: deployment.renamed };
}
