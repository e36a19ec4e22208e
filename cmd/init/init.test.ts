import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { podAddresses, TestPod } from './testing/pod.ts';
import type { Peer, Ran } from './testing/pod.ts';

const main = join(import.meta.dirname, 'main.ts');
const init = (pod: TestPod, flags: readonly string[], capabilities?: string): Ran =>
  pod.run([process.execPath, main, ...flags], capabilities);

/** The sidecar's, as injection draws one. */
const gid = 1_500_000_000;
const base = [
  '--ports',
  '8000=17400:17430,8001=17401:17431',
  '--uid',
  '61337',
  '--gid',
  `${gid}`,
  '--sidecar-tcp',
  '17490-17491',
];

/** The pod's processes: who listens says who it is. */
interface World {
  readonly pod: TestPod;
  readonly outside: Peer;
  readonly root: Peer;
  readonly runtime: Peer;
  readonly sidecar: Peer;
  readonly model: Peer;
  readonly mesh: Peer;
  readonly helper: Peer;
  /** With the sidecar's uid and not its gid, as an image may name it. */
  readonly user: Peer;
  /** The reverse. */
  readonly group: Peer;
}

async function world(): Promise<World> {
  const pod = await TestPod.start();
  const [root, model, mesh, helper] = [0, 1_000, 1_337, 2_000].map((uid) => pod.inside(uid));
  if (!root || !model || !mesh || !helper) throw new Error('a peer is missing');
  const [sidecar, user, group] = [pod.inside(61_337, gid), pod.inside(61_337), pod.inside(0, gid)];
  for (const port of [8_000, 8_001, 9_000, 9_001, 15_021, 29_500, 45_000])
    await model.do({ do: 'listen', port, say: `model ${port}` });
  for (const port of [17_400, 17_401, 17_430, 17_431, 17_460, 17_490, 17_491])
    await sidecar.do({ do: 'listen', port, say: `sidecar ${port}` });
  for (const port of [9_000, 9_001, 8_000]) await model.do({ do: 'bind', port, say: `udp ${port}` });
  return { pod, outside: pod.outside(), runtime: pod.runtime(), root, sidecar, model, mesh, helper, user, group };
}

/** [who, where, port, what it gets]; `loopback` and `pod` are addresses of the family. */
type Row = readonly [Exclude<keyof World, 'pod'>, 'pod' | 'loopback', number, string];

const closed = 'ECONNREFUSED';
const dropped = 'ETIMEDOUT';
/** Where nothing is to come, it is listened for so long. */
const silence = (gets: string): { readonly ms?: number } => (gets === dropped ? { ms: 1_000 } : {});

const rows: readonly Row[] = [
  ['outside', 'pod', 8_000, 'sidecar 17400'],
  ['outside', 'pod', 8_001, 'sidecar 17401'],
  ['outside', 'pod', 17_400, 'sidecar 17400'],
  ['outside', 'pod', 17_490, 'sidecar 17490'],
  ['outside', 'pod', 17_491, 'sidecar 17491'],
  ['outside', 'pod', 17_430, dropped], // plain HTTP is for the pod itself
  ['outside', 'pod', 17_460, dropped],
  ['outside', 'pod', 9_000, dropped],
  ['outside', 'pod', 9_001, 'model 9001'], // declared
  ['outside', 'pod', 45_000, dropped],
  ['root', 'loopback', 8_000, 'sidecar 17430'],
  ['root', 'pod', 8_000, 'sidecar 17430'],
  ['root', 'loopback', 8_001, 'sidecar 17431'],
  ['runtime', 'loopback', 9_000, closed], // port-forward to an undeclared port
  ['runtime', 'loopback', 8_000, 'sidecar 17430'], // and to the model's
  ['root', 'loopback', 9_000, closed],
  ['root', 'pod', 9_000, closed],
  ['root', 'loopback', 9_001, 'model 9001'],
  ['root', 'loopback', 29_500, closed],
  ['root', 'loopback', 45_000, 'model 45000'], // --dialer-tcp
  ['root', 'loopback', 17_400, 'sidecar 17400'],
  ['root', 'loopback', 17_460, closed], // a helper's
  ['model', 'loopback', 8_000, 'sidecar 17430'],
  ['model', 'pod', 8_000, 'sidecar 17430'],
  ['model', 'loopback', 9_000, 'model 9000'], // the model's own business
  ['model', 'loopback', 17_460, closed],
  ['mesh', 'loopback', 8_000, 'sidecar 17430'],
  ['mesh', 'pod', 8_000, 'sidecar 17430'],
  ['mesh', 'loopback', 9_000, closed], // it may come from outside
  ['mesh', 'loopback', 45_000, closed],
  ['mesh', 'loopback', 15_021, 'model 15021'], // --proxy-tcp
  ['helper', 'loopback', 8_000, 'sidecar 17460'],
  ['helper', 'pod', 8_000, 'sidecar 17460'],
  ['helper', 'loopback', 8_001, 'sidecar 17431'],
  ['helper', 'loopback', 17_460, 'sidecar 17460'],
  ['user', 'loopback', 8_000, 'sidecar 17430'],
  ['user', 'pod', 8_000, 'sidecar 17430'],
  ['user', 'loopback', 17_460, closed],
  ['group', 'loopback', 8_000, 'sidecar 17430'],
  ['group', 'pod', 8_000, 'sidecar 17430'],
  ['sidecar', 'loopback', 8_000, 'model 8000'],
  ['sidecar', 'pod', 8_000, 'model 8000'],
  ['sidecar', 'loopback', 8_001, 'model 8001'],
  ['sidecar', 'loopback', 9_000, 'model 9000'],
];

