import { expect, test } from '@jest/globals';
import { controllersOf } from './controllers.ts';

const isController = controllersOf('sidegate-system');

test.each([
  ['spiffe://cluster.local/ns/sidegate-system/sa/sidegate-controller/pod/1', true],
  ['spiffe://another.domain/ns/sidegate-system/sa/sidegate-controller/pod/1', true],
  ['spiffe://cluster.local/ns/ml/sa/sidegate-controller/pod/1', false],
  ['spiffe://cluster.local/ns/sidegate-system/sa/default/pod/1', false],
  ['spiffe://cluster.local/ns/sidegate-system/sa/sidegate-controller', false],
  ['spiffe://cluster.local/ns/sidegate-system/sa/sidegate-controller/pod/1/x', false],
  ['spiffe://x/ns/ml/sa/a/pod/ns/sidegate-system/sa/sidegate-controller/pod/1', false],
  ['', false],
])('%s: %s', (source, expected) => expect(isController(source)).toBe(expected));
