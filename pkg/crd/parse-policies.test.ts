import { describe, expect, test } from '@jest/globals';
import { cpuMs } from '../../test/support/cost.ts';
import fc from 'fast-check';
import { compileSnapshot } from '../core/index.ts';
import { formatFault, parsePolicies } from './parse-policies.ts';
import type { ParseOptions } from './parse-policies.ts';
import { faultySpecs } from './testing/faulty-specs.ts';

/** A policy whose spec is the given YAML, indented by two spaces. */
function resource(spec: string, more: { kind?: string; metadata?: string } = {}): string {
  const { kind = 'InferencePolicy', metadata = '{ name: p, namespace: ml }' } = more;
  const body = spec === '' ? ' {}' : `\n${spec.replace(/^/gm, '  ')}`;
  return `apiVersion: sidegate.dev/v1alpha1\nkind: ${kind}\nmetadata: ${metadata}\nspec:${body}\n`;
}
const idp = 'identity: { providers: [{ name: corp, oidc: { issuer: "https://idp.example.com", audiences: [a] } }] }';

function faults(text: string, options?: ParseOptions): readonly string[] {
  const parsed = parsePolicies(text, 'p.yaml', options);
  if (parsed.faults.length > 0) expect(parsed.policies).toEqual([]);
  return parsed.faults.map(formatFault);
}
const spec = (text: string, options?: ParseOptions): readonly string[] => faults(resource(text), options);
const one = (text: string) => {
  const parsed = parsePolicies(text, 'conf/p.yaml');
  expect(parsed.faults).toEqual([]);
  return parsed.policies[0]!;
};