describe('in a pod whose rules are set', () => {
  let all: World;
  beforeAll(async () => {
    all = await world();
    // Set before the sidecar listens in a pod; here its ports are taken, so that the check would meet other listeners.
    const clean = await TestPod.start();
    try {
      const flags = [
        ...[...base, '--helpers', '2000@8000=17460', '--allow-tcp', '9001', '--allow-udp', '9001'],
        ...['--proxy-uids', '1337', '--proxy-tcp', '15000-15099', '--dialer-tcp', '45000'],
      ];
      const ran = init(clean, flags, '+net_admin');
      expect(ran).toEqual({ status: 0, stdout: 'the rules hold: ports 8000, 8001 are governed\n', stderr: '' });
      const table = clean.run(['nft', 'list', 'table', 'inet', 'sidegate']).stdout;
      expect(all.pod.run(['nft', '-f', '-'], undefined, table).status).toBe(0);
    } finally {
      await clean.stop();
    }
  });
  afterAll(() => all?.pod.stop());

  describe.each(['IPv4', 'IPv6'] as const)('over %s', (family) => {
    it.each(rows)('%s dials %s port %i and gets %s', async (who, where, port, gets) => {
      const host = where === 'pod' ? podAddresses[family] : family === 'IPv4' ? '127.0.0.1' : '::1';
      expect(await all[who].dial(host, port, silence(gets).ms)).toBe(gets);
    });

    it.each([
      [9_000, dropped],
      [8_000, dropped],
      [9_001, 'udp 9001'],
    ])('a datagram from outside to port %i gets %s', async (port, gets) => {
      expect(await all.outside.do({ do: 'send', host: podAddresses[family], port, ...silence(gets) })).toBe(gets);
    });

    it('the pod itself reaches others and gets their answers', async () => {
      const host = family === 'IPv4' ? '10.77.0.1' : 'fd77::1';
      const port = family === 'IPv4' ? 8_000 : 8_002;
      await all.outside.do({ do: 'listen', port, say: 'outside' });
      await all.outside.do({ do: 'bind', port: port + 2, say: 'udp outside' });
      expect(await all.model.dial(host, port)).toBe('outside');
      expect(await all.model.do({ do: 'send', host, port: port + 2 })).toBe('udp outside');
    });
  });
});

describe('where a mesh redirects first', () => {
  it('its proxy gets what comes from outside, and reaches only the loopback listener', async () => {
    const { pod, outside, mesh } = await world();
    try {
      await mesh.do({ do: 'listen', port: 15_006, say: 'mesh 15006' });
      const meshRules =
        'table ip mesh {\nchain p {\ntype nat hook prerouting priority -100;\ntcp dport != 8001 redirect to :15006\n}\n}\n';
      const rules = await rulesOf([...base, '--allow-tcp', '15006', '--proxy-uids', '1337']);
      // Whichever was set last.
      for (const order of [meshRules + rules, `delete table ip mesh\n${meshRules}`]) {
        expect(pod.run(['nft', '-f', '-'], undefined, order).status).toBe(0);
        expect(await outside.dial(podAddresses.IPv4, 8_000)).toBe('mesh 15006');
        expect(await outside.dial(podAddresses.IPv4, 8_001)).toBe('sidecar 17401');
        expect(await mesh.dial('127.0.0.1', 8_000)).toBe('sidecar 17430');
      }
    } finally {
      await pod.stop();
    }
  });
});

