import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { faultySpecs } from '../../pkg/crd/testing/faulty-specs.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import type { KubeAnswer } from '../cluster/kube-client.ts';
import { causesOf, installDefinitions, rulesOf, saidOf } from './custom-resources.ts';

// What a policy may say, by the word of the API server that would store it.

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await server.namespace('ml');
  await installDefinitions(server);
}, 200_000);
afterAll(() => server.stop());

type Kind = 'InferencePolicy' | 'ClusterInferencePolicy';
const paths: Readonly<Record<Kind, string>> = {
  InferencePolicy: '/apis/sidegate.dev/v1alpha1/namespaces/ml/inferencepolicies',
  ClusterInferencePolicy: '/apis/sidegate.dev/v1alpha1/clusterinferencepolicies',
};

/** Asks the server without storing anything; unknown fields are refused, as kubectl asks for. */
const ask = (spec: unknown, kind: Kind = 'InferencePolicy'): Promise<KubeAnswer> =>
  server.client.request('POST', `${paths[kind]}?dryRun=All&fieldValidation=Strict`, {
    apiVersion: 'sidegate.dev/v1alpha1',
    kind,
    metadata: { name: 'p' },
    spec,
  });

const access = (fields: string): string =>
  `access: [{ name: a, effect: Allow, subjects: [{ anyone: true }], ${fields} }]`;
const guard = (fields: string): string => `guards: [{ name: g, direction: Request, match: { words: [a] }, ${fields} }]`;
const label = (fields: string): string => `classification: [{ label: l, otherwise: Mask, ${fields} }]`;
const provider = (fields: string): string => `identity: { providers: [{ name: x, ${fields} }] }`;
const certificate = 'clientCertificate: { caSecretRef: { name: ca, key: ca.crt } }';
const limit = (fields: string): string => `responseLimits: [{ subjects: [{ anyone: true }], ${fields} }]`;
const re2 = ['(?=a)', '(?<!a)b', '(a)\\\\1', '(', '[z-a]', 'a{2000}', 'a++'];
const httpsOnly = [
  'http://idp.example.com',
  'http://127.0.0.1',
  'https://u:p@a',
  'https://a?b=c',
  'https://a#b',
  'https://',
  'https:///x',
  'ftp://a',
  'https://a b',
];

const publicKey = 'MCowBQYDK2VuAyEAnYfkQ1ohJqbQsbFCV4XRp6L4RE4aWgaq7xWyGkQ7ZlU=';

const credentialOf = (more: string): string =>
  `upstream: { hosted: { url: "https://a" }, credential: { secretRef: { name: a, key: b }, ${more} } }`;