describe('a fault names line, path and fix:', () => {
  test.each(faultySpecs)('%s', (_, text, message) => {
    expect(spec(text).join('\n')).toContain(message);
  });

  test('keys to which nothing can be sealed, of those that are spelt well', () => {
    const sealedTo = (key: string): readonly string[] =>
      spec(`audit: { content: Full, sealTo: "MCowBQYDK2VuAyEA${key}" }`);
    for (const none of ['A'.repeat(43), `AQ${'A'.repeat(41)}`])
      expect(sealedTo(`${none}=`).join()).toContain('spec.audit.sealTo: is a key to which nothing can be sealed');
    expect(sealedTo('nYfkQ1ohJqbQsbFCV4XRp6L4RE4aWgaq7xWyGkQ7ZlU=')).toEqual([]);
  });

  test('all faults of a document come together', () => {
    expect(spec('tls: { inbound: x }\nmode: y\naudit: { content: z }')).toHaveLength(3);
  });

  const documents: [string, string, string][] = [
    [
      'another apiVersion',
      'apiVersion: v1\nkind: InferencePolicy\nmetadata: { name: a }\nspec: {}',
      'p.yaml:1: apiVersion: "v1" is not known here: one of sidegate.dev/v1alpha1',
    ],
    ['another kind', resource('', { kind: 'Pod' }), 'p.yaml:2: kind: "Pod" is not known here'],
    ['a bad name', resource('', { metadata: '{ name: A_B }' }), 'metadata.name: "A_B" is not lower-case letters'],
    ['no name', resource('', { metadata: '{}' }), 'lacks the field "name"'],
    [
      'a cluster policy in a namespace',
      resource('', { kind: 'ClusterInferencePolicy' }),
      'has no namespace: remove it',
    ],
    [
      'the namespace that stands for the platform',
      resource('', { metadata: '{ name: a, namespace: cluster }' }),
      'its name stands for the platform',
    ],
    [
      'a platform credential for a pod’s model',
      resource('upstream: { credential: { secretRef: { name: a, key: b } } }', {
        kind: 'ClusterInferencePolicy',
        metadata: '{ name: a }',
      }),
      'of a ClusterInferencePolicy needs hosted beside it',
    ],
    [
      'one policy twice',
      `${resource('')}---\n${resource('')}`,
      'p.yaml:8: metadata.name: document 1 is the same policy',
    ],
    ['an empty file', '', 'p.yaml (document 1): the file holds no policy'],
    ['only comments', '# nothing\n---\n', 'holds no policy'],
    ['a list', '- a', 'must be fields (name: value), but is a list'],
    ['a duplicate key', 'a: 1\nb: 2\na: 3', 'p.yaml:3: this key stands twice'],
    ['an alias', 'a: &x 1\nb: *x', 'p.yaml:2: b: aliases (*name) are not allowed'],
    [
      'a bomb of aliases',
      `a: &a [x]\n${'bcdefgh'
        .split('')
        .map((name, at) => `${name}: &${name} [${`*${'abcdefgh'[at]},`.repeat(9)}]`)
        .join('\n')}`,
      'aliases (*name) are not allowed',
    ],
    ['a merge key', 'a: { <<: { b: 1 } }', 'merge keys (<<) are not allowed'],
    ['a tag', 'a: !!binary aGk=', 'tags (!name) are not allowed'],
    ['a key that is a number', '1: a', 'there is no such field'],
    ['a key that is a list', '[a]: b', 'is not YAML'],
    ['infinity', 'a: .inf', 'is not a value that JSON can hold'],
    ['deep nesting', '['.repeat(60_000), 'nested too deeply'],
    ['moderate nesting', `${'['.repeat(40)}${']'.repeat(40)}`, 'is nested too deeply'],
    ['a huge file', `a: ${'x'.repeat(1024 * 1024)}`, 'larger than 1 MiB'],
    ['broken YAML', 'a: [1', 'a bracket is not closed'],
    ['a text that does not end', 'a: "x', 'is not YAML'],
  ];
  test.each(documents)('%s', (_, text, message) => {
    expect(faults(text).join('\n')).toContain(message);
  });

  test('many keys cost in proportion', () => {
    const text = resource(`metadata2:\n${Array.from({ length: 20_000 }, (_, at) => `  k${at}: 1`).join('\n')}`);
    // Compared with each other they took 13 s.
    expect(cpuMs(() => faults(text), 1)).toBeLessThan(4_000);
  });

  test('a pattern that the checker refuses', () => {
    const checked: [string, number][] = [];
    const checkPattern = (pattern: string, maxLength: number) => {
      checked.push([pattern, maxLength]);
      return pattern === '(?=a)' ? 'lookahead is not RE2' : undefined;
    };
    const text = `guards: [{ name: g, direction: Request, match: { patterns: [ok, "(?=a)"] }, action: Block }]
classification: [{ label: l, patterns: [x], patternMaxLength: 9, otherwise: Mask }]`;
    expect(spec(text, { checkPattern })).toEqual([
      'p.yaml:5: spec.guards[0].match.patterns[1]: cannot be used: lookahead is not RE2',
    ]);
    expect(checked).toEqual([
      ['ok', 256],
      ['(?=a)', 256],
      ['x', 9],
    ]);
  });

  test.each([
    'upstream: { credential: { file: /var/run/secrets/token } }',
    'identity: { providers: [{ name: x, oidc: { issuer: "https://a", audiences: [a], caFile: /x } }] }',
    'identity: { providers: [{ name: x, oidc: { issuer: "http://127.0.0.1", audiences: [a], allowInsecureLoopback: true } }] }',
    'identity: { providers: [{ name: x, clientCertificate: { caFile: /x } }] }',
  ])('in a cluster, a file beside the process: %s', (text) => {
    expect(spec(text)).toEqual([]);
    expect(spec(text, { local: false }).join()).toContain('is only for a sidecar that runs on its own');
  });
});

