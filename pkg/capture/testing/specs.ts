// What two pods ask for: one with a single port, one with everything.
import { onePort } from '../index.ts';
import type { CaptureSpec } from '../index.ts';

export const plain: CaptureSpec = {
  ports: [{ model: 8000, tls: 17400, loopback: 17430 }],
  uid: 61337,
  gid: 1_500_000_000,
  sidecarTcp: [{ first: 17490, last: 17491 }],
  helpers: [],
  openTcp: [],
  openUdp: [],
  proxyUids: [],
  proxyTcp: [],
  dialerUid: 0,
  dialerTcp: [],
};

export const full: CaptureSpec = {
  ...plain,
  ports: [
    { model: 8000, tls: 17400, loopback: 17430 },
    { model: 8001, tls: 17401, loopback: 17431 },
    { model: 8002, tls: 17402, loopback: 17432 },
  ],
  helpers: [{ uid: 2000, model: 8000, listener: 17460 }],
  openTcp: [onePort(15006), onePort(15021)],
  openUdp: [onePort(15053), onePort(15054), onePort(9)],
  proxyUids: [1337, 2102],
  proxyTcp: [{ first: 15000, last: 15099 }],
  dialerTcp: [onePort(29500), { first: 32768, last: 65535 }],
};