/** Field, part of the rule's message, specs that break it. */
const broken: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'spec.guards',
    'a guard has the name of an access rule',
    [`${access('models: []')}\n${guard('action: Block').replace('name: g', 'name: a')}`],
  ],
  [
    'spec.classification',
    'a label is the name of an access rule',
    [`${access('models: []')}\n${label('words: [w]').replace('label: l', 'label: a')}`],
  ],
  [
    'spec.classification',
    'a label is the name of a guard',
    [`${guard('action: Block')}\n${label('words: [w]').replace('label: l', 'label: g')}`],
  ],
  ...(['selector', 'namespaceSelector'] as const).map(
    (name) =>
      [
        `spec.${name}.matchExpressions[].values`,
        'In and NotIn need at least one value',
        [
          'operator: In',
          'operator: NotIn, values: []',
          'operator: Exists, values: [a]',
          'operator: DoesNotExist, values: [a]',
        ].map((text) => `${name}: { matchExpressions: [{ key: a, ${text} }] }`),
      ] as const,
  ),
  [
    'spec.upstream',
    'only one of ports, hosted can stand here',
    ['upstream: { ports: [], hosted: { url: "https://a" } }'],
  ],
  [
    'spec.upstream.ports[].caSecretRef',
    'needs protocol: TLS',
    ['upstream: { ports: [{ containerPort: 1, caSecretRef: { name: a, key: b } }] }'],
  ],
  [
    'spec.upstream.ports[].serverName',
    'needs protocol: TLS',
    ['upstream: { ports: [{ containerPort: 1, serverName: a, protocol: H2C }] }'],
  ],
  [
    'spec.upstream.hosted.url',
    'plain http only on a loopback address',
    ['http://a.example.com', 'http://127.0.0.1.evil.com', 'http://localhost@evil.com', 'https://u:p@a'].map(
      (url) => `upstream: { hosted: { url: ${JSON.stringify(url)} } }`,
    ),
  ],
  [
    'spec.upstream.credential.header',
    'belongs to HTTP itself',
    ['Transfer-Encoding', 'HOST', 'sidegate-receipt', 'Sidegate-X'].map(
      (name) =>
        `upstream: { hosted: { url: "https://a" }, credential: { secretRef: { name: a, key: b }, header: ${name} } }`,
    ),
  ],
  [
    'spec.upstream.hosted.identityHeaders[].header',
    'belongs to HTTP itself, to Sidegate or to a credential',
    ['Host', 'AUTHORIZATION', 'x-api-key', 'Sidegate-X', 'x-amz-date'].map(
      (header) =>
        `upstream: { hosted: { url: "https://a", identityHeaders: [{ header: ${header}, value: Subject }] } }`,
    ),
  ],
  [
    'spec.upstream.credential',
    'only one of header, query, sigV4 can stand here',
    [credentialOf('header: x, query: key'), credentialOf('header: x, sigV4: { region: a, service: b }')],
  ],
  [
    'spec.upstream.credential',
    'only one of query, sigV4, oauth can stand here',
    [credentialOf('query: x, oauth: { tokenUrl: "https://a", clientId: c }')],
  ],
  ['spec.upstream.credential.prefix', 'stands before a key in a header', [credentialOf('query: x, prefix: y')]],
  [
    'spec.upstream.credential.oauth.tokenUrl',
    'plain http only on a loopback address',
    [credentialOf('oauth: { tokenUrl: "http://a.example.com", clientId: c }')],
  ],
  [
    'spec.tls.certificate',
    'needs exactly one of issuer, secretName',
    ['tls: { certificate: {} }', 'tls: { certificate: { issuer: Sidegate, secretName: a } }'],
  ],
  [
    'spec.identity.providers[]',
    'needs exactly one of oidc, serviceAccount',
    [
      provider('kubernetesUser: { claim: a }'),
      provider('oidc: { issuer: "https://a", audiences: [a] }, serviceAccount: { audiences: [a] }'),
    ],
  ],
  [
    'spec.identity.providers[].oidc.issuer',
    'must be an https:// URL',
    httpsOnly.map((url) => provider(`oidc: { issuer: ${JSON.stringify(url)}, audiences: [a] }`)),
  ],
  [
    'spec.identity.providers[].oidc.jwksUri',
    'must be an https:// URL',
    httpsOnly.map((url) => provider(`oidc: { issuer: "https://a", jwksUri: ${JSON.stringify(url)}, audiences: [a] }`)),
  ],
  [
    'spec.identity.providers[].oidc.audiences[]',
    'is for sidecars and their controller only',
    [provider('oidc: { issuer: "https://a", audiences: [a, sidegate.dev/controller] }')],
  ],
  [
    'spec.identity.providers[].oidc.clockSkew',
    'must be at least 0s and at most 5m',
    [provider('oidc: { issuer: "https://a", audiences: [a], clockSkew: 6m }')],
  ],
  [
    'spec.identity.providers[].serviceAccount.issuer',
    'must be an https:// URL',
    [provider('serviceAccount: { issuer: "http://a", audiences: [a] }')],
  ],
  [
    'spec.identity.providers[].serviceAccount.jwksUri',
    'must be an https:// URL',
    [provider('serviceAccount: { jwksUri: "http://a", audiences: [a] }')],
  ],
  [
    'spec.identity.providers[].serviceAccount.audiences[]',
    'is for sidecars and their controller only',
    [provider('serviceAccount: { audiences: [sidegate.dev/controller] }')],
  ],
  [
    'spec.identity.providers[].sidegate.audiences[]',
    'is for sidecars and their controller only',
    [provider('sidegate: { idp: okta, audiences: [sidegate.dev/controller] }')],
  ],
  [
    'spec.identity.providers[].kubernetesUser.claim',
    'must be sub or cn: a certificate has no other claims',
    ['email', 'CN', 'sub.cn'].map((claim) => provider(`${certificate}, kubernetesUser: { claim: ${claim} }`)),
  ],
  [
    'spec.access[].limits',
    'belongs to Allow rules',
    ['access: [{ name: a, effect: Deny, subjects: [{ anyone: true }], limits: { requestsPerMinute: 1 } }]'],
  ],
  [
    'spec.access[].tokenInput',
    'belongs to Allow rules',
    ['access: [{ name: a, effect: Deny, subjects: [{ anyone: true }], tokenInput: Allow }]'],
  ],
  [
    'spec.access[].files',
    'belongs to Allow rules',
    ['access: [{ name: a, effect: Deny, subjects: [{ anyone: true }], files: { types: ["audio/pcm"] } }]'],
  ],
  ...(
    [
      ['spec.access[].subjects[]', (one: string) => `access: [{ name: a, effect: Deny, subjects: [${one}] }]`],
      ['spec.guards[].subjects[]', (one: string) => guard(`action: Block, subjects: [${one}]`)],
      ['spec.classification[].visibleTo[]', (one: string) => label(`words: [w], visibleTo: [${one}]`)],
      ['spec.responseLimits[].subjects[]', (one: string) => `responseLimits: [{ maxBytes: 1, subjects: [${one}] }]`],
    ] as const
  ).flatMap(
    ([field, within]) =>
      [
        [
          field,
          'needs exactly one of anyone, authenticated, group, subject, scope',
          ['{}', '{ group: a, scope: b }', '{ provider: corp }'].map(within),
        ],
        [`${field}.provider`, 'says nothing beside anyone', [within('{ anyone: true, provider: cluster/x }')]],
      ] as const,
  ),
  [
    'spec.guards[].match.minBytes',
    'needs direction: Request',
    ['guards: [{ name: g, direction: Response, match: { minBytes: 1Ki }, action: Block }]'],
  ],
  [
    'spec.guards[].match.minBytes',
    'cannot be masked',
    ['guards: [{ name: g, direction: Request, match: { minBytes: 1Ki }, action: Mask }]'],
  ],
  ['spec.guards[].replacement', 'needs action: Mask', [guard('action: Block, replacement: { style: Label }')]],
  [
    'spec.guards[].match',
    'needs at least one of detectors, patterns, words',
    ['{}', '{ patterns: [], words: [], detectors: [] }'].map(
      (match) => `guards: [{ name: g, direction: Request, action: Block, match: ${match} }]`,
    ),
  ],
  [
    'spec.guards[].match.patternMaxLength',
    'needs patterns beside it',
    [
      'guards: [{ name: g, direction: Request, action: Block, match: { words: [a], patternMaxLength: 9, patterns: [] } }]',
    ],
  ],
  ...(
    [
      ['spec.guards[].match', (one: string) => guard('action: Block').replace('words: [a]', `words: [a], ${one}`)],
      ['spec.classification[]', (one: string) => label(`words: [w], detectors: [], ${one}`)],
    ] as const
  ).flatMap(
    ([field, within]) =>
      [
        [`${field}.certainty`, 'needs detectors beside it', [within('certainty: Possible')]],
        [
          `${field}.certaintyOf`,
          'needs detectors beside it',
          [within('certaintyOf: [{ detector: Phone, certainty: Certain }]')],
        ],
        [`${field}.allow`, 'needs detectors beside it', [within('allow: { values: [a] }')]],
      ] as const,
  ),
  [
    'spec.guards[].match.allow',
    'needs at least one of sets, values',
    ['guards: [{ name: g, direction: Request, action: Block, match: { detectors: [Pii], allow: { sets: [] } } }]'],
  ],
  [
    'spec.classification[].allow',
    'needs at least one of sets, values',
    [label('detectors: [Pii], allow: {}'), label('detectors: [Pii], allow: { values: [] }')],
  ],
  [
    'spec.guards[].match.patterns[]',
    'error parsing regexp',
    re2.map((one) => `guards: [{ name: g, direction: Request, action: Block, match: { patterns: [ok, "${one}"] } }]`),
  ],
  ...(
    [
      ['spec.guards[].replacement', (one: string) => guard(`action: Mask, replacement: ${one}`)],
      ['spec.classification[].replacement', (one: string) => label(`words: [w], replacement: ${one}`)],
    ] as const
  ).flatMap(
    ([field, within]) =>
      [
        [`${field}.keep`, 'needs style: Partial', [within('{ style: Label, keep: 4 }')]],
        [`${field}.text`, 'needs style: Constant', [within('{ style: Hash, text: a }')]],
        [`${field}.text`, 'with style: Constant lacks the field "text"', [within('{ style: Constant }')]],
      ] as const,
  ),
  ['spec.classification[]', 'needs at least one of fields, detectors, patterns, words', [label('fields: []')]],
  ['spec.classification[].patternMaxLength', 'needs patterns beside it', [label('words: [w], patternMaxLength: 9')]],
  [
    'spec.classification[].replacement',
    'needs otherwise: Mask',
    ['classification: [{ label: l, words: [w], otherwise: Block, replacement: { style: Label } }]'],
  ],
  ['spec.classification[].patterns[]', 'error parsing regexp', re2.map((one) => label(`patterns: ["${one}"]`))],
  ['spec.analyzers[].url', 'must be an https:// URL', ['analyzers: [{ name: a, url: "http://a" }]']],
  [
    'spec.analyzers[].timeout',
    'must be at least 1ms and at most 1m',
    ['0s', '61s'].map((time) => `analyzers: [{ name: a, url: "https://a", timeout: ${time} }]`),
  ],
  [
    'spec.approvals.approvers[]',
    'needs exactly one of authenticated',
    ['approvals: { approvers: [{}] }', 'approvals: { approvers: [{ group: a, kubernetesGroup: b }] }'],
  ],
  [
    'spec.approvals.approvers[].provider',
    'says nothing of Kubernetes users',
    ['approvals: { approvers: [{ kubernetesUser: a, provider: cluster/x }] }'],
  ],
  [
    'spec.approvals.timeout',
    'must be at least 1s and at most 24h',
    ['approvals: { timeout: 999ms }', 'approvals: { timeout: 25h }'],
  ],
  [
    'spec.approvals.maxGrant',
    'must be at least 1m and at most 720h',
    ['approvals: { maxGrant: 59s }', 'approvals: { maxGrant: 721h }'],
  ],
  [
    'spec.requestLimits.bodyTimeout',
    'must be at least 1ms and at most 168h',
    ['requestLimits: { bodyTimeout: 0s }', 'requestLimits: { bodyTimeout: 169h }'],
  ],
  [
    'spec.requestLimits.upstreamIdle',
    'must be at least 1ms and at most 168h',
    ['requestLimits: { upstreamIdle: 0ms }'],
  ],
  [
    'spec.cors.maxAge',
    'must be at least 1s and at most 24h',
    ['cors: { origins: [], maxAge: 999ms }', 'cors: { origins: [], maxAge: 25h }'],
  ],
  ['spec.maxPolicyAge', 'must be at least 10m and at most 168h', ['maxPolicyAge: 599s', 'maxPolicyAge: 169h']],
  ['spec.responseLimits[]', 'needs at least one of maxBytes', ['responseLimits: [{ subjects: [{ anyone: true }] }]']],
  ['spec.responseLimits[].minDuration', 'is longer than maxDuration', [limit('minDuration: 2s, maxDuration: 1999ms')]],
  ['spec.responseLimits[].minDuration', 'must be at least 1ms and at most 5m', [limit('minDuration: 301s')]],
  ['spec.responseLimits[].maxDuration', 'must be at least 1ms and at most 168h', [limit('maxDuration: 0h')]],
  ['spec.responseLimits[].cadence.every', 'must be at least 1ms and at most 1m', [limit('cadence: { every: 2m }')]],
  [
    'spec.grpcServices[].service',
    'is a service that Sidegate knows',
    [
      'inference.GRPCInferenceService',
      'generate.v3.TextGenerationService',
      'grpc.health.v1.Health',
      'grpc.reflection.v2.X',
    ].map((service) => `grpcServices: [{ service: ${service}, descriptorSet: aGVsbG8=, methods: [{ name: A }] }]`),
  ],
  ['spec.routes[].model', 'has no place beside webSocket', ['routes: [{ path: /a, webSocket: true, model: $.model }]']],
  ...(['request', 'response'] as const).map(
    (side) =>
      [
        `spec.routes[].${side}.format`,
        'must be JSON where webSocket is set',
        [`routes: [{ path: /a, webSocket: true, ${side}: { format: Text } }]`],
      ] as const,
  ),
  ['spec.audit.sealTo', 'with content: Full lacks the field "sealTo"', ['audit: { content: Full }']],
  ['spec.audit.sealTo', 'with content: Sealed lacks the field "sealTo"', ['audit: { content: Sealed }']],
  [
    'spec.audit.sealTo',
    'needs content: Full or Sealed beside it',
    [`audit: { content: Masked, sealTo: ${publicKey} }`, `audit: { content: None, sealTo: ${publicKey} }`],
  ],
];