describe('what is for a cluster alone', () => {
  const notices = (text: string, options: ParseOptions = { cluster: false }): readonly string[] =>
    parsePolicies(resource(text), 'p.yaml', options).notices.map(
      ({ policy, field, message }) => `${policy} ${field} ${message}`,
    );
  const issuer = 'issuer: "https://idp.example.com"';

  test.each([
    ['upstream: { credential: { secretRef: { name: key, key: k } } }', 'upstream.credential.secretRef', 'file'],
    [
      `identity: { providers: [{ name: p, oidc: { ${issuer}, audiences: [a], caSecretRef: { name: c, key: k } } }] }`,
      'identity.providers[0].oidc.caSecretRef',
      'caFile',
    ],
    [
      `identity: { providers: [{ name: p, serviceAccount: { ${issuer}, audiences: [a], caSecretRef: { name: c, key: k } } }] }`,
      'identity.providers[0].serviceAccount.caSecretRef',
      'caFile',
    ],
    [
      'identity: { providers: [{ name: p, clientCertificate: { caSecretRef: { name: c, key: k } } }] }',
      'identity.providers[0].clientCertificate.caSecretRef',
      'caFile',
    ],
  ])('a Secret is refused where there is none, and noticed in files: %s', (text, field, instead) => {
    const why = `a sidecar that runs on its own reads no Secrets: name a file by ${instead} in its place`;
    const [fault, ...others] = spec(text, { cluster: false });
    expect([fault, others]).toEqual([expect.stringContaining(`spec.${field}: ${why}`), []]);
    expect([spec(text), notices(text, {})]).toEqual([[], [`p ${field} ${why}`]]);
    expect([spec(text, { local: false }), notices(text, { local: false })]).toEqual([[], []]);
  });

  test.each([
    ['upstream: { ports: [{ containerPort: 1, protocol: TLS, caSecretRef: { name: c, key: k } }] }', 'upstream.ports'],
    ['upstream: { hosted: { url: "https://api.example.com" } }', 'upstream.hosted.url'],
    ['approvals: { approvers: [{ kubernetesGroup: g }] }', 'approvals.approvers[0].kubernetesGroup'],
    [
      'identity: { providers: [{ name: p, serviceAccount: { audiences: [a] } }] }',
      'identity.providers[0].serviceAccount',
    ],
  ])('what is done without is noticed: %s', (text, field) => {
    expect(spec(text, { cluster: false })).toEqual([]);
    for (const options of [{ cluster: false }, {}])
      expect(notices(text, options)).toEqual([
        expect.stringMatching(`^p ${field.replace(/[[\].]/g, '\\$&')} .*sidecar that runs on its own`),
      ]);
  });

  test('nothing else is', () => {
    const files = `upstream: { credential: { file: k } }
identity: { providers: [{ name: p, serviceAccount: { ${issuer}, audiences: [a], caFile: c } }, { name: q, clientCertificate: { caFile: c } }] }`;
    expect([spec(files, { cluster: false }), notices(files)]).toEqual([[], []]);
  });
});

describe('a certificate from a Secret', () => {
  const text = 'tls: { certificate: { secretName: my-pki } }';

  test('is a certificate in a cluster', () => {
    expect(spec(text, { local: false })).toEqual([]);
    expect(spec(text)).toEqual([]);
  });

  test('is refused where there are no Secrets, with what to do instead', () => {
    const [fault, ...others] = spec(text, { cluster: false });
    expect(fault).toMatch(/spec\.tls\.certificate\.secretName: .*--tls-cert and --tls-key/);
    expect(others).toEqual([]);
    expect(spec('tls: { certificate: { issuer: Sidegate } }', { cluster: false })).toEqual([]);
  });
});

