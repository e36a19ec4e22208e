import { expect, test } from '@jest/globals';
import { recogniseSocket } from './generic-socket.ts';

const offered = (...names: string[]) => recogniseSocket('/ws').socket?.protocols(names);

test('subprotocols go on to the model, a credential among them does not', () => {
  expect(offered('graphql-transport-ws', 'v1.chat.example.com', 'mqtt')).toEqual([
    'graphql-transport-ws',
    'v1.chat.example.com',
    'mqtt',
  ]);
  const jwt = `eyJhbGciOiJFUzI1NiJ9.${'a'.repeat(60)}.${'b'.repeat(86)}`;
  for (const key of ['bearer.abc', 'x-api-key.1234', 'access_token', jwt, `ek_${'6'.repeat(48)}`])
    expect(offered('mqtt', key)).toEqual(['mqtt']);
});