/** What holds for one kind alone. */
const ofKind: readonly (readonly [Kind, string, string, string])[] = [
  ['InferencePolicy', 'spec.maxPolicyAge', 'is for a ClusterInferencePolicy', 'maxPolicyAge: 24h'],
  ['InferencePolicy', 'spec.namespaceSelector', 'is for a ClusterInferencePolicy', 'namespaceSelector: {}'],
  [
    'ClusterInferencePolicy',
    'spec.upstream.credential',
    'needs hosted beside it',
    'upstream: { credential: { secretRef: { name: a, key: b } } }',
  ],
];

const rows = broken.flatMap(([field, message, specs]) => specs.map((spec) => ({ field, message, spec })));

describe('the API server refuses, and says why:', () => {
  test.each(rows)('$field: $message: $spec', async ({ field, message, spec }) => {
    for (const kind of ['InferencePolicy', 'ClusterInferencePolicy'] as const) {
      const answer = await ask(parse(spec), kind);
      expect(answer.status).toBe(422);
      expect(saidOf(causesOf(answer), field)).toContain(message);
    }
  });

  test.each(ofKind)('of a %s, %s: %s', async (kind, field, message, spec) => {
    const refused = await ask(parse(spec), kind);
    expect(saidOf(causesOf(refused), field)).toContain(message);
    const other = kind === 'InferencePolicy' ? 'ClusterInferencePolicy' : 'InferencePolicy';
    expect(await ask(parse(spec), other)).toMatchObject({ status: 201 });
  });

  test('every rule in CEL of both kinds is one of these', () => {
    const seen = (kind: Kind) => [
      ...rows,
      ...ofKind.filter(([of]) => of === kind).map(([, field, message]) => ({ field, message })),
    ];
    for (const kind of ['InferencePolicy', 'ClusterInferencePolicy'] as const) {
      const missing = rulesOf(kind).filter(
        ({ field, message }) =>
          !seen(kind).some(
            (row) =>
              row.field === field &&
              (message.includes(row.message) || (message.includes('RE2') && row.message === 'error parsing regexp')),
          ),
      );
      expect(missing).toEqual([]);
    }
  });

  test('a pattern in the words of the parser', async () => {
    const { message } = await ask(parse(label('patterns: ["a(?=b)"]')));
    expect(message).toContain('error parsing regexp: invalid or unsupported Perl syntax: `(?=`');
    expect(message).toContain('must be a regular expression in RE2 syntax: without lookaround and backreferences');
  });

  test('a duration that no clock can hold', async () => {
    expect((await ask(parse('requestLimits: { bodyTimeout: 999999999h }'))).status).toBe(422);
  });

  test.each([
    [
      'access',
      '[{ name: a, effect: Deny, subjects: [{ anyone: true }] }, { name: a, effect: Allow, subjects: [{ anyone: true }] }]',
      'spec.access[1]',
    ],
    [
      'guards',
      '[{ name: a, direction: Request, match: { words: [a] }, action: Flag }, { name: a, direction: Response, match: { words: [a] }, action: Flag }]',
      'spec.guards[1]',
    ],
    [
      'classification',
      '[{ label: a, words: [a], otherwise: Mask }, { label: a, words: [b], otherwise: Mask }]',
      'spec.classification[1]',
    ],
    ['analyzers', '[{ name: a, url: "https://a" }, { name: a, url: "https://b" }]', 'spec.analyzers[1]'],
    [
      'identity',
      '{ providers: [{ name: a, serviceAccount: { audiences: [a] } }, { name: a, serviceAccount: { audiences: [b] } }] }',
      'spec.identity.providers[1]',
    ],
    ['upstream', '{ ports: [{ containerPort: 1 }, { containerPort: 1 }] }', 'spec.upstream.ports[1]'],
  ])('two entries of one name in %s', async (field, value, where) => {
    const answer = await ask(parse(`${field}: ${value}`));
    expect(answer.status).toBe(422);
    expect(answer.message).toContain(`${where}: Duplicate value`);
  });

  test.each([0, -1, 67_108_865, 'x', '1Zi', '-1'])('a size of %j', async (size) => {
    const answer = await ask({ requestLimits: { maxBodyBytes: size } });
    expect(answer.status).toBe(422);
    expect(answer.message).toContain('spec.requestLimits.maxBodyBytes');
  });
  test.each([1, 67_108_864, '64Mi', '512', '1MB'])('but not a size of %j', async (size) => {
    expect(await ask({ requestLimits: { maxBodyBytes: size } })).toMatchObject({ status: 201 });
  });
});