describe('a policy is read', () => {
  test('with nothing but a name into one that says nothing', () => {
    expect(
      one('apiVersion: sidegate.dev/v1alpha1\nkind: InferencePolicy\nmetadata: { name: p }\nspec: {}'),
    ).toMatchObject({
      kind: 'InferencePolicy',
      name: 'p',
      namespace: 'default',
      generation: 1,
      createdAt: 0,
      spec: {
        mode: 'Enforce',
        profile: undefined,
        tls: undefined,
        upstream: undefined,
        audit: undefined,
        requestLimits: undefined,
        access: [],
        providers: [],
      },
    });
  });

  test('with what Kubernetes wrote into it', () => {
    const metadata =
      '{ name: p, namespace: ml, uid: u-1, generation: 4, creationTimestamp: "2026-11-21T00:00:00Z", resourceVersion: "9", labels: { a: b }, managedFields: [{ x: 1 }] }';
    expect(one(`${resource('', { metadata })}status: { conditions: [] }\n`)).toMatchObject({
      uid: 'u-1',
      generation: 4,
      createdAt: Date.UTC(2026, 10, 21),
    });
  });

  test('from JSON too', () => {
    const json = JSON.stringify({
      apiVersion: 'sidegate.dev/v1alpha1',
      kind: 'ClusterInferencePolicy',
      metadata: { name: 'c' },
      spec: {},
    });
    expect(one(json)).toMatchObject({ kind: 'ClusterInferencePolicy', namespace: undefined });
  });

  test('from several documents, empty ones between', () => {
    const text = `---\n${resource('')}---\n---\n${resource('', { kind: 'ClusterInferencePolicy', metadata: '{ name: c }' })}`;
    expect(parsePolicies(text, 'f').policies.map((policy) => policy.name)).toEqual(['p', 'c']);
  });

  test('with the defaults of a provider', () => {
    const { providers } = one(
      resource(`identity:
  providers:
  - { name: a, oidc: { issuer: "https://a", audiences: [x] }, kubernetesUser: { claim: email } }
  - { name: b, serviceAccount: { audiences: [x] } }
  - { name: c, clientCertificate: { caFile: ca.pem } }`),
    ).spec;
    expect(providers).toEqual([
      {
        name: 'a',
        serviceAccount: undefined,
        clientCertificate: undefined,
        kubernetesUser: { claim: 'email', prefix: '' },
        oidc: {
          issuer: 'https://a',
          audiences: ['x'],
          groupsClaim: 'groups',
          scopesClaim: undefined,
          subjectClaim: 'sub',
          clockSkewMs: 30_000,
          jwksUri: undefined,
          ca: undefined,
          algorithms: [],
          allowInsecureLoopback: false,
        },
      },
      {
        name: 'b',
        oidc: undefined,
        clientCertificate: undefined,
        kubernetesUser: undefined,
        serviceAccount: {
          issuer: undefined,
          audiences: ['x'],
          jwksUri: undefined,
          ca: undefined,
          allowInsecureLoopback: false,
        },
      },
      {
        name: 'c',
        oidc: undefined,
        serviceAccount: undefined,
        kubernetesUser: undefined,
        clientCertificate: {
          ca: { kind: 'File', path: 'conf/ca.pem' },
          subjectFrom: 'Auto',
          groupsFrom: 'OrganizationalUnit',
        },
      },
    ]);
  });

  test('with the authorities of issuers: a file, or a Secret of its namespace, or of the platform', () => {
    const text = (from: string) =>
      `identity: { providers: [{ name: a, oidc: { issuer: "https://a", audiences: [x], ${from} } }, { name: b, serviceAccount: { issuer: "https://b", audiences: [x], ${from} } }] }`;
    const read = (from: string, more = {}) =>
      one(resource(text(from), more)).spec.providers.map(({ oidc, serviceAccount }) => (oidc ?? serviceAccount)?.ca);
    const file = { kind: 'File', path: 'conf/ca.pem' };
    expect(read('caFile: ca.pem')).toEqual([file, file]);
    const secret = { kind: 'Secret', namespace: 'ml', name: 'n', key: 'k' };
    const from = 'caSecretRef: { name: n, key: k }';
    expect(read(from, { metadata: '{ name: p, namespace: ml }' })).toEqual([secret, secret]);
    const platform = { ...secret, namespace: undefined };
    const cluster = { kind: 'ClusterInferencePolicy', metadata: '{ name: c }' };
    expect(read(from, cluster)).toEqual([platform, platform]);
    expect(spec(text(`caFile: ca.pem, ${from}`)).join()).toContain('only one of them can stand here');
  });

  const bearer = { kind: 'Header', header: 'authorization', prefix: 'Bearer ' };
  test.each([
    ['{ file: k }', { source: { kind: 'File', path: 'conf/k' }, use: bearer }],
    [
      '{ file: /etc/k, header: X-Api-Key }',
      { source: { kind: 'File', path: '/etc/k' }, use: { kind: 'Header', header: 'x-api-key', prefix: '' } },
    ],
    [
      '{ secretRef: { name: n, key: k }, prefix: "Token " }',
      {
        source: { kind: 'Secret', namespace: 'ml', name: 'n', key: 'k' },
        use: { ...bearer, prefix: 'Token ' },
      },
    ],
    ['{ file: /k, query: key }', { source: { kind: 'File', path: '/k' }, use: { kind: 'Query', parameter: 'key' } }],
    [
      '{ file: /k, sigV4: { region: eu-central-1, service: bedrock } }',
      { source: { kind: 'File', path: '/k' }, use: { kind: 'SigV4', region: 'eu-central-1', service: 'bedrock' } },
    ],
    [
      '{ file: /k, oauth: { tokenUrl: "https://idp.example/token", clientId: c, scopes: [a, b] } }',
      {
        source: { kind: 'File', path: '/k' },
        use: {
          kind: 'OAuth',
          tokenUrl: 'https://idp.example/token',
          clientId: 'c',
          scopes: ['a', 'b'],
          audience: undefined,
          shown: bearer,
        },
      },
    ],
    [
      '{ file: /k, header: x-key, oauth: { tokenUrl: "http://127.0.0.1:1/t", clientId: c, audience: m } }',
      {
        source: { kind: 'File', path: '/k' },
        use: {
          kind: 'OAuth',
          tokenUrl: 'http://127.0.0.1:1/t',
          clientId: 'c',
          scopes: [],
          audience: 'm',
          shown: { kind: 'Header', header: 'x-key', prefix: '' },
        },
      },
    ],
  ])('with the credential %s', (text, expected) => {
    expect(one(resource(`upstream: { credential: ${text} }`)).spec.upstream?.credential).toEqual(expected);
  });

  test('with origins as browsers spell them', () => {
    const origins =
      'https://a.example, https://a.example:8443, https://b.example:443, "http://localhost:80", "http://[::1]:5173"';
    expect(one(resource(`cors: { origins: [${origins}], maxAge: 10m }`)).spec.cors).toEqual({
      origins: [
        'https://a.example',
        'https://a.example:8443',
        'https://b.example',
        'http://localhost',
        'http://[::1]:5173',
      ],
      maxAgeMs: 600_000,
    });
    expect(one(resource('cors: { origins: [] }')).spec.cors).toEqual({ origins: [], maxAgeMs: undefined });
    expect(one(resource('mode: Enforce')).spec.cors).toBeUndefined();
  });

  test('with durations and sizes in every unit', () => {
    const limits = (text: string) => one(resource(`requestLimits: { ${text} }`)).spec.requestLimits;
    expect(limits('maxBodyBytes: 512, bodyTimeout: 300ms')).toEqual({
      maxBodyBytes: 512,
      bodyTimeoutMs: 300,
      upstreamIdleMs: undefined,
    });
    expect(limits('maxBodyBytes: "512", bodyTimeout: 30s')).toMatchObject({ maxBodyBytes: 512, bodyTimeoutMs: 30_000 });
    expect(limits('maxBodyBytes: 1Mi, bodyTimeout: 2m')).toMatchObject({
      maxBodyBytes: 1_048_576,
      bodyTimeoutMs: 120_000,
    });
    expect(limits('maxBodyBytes: 1MB, bodyTimeout: 24h')).toMatchObject({
      maxBodyBytes: 1_000_000,
      bodyTimeoutMs: 86_400_000,
    });
    expect(limits('maxBodyBytes: 4Ki, upstreamIdle: 1h')).toMatchObject({
      maxBodyBytes: 4096,
      upstreamIdleMs: 3_600_000,
    });
  });

  test('with rules of every kind', () => {
    const { spec: read } = one(
      resource(`${idp}
access: [{ name: a, effect: Allow, subjects: [{ group: g, provider: corp }], models: ["m*"], limits: { tokensPerMinute: 5 }, tokenInput: Allow }]
guards: [{ name: g, direction: Response, match: { detectors: [Pii], certainty: Certain, certaintyOf: [{ detector: Phone, certainty: Possible }], allow: { sets: [TestCards] }, patterns: [x], words: [w] }, action: Mask, replacement: { style: Partial } }]
classification: [{ label: l, fields: ["**.x"], patterns: [y], patternMaxLength: 9, visibleTo: [{ scope: s }], otherwise: Mask, replacement: { style: Constant, text: "#" } }]
approvals: { approvers: [{ group: leads }, { kubernetesUser: ana }], timeout: 3m }
analyzers: [{ name: n, url: "https://a/x" }]
responseLimits: [{ subjects: [{ anyone: true }], maxBytes: 1Mi, cadence: { every: 100ms } }]`),
    );
    expect(read.access[0]).toMatchObject({
      subjects: [{ anyone: false, group: 'g', provider: 'corp' }],
      limits: { tokensPerMinute: 5, requestsPerMinute: undefined },
      tokenInput: 'Allow',
    });
    expect(read.guards[0]).toMatchObject({
      subjects: [],
      match: {
        detectors: ['Pii'],
        patterns: [{ pattern: 'x', maxLength: 256 }],
        words: ['w'],
        certainty: 'Certain',
        certaintyOf: [{ detector: 'Phone', certainty: 'Possible' }],
        allow: { sets: ['TestCards'], values: [] },
      },
      replacement: { style: 'Partial', keep: 4 },
    });
    expect(read.classification[0]).toMatchObject({
      fields: ['**.x'],
      match: { patterns: [{ pattern: 'y', maxLength: 9 }] },
      visibleTo: [{ scope: 's' }],
      replacement: { style: 'Constant', text: '#' },
    });
    // What nobody said is not there: older sidecars hash policies as they come.
    expect(Object.keys(read.classification[0]?.match ?? {})).toEqual(['detectors', 'patterns', 'words']);
    expect(read.approvals).toMatchObject({
      approvers: [
        { group: 'leads', kubernetesUser: undefined },
        { kubernetesUser: 'ana', group: undefined },
      ],
      timeoutMs: 180_000,
      required: undefined,
    });
    expect(read.analyzers).toEqual([{ name: 'n', url: 'https://a/x', timeoutMs: 300, failureMode: 'Deny' }]);
    expect(read.responseLimits[0]).toMatchObject({ maxBytes: 1_048_576, cadenceMs: 100, maxDurationMs: undefined });
  });

  test('a key named __proto__ is only a key', () => {
    expect(faults(resource('__proto__: { mode: Observe }')).join()).toContain('there is no such field');
    const policy = one(resource('selector: { matchLabels: { __proto__: x } }'));
    expect(Object.getPrototypeOf(policy.spec.selector.matchLabels)).not.toBe('x');
  });
});

