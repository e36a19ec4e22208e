import type { OutgoingHttpHeaders } from 'node:http';

/** Subprotocols of a WebSocket, as the model is offered them: browsers, who can send a credential nowhere else, put one among their names. */
export const protocolHeader = 'sec-websocket-protocol';

/** Of the caller's handshake nothing goes on but these. */
export function offerProtocols(headers: OutgoingHttpHeaders, offered: readonly string[]): void {
  for (const name of Object.keys(headers)) if (name.startsWith('sec-websocket-')) Reflect.deleteProperty(headers, name);
  if (offered.length > 0) headers[protocolHeader] = offered.join(', ');
}