describe('in a pod with a user namespace of its own', () => {
  it('the runtime dials as nobody, and is told from the root of the pod', async () => {
    const pod = await TestPod.start(false);
    try {
      // There are no more ids in it.
      const own = base.map((flag) => (flag === `${gid}` ? '30000' : flag));
      expect(init(pod, [...own, '--dialer-uid', '65534'], '+net_admin')).toMatchObject({ status: 0, stderr: '' });
      const [root, sidecar, runtime] = [pod.inside(0), pod.inside(61_337, 30_000), pod.runtime()];
      for (const port of [8_000, 9_000]) await root.do({ do: 'listen', port, say: `model ${port}` });
      await sidecar.do({ do: 'listen', port: 17_430, say: 'sidecar 17430' });
      expect(await runtime.dial('127.0.0.1', 9_000)).toBe(closed);
      expect(await runtime.dial('::1', 9_000)).toBe(closed);
      expect(await runtime.dial('127.0.0.1', 8_000)).toBe('sidecar 17430');
      expect(await root.dial('127.0.0.1', 9_000)).toBe('model 9000');
      expect(await root.dial('127.0.0.1', 8_000)).toBe('sidecar 17430');
      expect(await sidecar.dial('127.0.0.1', 8_000)).toBe('model 8000');
    } finally {
      await pod.stop();
    }
  });
});

/** The rules that `init` sets for these flags, as a ruleset that may be loaded elsewhere. */
async function rulesOf(flags: readonly string[]): Promise<string> {
  const clean = await TestPod.start();
  try {
    expect(init(clean, flags)).toMatchObject({ status: 0, stderr: '' });
    const table = clean.run(['nft', 'list', 'table', 'inet', 'sidegate']).stdout;
    return `add table inet sidegate\ndelete table inet sidegate\n${table}`;
  } finally {
    await clean.stop();
  }
}

describe('init', () => {
  let pod: TestPod;
  beforeAll(async () => {
    pod = await TestPod.start();
  });
  afterAll(() => pod?.stop());

  it('may run again', () => {
    expect(init(pod, base).status).toBe(0);
    expect(init(pod, base).status).toBe(0);
  });

  it('fails the pod when it may not set rules, and says what to do', () => {
    const ran = init(pod, base, '+net_bind_service');
    expect(ran.status).toBe(1);
    expect(ran.stderr).toMatch(/^sidegate-init: nft may not set rules here: .*NET_ADMIN.*NamedPort/);
  });

  it('fails the pod when nft is missing, and says what to do', () => {
    const ran = pod.run(['env', 'PATH=/nowhere', process.execPath, main, ...base]);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toBe(
      'sidegate-init: nft is not in this image: use the Sidegate image, or add nftables to yours\n',
    );
  });

  it('fails the pod when something redirects governed ports on loopback before it', () => {
    const rules =
      'table inet rival {\nchain o {\ntype nat hook output priority -150;\ntcp dport 8000 redirect to :9999\n}\n}\n';
    expect(pod.run(['nft', '-f', '-'], undefined, rules).status).toBe(0);
    const ran = init(pod, base);
    pod.run(['nft', 'delete', 'table', 'inet', 'rival']);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toMatch(/the rules are set and do not hold: 127\.0\.0\.1 port 8000 is not redirected to 17430/);
    expect(ran.stderr).toContain('10.77.0.2 port 8000');
    expect(ran.stderr).toContain('::1 port 8000');
    expect(ran.stderr).toContain('fd77::2 port 8000');
  });

  it('fails the pod when something sends its canary elsewhere', () => {
    // Accepted by no rule of ours, and taken out of the chain's sight: the reset does not come.
    const rules = 'table inet rival {\nchain o {\ntype filter hook output priority -200;\ntcp dport 65535 drop\n}\n}\n';
    expect(pod.run(['nft', '-f', '-'], undefined, rules).status).toBe(0);
    const ran = init(pod, base);
    pod.run(['nft', 'delete', 'table', 'inet', 'rival']);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain(
      'an undeclared port on loopback is not refused (IPv4, tried on port 65535): ETIMEDOUT',
    );
  });

  it('takes no harm from a pod without IPv6', async () => {
    const without = await TestPod.start();
    try {
      without.run(['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
      expect(init(without, base)).toMatchObject({ status: 0, stderr: '' });
    } finally {
      await without.stop();
    }
  });

  it.each([
    [[], /--uid is missing: uid of the sidecar/],
    [['--ports', '8000'], /--ports cannot be read/],
    [[...base, '--nonsense'], /nonsense/],
  ])('exits with 2 and the usage when its flags are %j', (flags, says) => {
    const ran = init(pod, flags);
    expect(ran.status).toBe(2);
    expect(ran.stderr).toMatch(says);
    expect(ran.stderr).toContain('init: sets the pod');
  });

  it('prints its flags when asked', () => {
    expect(init(pod, ['--help'])).toMatchObject({ status: 0, stderr: '' });
  });
});