describe('the parser never throws', () => {
  const survives = (text: string): void => {
    const parsed = parsePolicies(text, 'f.yaml');
    if (parsed.policies.length === 0) expect(parsed.faults.length).toBeGreaterThan(0);
    else expect(() => compileSnapshot(parsed.policies.slice(0, 1), { revision: 1 })).not.toThrow();
  };

  test('on any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), survives), { numRuns: 1000 });
  });

  test('on text that looks like YAML', () => {
    const bits = fc.constantFrom(
      'a',
      ': ',
      '- ',
      '\n',
      '  ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '"',
      "'",
      '|',
      '>',
      '&a',
      '*a',
      '<<',
      '!!',
      '---\n',
      '%YAML 1.1\n',
      '? ',
      '#',
      '\t',
      '~',
      'true',
      '1e9',
      '...',
      '@',
      '`',
      '\u0000',
      '\ufeff',
    );
    fc.assert(
      fc.property(fc.array(bits, { maxLength: 40 }), (parts) => survives(parts.join(''))),
      { numRuns: 2000 },
    );
  });

  test('on any JSON', () => {
    fc.assert(fc.property(fc.json(), survives), { numRuns: 500 });
  });

  test('on policies with any value in any place', () => {
    const fields = [
      'selector',
      'namespaceSelector',
      'mode',
      'profile',
      'upstream',
      'tls',
      'identity',
      'access',
      'guards',
      'classification',
      'analyzers',
      'approvals',
      'requestLimits',
      'cors',
      'maxPolicyAge',
      'responseLimits',
      'onUnknown',
      'audit',
    ];
    const words = fc.constantFrom<string | number | boolean | null>(
      'name',
      'a',
      'Allow',
      'Mask',
      'Request',
      'https://a',
      '1Mi',
      '1s',
      '$.a',
      true,
      1,
      0,
      -1,
      null,
    );
    const keys = fc.constantFrom(
      'name',
      'effect',
      'subjects',
      'anyone',
      'group',
      'direction',
      'match',
      'detectors',
      'patterns',
      'action',
      'label',
      'otherwise',
      'providers',
      'oidc',
      'issuer',
      'audiences',
      'ports',
      'credential',
      'file',
      'matchLabels',
      '__proto__',
      'constructor',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        words,
        fc.array(tie('any'), { maxLength: 2 }),
        fc.dictionary(keys, tie('any'), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 4 }), (some) =>
        survives(
          JSON.stringify({
            apiVersion: 'sidegate.dev/v1alpha1',
            kind: 'InferencePolicy',
            metadata: { name: 'p' },
            spec: some,
          }),
        ),
      ),
      { numRuns: 1500 },
    );
  });
});
