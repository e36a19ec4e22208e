import type { RefusalText } from '../dialect.ts';

/** Clients of KServe's protocols make an error of `error`, which is a text, whole or as an event. */
export const refusalBody = ({ message, code, rule, requestId, detail }: RefusalText): string =>
  JSON.stringify({ error: message, code, rule: rule ?? null, param: detail ?? null, request_id: requestId });

/** Pages of the server, its models and its repository: what clients of v2 call beside inference. */
const serverPages =
  /^\/v2(?:$|\/(?:health|models|repository|systemsharedmemory|cudasharedmemory|trace|logging)(?:$|\/))/;

/** Whether a route that is known as management or as nothing is one of KServe's v2. */
export const isServerPage = (path: string): boolean => serverPages.test(path);
