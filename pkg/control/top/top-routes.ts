import { Secret, createBucket } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { auditTokenHeader, topAudience, topPath, topResource } from '../../contract/index.ts';
import type { AccessReviewer } from '../../kube/index.ts';
import type { PodName } from '../../wire/index.ts';
import type { RouteAnswer, Routes } from '../decisions/index.ts';
import type { FigureBook } from './figure-book.ts';

/**
 * `GET /v1/top`, with `?namespace=NAME` or of all namespaces: every governed pod, and the figures of those whose sidecars are connected
 * to this replica. For whoever has `get` on `inferencepolicies/top` there, proven by a token for this endpoint alone.
 */
export interface TopRoutesOptions {
  readonly book: Pick<FigureBook, 'of'>;
  /** Governed pods, of one namespace or of all. */
  readonly pods: (namespace: string | undefined) => Iterable<PodName>;
  readonly reviewer: AccessReviewer;
  /** Of this replica. */
  readonly replica: string;
  readonly clock: Clock;
}

const perSecond = 20;
const burst = 40;
const namespaceForm = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const tokenForm = /^[A-Za-z0-9._~+/=-]{1,16384}$/;

/** `message` is for people: the API server's proxy hands it on. */
const no = (status: number, error: string, message: string, result: RouteAnswer['result']): RouteAnswer => ({
  status,
  body: { error, message },
  result,
});
const mayNot = (namespace: string | undefined): RouteAnswer =>
  no(
    403,
    'not_allowed',
    `this token may not get inferencepolicies/top ${namespace === undefined ? 'in all namespaces' : `in namespace ${namespace}`}`,
    'refused',
  );
const limited = no(429, 'too_many', 'too many ask for figures', 'limited');
const unproven = no(401, 'unauthenticated', `a token for ${topAudience} is missing, or is not valid`, 'refused');

export function createTopRoutes({ book, pods, reviewer, replica, clock }: TopRoutesOptions): Routes {
  // They come through the API server: their addresses are its own. Who is not proven counts by address, so that nobody else is kept out.
  const turns = createBucket(clock, perSecond, burst);

  return async (request, { admitted }) => {
    const refused = (answer: RouteAnswer): RouteAnswer => (admitted() ? answer : limited);
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (path !== topPath) return undefined;
    if (request.method !== 'GET') return refused(no(405, 'method', 'GET alone', 'malformed'));
    const asked = new URLSearchParams(query);
    const namespace = asked.get('namespace') ?? undefined;
    if (asked.size > (namespace === undefined ? 0 : 1) || (namespace !== undefined && !namespaceForm.test(namespace)))
      return refused(no(400, 'malformed', 'namespace is all that can be asked for', 'malformed'));
    const token = request.headers[auditTokenHeader];
    if (typeof token !== 'string' || !tokenForm.test(token)) return refused(unproven);
    const secret = new Secret(token);
    // Each that is new costs a call to the API server.
    if (!reviewer.knows(secret) && !admitted()) return limited;
    const viewer = await reviewer.authenticate(secret);
    if (viewer === undefined) return unproven;
    if (!turns.take()) return limited;
    if (!(await reviewer.may(viewer, { ...topResource, verb: 'get', namespace }))) return mayNot(namespace);
    const rows = Array.from(pods(namespace), ({ namespace: at, name, uid }) => ({
      namespace: at,
      name,
      uid,
      figures: book.of(uid) ?? null,
    }));
    return { status: 200, body: { replica, pods: rows }, result: 'viewed' };
  };
}
