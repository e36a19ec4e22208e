import type { JsonValue } from '../../base/index.ts';
import { auditAudience, auditForHeader, auditTokenHeader, controlPlane } from '../../contract/index.ts';
import { KubeError, isKubeError } from '../../kube/index.ts';
import type { KubeCall, KubeClient } from '../../kube/index.ts';
import { systemNamespace } from '../cluster-command.ts';
import type { CommandIo } from '../command.ts';
import type { Flags } from '../flags.ts';
import { serviceToken, tokenSeconds } from '../service-token.ts';

/** Flags of every command that asks the recorder. */
export const auditFlags = {
  system: { kind: 'text' },
  'service-account': { kind: 'text' },
} as const;

export const auditUsage = `  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
  --service-account NS/NAME   whose token asks; default that namespace's ${controlPlane.auditor}
`;

/** The recorder, through the API server's service proxy. */
export interface AuditClient {
  /** @throws KubeError with the recorder's own words. */
  get(path: string): Promise<Answer>;
  post(path: string, body: object): Promise<Answer>;
}

export type Answer = { readonly [key: string]: JsonValue };

/**
 * Makes a token of the auditor's service account, for the recorder and nothing else, and asks with it: who may do that is for
 * RBAC, and the API server's own audit log has who did. The name of the person goes along as their claim.
 */
export async function openAudit(
  client: KubeClient,
  flags: Flags,
  io: Pick<CommandIo, 'now' | 'sleep'>,
): Promise<AuditClient> {
  const system = flags.text('system') ?? systemNamespace;
  const own = await ownName(client);
  let known: { readonly token: string; readonly madeAt: number } | undefined;
  const renew = async (): Promise<string> => {
    const madeAt = io.now();
    known = {
      token: await serviceToken(client, flags, { audience: auditAudience, account: controlPlane.auditor }),
      madeAt,
    };
    return known.token;
  };
  // A long command outlives its token; a clock that was set back makes none younger.
  const token = async (): Promise<string> => {
    const age = known === undefined ? Infinity : io.now() - known.madeAt;
    return known !== undefined && age >= 0 && age < renewMs ? known.token : renew();
  };
  // Who may not have one is told so before anything is asked.
  await token();
  const ask = async (request: Pick<KubeCall, 'method' | 'path' | 'body'>): Promise<Answer> => {
    const send = async (by: string): Promise<JsonValue | undefined> =>
      client.request({ ...request, headers: { [auditTokenHeader]: by, [auditForHeader]: own }, timeoutMs });
    // What is refused for the number of questions, or of those that are at work, was not done: it is asked again when there is room.
    for (let waits = 0; ; waits++) {
      try {
        return await once(send);
      } catch (error) {
        if (!isKubeError(error) || !isForNow(error) || waits >= mostWaits) throw error;
        await io.sleep(error.retryAfterMs ?? 1_000);
      }
    }
  };
  const once = async (send: (by: string) => Promise<JsonValue | undefined>): Promise<Answer> => {
    try {
      return object(await send(await token()));
    } catch (error) {
      // A machine that slept, or a clock that stood still: the token may have ended all the same.
      if (!isKubeError(error) || error.status !== 401 || known?.madeAt === undefined || io.now() - known.madeAt < 1_000)
        throw error;
      return object(await send(await renew()));
    }
  };
  const base = `/api/v1/namespaces/${system}/services/https:${controlPlane.recorder}:audit/proxy`;
  const object = (body: JsonValue | undefined): Answer => {
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw new KubeError('bad_answer', 'the recorder sent no object');
    return body;
  };
  return {
    get: (path) => ask({ method: 'GET', path: `${base}${path}` }),
    post: (path, body) => ask({ method: 'POST', path: `${base}${path}`, body }),
  };
}

/** The recorder has too much to do: not that it cannot answer. */
const isForNow = ({ status, problem }: KubeError): boolean => status === 429 || (status === 503 && problem === 'busy');

/** Flags of every command about one session: of which chain, where several have its id. */
export const sessionFlags = { chain: { kind: 'text' } } as const;

export const sessionUsage = `  --chain NAME           where several sidecars recorded under this id: that of this chain (audit search --session ID -o jsonl has them)
  -n, --namespace NAME   those of this namespace; default: of all that you may read
`;

/** What is asked beside the id. */
const namedBy = (flags: Flags): readonly [string, string][] =>
  ['namespace', 'chain'].flatMap((name): [string, string][] => {
    const text = flags.text(name);
    return text === undefined ? [] : [[name, text]];
  });

/** The path of a session, or of what is below it. */
export function sessionPath(id: string, flags: Flags, below = '', from?: string): string {
  const query = new URLSearchParams([...namedBy(flags), ...(from === undefined ? [] : [['from', from]])]);
  return `/v1/sessions/${id}${below}${query.size === 0 ? '' : `?${query.toString()}`}`;
}

/** Some lines of a session, as they were hashed. */
export interface LinePage {
  readonly lines: readonly string[];
  /** Chains that have lines under its id, as far as is known by here. */
  readonly chains: readonly LineChain[];
}

export interface LineChain {
  /** SPIFFE id of the sidecar. */
  readonly source: string;
  readonly chain: string;
}

/** The lines of a session, in their order. @throws KubeError */
export async function* linePages(audit: AuditClient, id: string, flags: Flags): AsyncGenerator<LinePage> {
  const chains = new Map<string, LineChain>();
  let next: string | undefined;
  do {
    const page = await audit.get(sessionPath(id, flags, '', next));
    for (const one of Array.isArray(page['sessions']) ? page['sessions'] : []) {
      const { source, chain } = one as Answer;
      const named = { source: String(source), chain: String(chain) };
      chains.set(`${named.source} ${named.chain}`, named);
    }
    const lines = Array.isArray(page['lines']) ? page['lines'].filter((line) => typeof line === 'string') : [];
    yield { lines, chains: [...chains.values()] };
    next = typeof page['next'] === 'string' ? page['next'] : undefined;
  } while (next !== undefined);
}

const timeoutMs = 60_000;
/** Of one question: all who ask with this account share what it may. */
const mostWaits = 60;
/** Age at which a token is made again. */
const renewMs = (tokenSeconds * 1_000) / 2;

/** Who the kubeconfig says that you are; a header takes no more than this. */
async function ownName(client: KubeClient): Promise<string> {
  const review = await client
    .request({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    })
    .catch(() => undefined);
  const status = (review as { readonly status?: { readonly userInfo?: { readonly username?: string } } } | undefined)
    ?.status;
  const name = (status?.userInfo?.username ?? '').replaceAll(/[^\x21-\x7e]/g, '?').slice(0, 200);
  return name === '' ? 'unknown' : name;
}