const descriptors = 'what a descriptor set says cannot be read by a rule';

/** Faults of the shared list that only the reader of files, the webhook and the controller find, and why the API server cannot. */
const beyondTheServer: Readonly<Record<string, string>> = {
  'a provider that is not declared': 'every subject against every provider would exceed the cost limit of a rule',
  'a descriptor set that is none': descriptors,
  'a service that its descriptor set has not': descriptors,
  'a method that a service has not': descriptors,
  'a text where there is no such field': descriptors,
  'a text that is a message': descriptors,
  'a value that is a message': descriptors,
  'a field that is a text and a value': descriptors,
  'a model that stands in a list': descriptors,
  'a field without value': 'the server drops such a field, as if it were not there, and stores the rest',
  'a size beyond what is held':
    'a size as text has no bound on its length in CEL, so that any rule on it exceeds the cost limit',
};

describe('no cluster takes what a file may not say:', () => {
  test.each(faultySpecs)('%s', async (name, text) => {
    const { status, message } = await ask(parse(text) as unknown);
    // 400: unknown fields and wrong types are found while the body is read.
    if (name in beyondTheServer) expect(status).toBe(201);
    else expect({ message, refused: status === 422 || status === 400 }).toEqual({ message, refused: true });
  });
  test('a field without value is not stored', async () => {
    const { body } = await ask({ tls: null, guards: null, mode: 'Observe' });
    expect(body).toMatchObject({ spec: { mode: 'Observe' } });
    expect(Object.keys((body as { spec: object }).spec)).toEqual(['mode']);
  });
  test('what the server cannot say is in the list', () => {
    const names = faultySpecs.map(([name]) => name);
    expect(Object.keys(beyondTheServer).filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('a field that there is not', () => {
  const policy = (guardLine: string): string => `apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: old, namespace: ml }
spec:
  guards:
  - name: g
    ${guardLine}
    match: { detectors: [Secrets] }
    action: Block
`;

  test('is named to kubectl', async () => {
    const { status, stderr } = await server.kubectl(['apply', '-f', '-'], {
      input:
        'apiVersion: sidegate.dev/v1alpha1\nkind: InferencePolicy\nmetadata: { name: t, namespace: ml }\nspec: { gaurds: [] }\n',
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain('unknown field "spec.gaurds"');
  });

  // YAML 1.1, which kubectl reads, makes `true` of a bare `on`.
  test.each([
    ['on: Request', 'true'],
    ['"on": Request', 'on'],
    ['"true": Request', 'true'],
  ])(
    'a guard that says %s is refused by its name, and told of direction by a client that does not ask for strictness and in a file',
    async (line, field) => {
      const strict = await server.kubectl(['apply', '-f', '-'], { input: policy(line) });
      expect(strict.status).not.toBe(0);
      expect(strict.stderr).toContain(`unknown field "spec.guards[0].${field}"`);
      const lax = await server.kubectl(['apply', '--validate=false', '-f', '-'], { input: policy(line) });
      expect(lax.status).not.toBe(0);
      expect(lax.stderr).toContain('spec.guards[0].direction: Required value');
      const { faults } = parsePolicies(policy(line), 'p.yaml');
      expect(faults.map((fault) => fault.message).join('\n')).toContain(
        'Write direction: Request or direction: Response',
      );
    },
  );
});

describe('the API server takes', () => {
  const folder = resolve(import.meta.dirname, '../../manifests');
  test.each(readdirSync(folder).filter((name) => name.endsWith('.yaml')))('manifests/%s', async (name) => {
    const { stderr, status } = await server.kubectl(['apply', '--dry-run=server', '-n', 'ml', '-f', '-'], {
      input: readFileSync(join(folder, name), 'utf8').replaceAll(/namespace: [a-z-]+/g, 'namespace: ml'),
    });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  });

  test.each(['sub', 'cn'])('who callers with certificates are to Kubernetes by %s', async (claim) => {
    const spec = parse(provider(`${certificate}, kubernetesUser: { claim: ${claim}, prefix: "cert:" }`)) as object;
    for (const kind of ['InferencePolicy', 'ClusterInferencePolicy'] as const)
      expect(await ask(spec, kind)).toMatchObject({ status: 201, body: { spec } });
  });

  test('as much as a policy may hold: 32 guards of 500 patterns', async () => {
    const patterns = Array.from({ length: 500 }, (_, at) => `(?i)codename[ -]x${at}[0-9]{2,6}`);
    const guards = Array.from({ length: 32 }, (_, at) => ({
      name: `g${at}`,
      direction: 'Request',
      match: { patterns },
      action: 'Block',
    }));
    expect(await ask({ guards })).toMatchObject({ status: 201 });
    expect((await ask({ guards: [...guards, { ...guards[0], name: 'more' }] })).message).toContain(
      'must have at most 32 items',
    );
  });
});
