import type { JsonNode } from '../../base/index.ts';
import type { Dialect, Route } from '../dialect.ts';
import { socketMessages } from '../framing/socket-messages.ts';
import { prefixes } from '../openai/routes.ts';
import { refuse } from '../request-fields.ts';
import { readClose, socketRefusal } from '../socket-close.ts';
import { RealtimeAnswers } from './answer.ts';
import { RealtimeRequests } from './request.ts';

const paths = new Set(prefixes.map((prefix) => `${prefix}/realtime`));

/** Its clients offer this one; another would carry a key (`openai-insecure-api-key.…`), which is nobody's business upstream. */
const protocols: ReadonlySet<string> = new Set(['realtime', 'openai-beta.realtime-v1']);

/** A session that only writes down what is said: by which model its `session.update` says. */
const transcribes = 'intent=transcription';

/**
 * OpenAI's Realtime API over a WebSocket. The model stands in the query of the handshake. What would join a call of somebody's (`call_id`) is
 * refused.
 */
function modelOf(query: string): string {
  const [, model = ''] = /^model=([A-Za-z0-9._:@~/%-]{1,512})$/.exec(query) ?? [];
  if (model === '') refuse('query');
  try {
    const name = decodeURIComponent(model);
    if (!name.includes(',') && name !== '') return name;
  } catch {
    // Not UTF-8.
  }
  return refuse('query');
}

/** A connection's own: what its messages mean depends on those before. Undefined: another path. */
export function realtimeRoute(path: string): Route | undefined {
  if (!paths.has(path)) return undefined;
  const requests: RealtimeRequests = new RealtimeRequests(
    () => answers.limit,
    (id) => answers.isForeign(id),
  );
  const answers = new RealtimeAnswers(() => requests.stops);
  return {
    dialect: {
      ...realtime,
      request: (_route, root) => requests.read(root),
      frame: (_route, event, _data, root) => readClose(event, root) ?? answers.read(root as JsonNode),
    },
    operation: 'Chat',
    body: 'json',
    model: undefined,
    generates: true,
    streams: [socketMessages],
    socket: {
      model(query) {
        requests.transcribesOnly = query === transcribes;
        return requests.transcribesOnly ? undefined : modelOf(query);
      },
      protocols: (offered) => offered.filter((name) => protocols.has(name)),
      endless: false,
    },
  };
}

const ofConnection = (): never => refuse('websocket');

export const realtime: Dialect = {
  name: 'openai-realtime',
  // What is no WebSocket is none of its sessions, whatever its path.
  route: () => undefined,
  request: ofConnection,
  answer: ofConnection,
  frame: ofConnection,
  endMarker: () => false,
  errorEvent: undefined,
  // Its clients raise an error for an event of this type.
  refusal: (text) => socketRefusal(text, (error) => ({ type: 'error', event_id: `event_${text.requestId}`, error })),
};
