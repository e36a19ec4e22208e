import type { JsonNode } from '../base/index.ts';
import type { Operation } from '../core/index.ts';
import type { Dialect, Route } from './dialect.ts';
import { socketMessages } from './framing/socket-messages.ts';
import { generic } from './generic.ts';
import { managementRoute } from './management/routes.ts';
import { realtimeRoute } from './realtime/realtime.ts';
import { readClose, socketRefusal } from './socket-close.ts';

/**
 * A WebSocket of which nothing is known but that its messages are JSON: every string is a lane by its path, joined over the model's messages, since a
 * server may send a text in pieces.
 */
const genericSocket: Dialect = {
  ...generic,
  name: 'generic-websocket',
  frame: (route, event, data, root) => readClose(event, root) ?? generic.frame(route, event, data, root as JsonNode),
  endMarker: () => false,
  refusal: (text) => socketRefusal(text, (error) => ({ error })),
};

/** WebSockets that policies describe. */
export interface DescribedSockets {
  /** Undefined: no policy describes it. */
  socket(path: string): Route | undefined;
}

/** What a WebSocket's handshake asks for. `path` is normalised and has no query. */
export function recogniseSocket(path: string, described?: DescribedSockets): Route {
  const known = realtimeRoute(path);
  if (known !== undefined) return known;
  // What rules the server stays that.
  if (managementRoute('GET', path)?.operation === 'Admin') return socketRoute('Admin', genericSocket);
  return described?.socket(path) ?? socketRoute('Other', genericSocket);
}

function socketRoute(operation: Operation, dialect: Dialect): Route {
  return {
    dialect,
    operation,
    body: 'json',
    model: undefined,
    generates: false,
    streams: [socketMessages],
    socket: { model: () => undefined, protocols: (offered) => offered.filter(isProtocol), endless: true },
  };
}

/** One whose messages a policy describes. @param messages reads them */
export const describedSocket = (operation: Operation, messages: Dialect): Route => ({
  ...socketRoute(operation, {
    ...genericSocket,
    request: (route, root) => messages.request(route, root),
    answer: (route, root, status) => messages.answer(route, root, status),
    frame: (route, event, data, root) => readClose(event, root) ?? messages.frame(route, undefined, data, root),
  }),
  described: 'JSON',
});

/** Names of subprotocols are short; what proves somebody is not. */
const longestProtocol = 40;
const carriesKey = /key|token|auth|bearer|secret/i;

/** And no credential of the caller's, as browsers, who can send none elsewhere, put one among the names: beside a word for it, or bare. */
const isProtocol = (name: string): boolean => name.length <= longestProtocol && !carriesKey.test(name);
