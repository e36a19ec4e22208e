import { describe, expect, it } from '@jest/globals';
import { defaultOptions, inject, istio } from '../../pkg/inject/index.ts';
import type { InjectOptions } from '../../pkg/inject/index.ts';
import { parseSettings, usage } from './settings.ts';

const base = ['--ports', '8000=17400:17430', '--uid', '61337', '--gid', '1500000000'];
const faults = (...flags: readonly string[]): readonly string[] => {
  const read = parseSettings(flags);
  return 'faults' in read ? read.faults : [];
};

describe('the flags of init', () => {
  it('say what the rules are to be', () => {
    expect(
      parseSettings([
        ...[
          '--ports',
          '8000=17400:17430,8001=17401:17431',
          '--uid',
          '61337',
          '--gid',
          '1500000000',
          '--sidecar-tcp',
          '17490-17491',
        ],
        ...['--helpers', '2000@8000=17460', '--allow-tcp', '15021,9000-9010', '--allow-udp', '53'],
        ...['--proxy-uids', '1337,2102', '--proxy-tcp', '15000', '--dialer-uid', '65534', '--dialer-tcp', '29500'],
      ]),
    ).toEqual({
      spec: {
        ports: [
          { model: 8000, tls: 17400, loopback: 17430 },
          { model: 8001, tls: 17401, loopback: 17431 },
        ],
        uid: 61337,
        gid: 1_500_000_000,
        sidecarTcp: [{ first: 17490, last: 17491 }],
        helpers: [{ uid: 2000, model: 8000, listener: 17460 }],
        openTcp: [
          { first: 9000, last: 9010 },
          { first: 15021, last: 15021 },
        ],
        openUdp: [{ first: 53, last: 53 }],
        proxyUids: [1337, 2102],
        proxyTcp: [{ first: 15000, last: 15000 }],
        dialerUid: 65534,
        dialerTcp: [{ first: 29500, last: 29500 }],
      },
    });
  });

  it('open nothing by default', () => {
    expect(parseSettings(base)).toMatchObject({
      spec: { openTcp: [], openUdp: [], helpers: [], proxyUids: [], proxyTcp: [], dialerUid: 0, dialerTcp: [] },
    });
  });

  it.each([
    ['8000'],
    ['8000=17400'],
    ['0=17400:17430'],
    ['8000=17400:65536'],
    ['8000=17400:17430,'],
    ['8000=17400:17430 ,8001=17401:17431'],
  ])('refuse --ports %s', (ports) => {
    expect(faults('--ports', ports, '--uid', '61337').join()).toContain('--ports cannot be read');
  });

  it.each([
    [['--uid', '61337', '--gid', '1', '--ports', ''], '--ports is missing'],
    [['--ports', '8000=17400:17430'], '--uid is missing'],
    [['--ports', '8000=17400:17430', '--uid', 'root'], '--uid must be a number'],
    [['--ports', '8000=17400:17430', '--uid', '4294967295'], '--uid must be a number'],
    [['--ports', '8000=17400:17430,8000=17401:17431', '--uid', '1', '--gid', '1'], '--ports names a model port twice'],
    [['--ports', '8000=17400:17400', '--uid', '1', '--gid', '1'], 'use a port for two things'],
    [['--ports', '8000=17400:8000', '--uid', '1', '--gid', '1'], 'use a port for two things'],
    [['--ports', '8000=17400:17430', '--uid', '61337'], '--gid is missing'],
    [[...base, '--helpers', '2000@9000=17460'], '--helpers names a port that --ports does not'],
    [[...base, '--helpers', '2000@8000=17430'], 'use a port for two things'],
    [[...base, '--helpers', '61337@8000=17460'], '--uid is the uid of somebody else too'],
    [[...base, '--helpers', '1337@8000=17460', '--proxy-uids', '1337'], '--helpers names the uid of'],
    [[...base, '--helpers', '65534@8000=17460', '--dialer-uid', '65534'], '--helpers names the uid of'],
    [[...base, '--proxy-uids', '61337'], '--uid is the uid of somebody else too'],
    [[...base, '--dialer-uid', '61337'], '--uid is the uid of somebody else too'],
    [[...base, '--allow-tcp', '7000-9000'], '--allow-tcp opens a governed port'],
    [[...base, '--allow-tcp', '17430'], 'opens a loopback listener to everybody'],
    [[...base, '--sidecar-tcp', '17400-17499'], 'opens a loopback listener to everybody'],
    [[...base, '--allow-tcp', 'all'], '--allow-tcp cannot be read'],
    [[...base, '--allow-udp', '0'], '--allow-udp cannot be read'],
    [[...base, '--proxy-uids', 'istio'], '--proxy-uids cannot be read'],
    [[...base, 'more'], 'more'],
  ])('%j: %s', (flags, fault) => {
    expect(faults(...flags).join('\n')).toContain(fault);
  });

  it('are faulted together', () => {
    expect(faults('--ports', 'x', '--uid', 'y', '--gid', '1', '--allow-tcp', 'z')).toHaveLength(3);
  });

  it('are all in the usage', () => {
    for (const flag of ['ports', 'uid', 'gid', 'helpers', 'allow-tcp', 'allow-udp', 'proxy-uids', 'dialer-tcp'])
      expect(usage).toContain(`--${flag} `);
  });
});

describe('the arguments that injection writes', () => {
  const options: InjectOptions = {
    ...defaultOptions,
    version: '0.1.0',
    image: 'sidegate/sidegate:0.1.0',
    controller: { url: 'https://controller.sidegate-system.svc', name: 'controller.sidegate-system.svc', ca: 'PEM' },
    meshes: [istio(['istio/proxyv2'])],
    helpers: [{ name: 'loader', images: ['ml/loader'], runAsUser: 2000 }],
    namespace: { name: 'ml', governed: true },
  };

  it('are read as they are meant', () => {
    const result = inject(
      {
        metadata: { labels: { 'sidegate.dev/inference': 'true' } },
        spec: {
          containers: [
            {
              name: 'model',
              image: 'a:1',
              ports: [{ containerPort: 8001 }, { containerPort: 8000 }],
              securityContext: { runAsUser: 0 },
            },
            { name: 'loader', image: 'ml/loader:1', securityContext: { runAsUser: 2000 } },
            { name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy'], securityContext: { runAsUser: 1337 } },
          ],
        },
      },
      options,
    );
    const args = result.kind === 'inject' ? result.pod.spec.initContainers?.[0]?.args : undefined;
    expect(args?.[0]).toBe('init');
    expect(parseSettings(args?.slice(1) ?? [])).toEqual({
      spec: {
        ports: [
          { model: 8000, tls: 17400, loopback: 17430 },
          { model: 8001, tls: 17401, loopback: 17431 },
        ],
        uid: 61337,
        gid: 61337,
        sidecarTcp: [{ first: 17490, last: 17491 }],
        helpers: [
          { uid: 2000, model: 8000, listener: 17460 },
          { uid: 2000, model: 8001, listener: 17461 },
        ],
        openTcp: [15006, 15008, 15020, 15021, 15090].reduce<{ first: number; last: number }[]>(
          (all, port) =>
            all.at(-1)?.last === port - 1
              ? [...all.slice(0, -1), { first: all.at(-1)?.first ?? port, last: port }]
              : [...all, { first: port, last: port }],
          [],
        ),
        openUdp: [],
        proxyUids: [1337],
        proxyTcp: [{ first: 15000, last: 15099 }],
        dialerUid: 0,
        dialerTcp: [
          { first: 29500, last: 29500 },
          { first: 30100, last: 31000 },
          { first: 32768, last: 65535 },
        ],
      },
    });
  });
});
