import { stories } from '../schema/grpc-service.ts';

/**
 * Specs of an InferencePolicy that are wrong, each with a part of what the reader of files says. The reader's tests and those on
 * a real API server go through the same list, so that no cluster takes what a file may not say.
 */

const idp = 'identity: { providers: [{ name: corp, oidc: { issuer: "https://idp.example.com", audiences: [a] } }] }';

const grpcMethod = (text: string): string =>
  `grpcServices: [{ service: acme.v1.Stories, descriptorSet: "${stories}", methods: [{ ${text} }] }]`;

/** Name, YAML of the spec, part of the fault. */
export const faultySpecs: readonly (readonly [string, string, string])[] = [
  ['an unknown field', 'acess: []', 'p.yaml:5: spec.acess: there is no such field. Did you mean "access"?'],
  [
    'a wrong choice',
    'tls: { inbound: required }',
    'p.yaml:5: spec.tls.inbound: "required" is not known here: one of Required, Mutual, Optional. Did you mean "Required"?',
  ],
  ['a wrong type', 'access: { name: x }', 'p.yaml:5: spec.access: must be a list, but is fields'],
  ['a field without value', 'tls:', 'p.yaml:5: spec.tls: must be fields (name: value), but has no value'],
  [
    'text without quotes',
    'selector: { matchLabels: { v: 1 } }',
    'spec.selector.matchLabels.v: must be text, but is 1: put it in quotes',
  ],
  [
    'a URL for a host to fetch from',
    'access: [{ name: a, effect: Allow, subjects: [{ anyone: true }], files: { types: [], hosts: ["https://a.example"] } }]',
    'is not a host name in lower case, such as images.example.com or *.example.com',
  ],
  [
    'a wildcard within a host to fetch from',
    'access: [{ name: a, effect: Allow, subjects: [{ anyone: true }], files: { types: [], hosts: ["a.*.example"] } }]',
    'is not a host name in lower case, such as images.example.com or *.example.com',
  ],
  [
    'a missing field',
    'access:\n- { name: a, effect: Allow }',
    'p.yaml:6: spec.access[0]: lacks the field "subjects": Who: any of them.',
  ],
  [
    'an empty list',
    'access:\n- { name: a, effect: Allow, subjects: [] }',
    'spec.access[0].subjects: must have at least one entry',
  ],
  [
    'an unknown operation',
    'access: [{ name: a, effect: Allow, subjects: [{ anyone: true }], operations: [chat] }]',
    '"chat" is not known here: one of Chat, Completions, Embeddings, ListModels, Health, Metrics, Admin, Other. Did you mean "Chat"?',
  ],
  [
    'an unknown detector',
    'guards: [{ name: g, direction: Request, match: { detectors: [PromptInjection] }, action: Block }]',
    'spec.guards[0].match.detectors[0]: "PromptInjection" is not known here: one of CreditCard, Iban',
  ],
  [
    'a key that a tool read as a boolean',
    'guards: [{ name: g, "true": Request, match: { detectors: [Pii] }, action: Block }]',
    'there is no such field. Write direction: Request or direction: Response',
  ],
  [
    'a guard that says on for direction',
    'guards: [{ name: g, on: Request, match: { detectors: [Pii] }, action: Block }]',
    'spec.guards[0].on: there is no such field. Write direction: Request or direction: Response',
  ],
  ['pages of no origin', 'cors: { maxAge: 1m }', 'spec.cors: lacks the field "origins"'],
  ...[
    '*',
    'null',
    'https://*.example.com',
    'https://a.example/',
    'https://A.example',
    'http://a.example',
    'a.example',
  ].map(
    (origin) =>
      [
        `an origin that is ${origin}`,
        `cors: { origins: ["${origin}"] }`,
        `spec.cors.origins[0]: "${origin}" is not an origin such as https://chat.example.com`,
      ] as const,
  ),
  ['a bad duration', 'requestLimits: { bodyTimeout: 30 sec }', '"30 sec" is not a whole number with ms, s, m or h'],
  ['a duration without unit', 'requestLimits: { bodyTimeout: 30 }', 'must be text, but is 30: put it in quotes'],
  ['a duration of nothing', 'requestLimits: { bodyTimeout: 0s }', 'must be at least 1ms'],
  ['a duration beyond timers', 'requestLimits: { bodyTimeout: 169h }', 'must be at most 168h'],
  ['a bad size', 'requestLimits: { maxBodyBytes: 1Zi }', '"1Zi" is not bytes, or a whole number with Ki'],
  ['a negative size', 'requestLimits: { maxBodyBytes: -1 }', 'is not bytes'],
  ['a size of nothing', 'requestLimits: { maxBodyBytes: 0 }', 'must be at least 1'],
  ['a size beyond what is held', 'requestLimits: { maxBodyBytes: 1Gi }', 'must be at most 64Mi'],
  [
    'a model that looks like a regular expression',
    'access: [{ name: a, effect: Allow, subjects: [{ anyone: true }], models: ["llama-(3|4)"] }]',
    'only * is a wildcard',
  ],
  [
    'a subject that says nothing',
    'access: [{ name: a, effect: Allow, subjects: [{}] }]',
    'spec.access[0].subjects[0]: needs one of anyone, authenticated, group, subject, scope',
  ],
  [
    'a subject that says two things',
    'access: [{ name: a, effect: Allow, subjects: [{ group: g, scope: s }] }]',
    'has group and scope: only one of them can stand here',
  ],
  [
    'anyone: false',
    'access: [{ name: a, effect: Allow, subjects: [{ anyone: false }] }]',
    'false is not known here: one of true',
  ],
  [
    'anyone of a provider',
    `${idp}\naccess: [{ name: a, effect: Allow, subjects: [{ anyone: true, provider: corp }] }]`,
    'write authenticated: true',
  ],
  [
    'a provider that is not declared',
    `${idp}\naccess: [{ name: a, effect: Allow, subjects: [{ group: g, provider: crop }] }]`,
    '"crop" is no provider of this policy (it declares corp); one of the platform is cluster/POLICY/NAME. Did you mean "corp"?',
  ],
  [
    'a claim of a certificate',
    'identity: { providers: [{ name: mesh, clientCertificate: { caSecretRef: { name: a, key: b } }, kubernetesUser: { claim: email } }] }',
    'spec.identity.providers[0].kubernetesUser.claim: must be sub or cn: a certificate has no other claims',
  ],
  [
    'limits of a Deny',
    'access: [{ name: a, effect: Deny, subjects: [{ anyone: true }], limits: { requestsPerMinute: 1 } }]',
    'belongs to Allow rules',
  ],
  [
    'two rules of one name',
    'access: [{ name: a, effect: Deny, subjects: [{ anyone: true }] }, { name: a, effect: Deny, subjects: [{ anyone: true }] }]',
    'spec.access[1].name: "a" is the name of entry 0 already',
  ],
  [
    'a guard and a rule of one name',
    'access: [{ name: a, effect: Deny, subjects: [{ anyone: true }] }]\nguards: [{ name: a, direction: Request, match: { detectors: [Pii] }, action: Block }]',
    'receipts could not tell them apart',
  ],
  [
    'a guard that looks for nothing',
    'guards: [{ name: g, direction: Request, match: { patterns: [] }, action: Block }]',
    'spec.guards[0].match: needs at least one of detectors, patterns, words',
  ],
  [
    'a label that looks for nothing',
    'classification: [{ label: l, otherwise: Mask }]',
    'needs at least one of fields, detectors, patterns, words',
  ],
  [
    'a field path',
    'classification: [{ label: l, fields: ["customer.ssn"], otherwise: Mask }]',
    'is not a path such as $.customer.account_number',
  ],
  [
    'the root as a field',
    'classification: [{ label: l, fields: ["$.a", "$"], otherwise: Mask }]',
    'spec.classification[0].fields[1]: must have at least 3 characters',
  ],
  [
    'a replacement without masking',
    'guards: [{ name: g, direction: Request, match: { detectors: [Pii] }, action: Block, replacement: { style: Label } }]',
    'needs action: Mask',
  ],
  [
    'keep without Partial',
    'classification: [{ label: l, detectors: [Pii], otherwise: Mask, replacement: { style: Label, keep: 4 } }]',
    'needs style: Partial',
  ],
  [
    'Constant without text',
    'classification: [{ label: l, detectors: [Pii], otherwise: Mask, replacement: { style: Constant } }]',
    'lacks the field "text"',
  ],
  [
    'a record in full without a key',
    'audit: { content: Full }',
    'spec.audit: with content: Full lacks the field "sealTo"',
  ],
  [
    'a sealed record without a key',
    'audit: { content: Sealed }',
    'spec.audit: with content: Sealed lacks the field "sealTo"',
  ],
  [
    'a key beside a record of which nothing is sealed',
    'audit: { content: Masked, sealTo: MCowBQYDK2VuAyEAnYfkQ1ohJqbQsbFCV4XRp6L4RE4aWgaq7xWyGkQ7ZlU= }',
    'needs content: Full or Sealed',
  ],
  [
    'a private key where the public one belongs',
    'audit: { content: Full, sealTo: MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq }',
    'spec.audit.sealTo',
  ],
  [
    'a provider of two kinds',
    'identity: { providers: [{ name: x, oidc: { issuer: "https://a", audiences: [a] }, serviceAccount: { audiences: [a] } }] }',
    'has oidc and serviceAccount',
  ],
  [
    'an identity provider whose name is no name',
    'identity: { providers: [{ name: x, sidegate: { idp: "../other", audiences: [a] } }] }',
    'lower-case letters, digits',
  ],
  [
    'an issuer without TLS',
    'identity: { providers: [{ name: x, oidc: { issuer: "http://a", audiences: [a] } }] }',
    'must begin with https://',
  ],
  [
    'an issuer on loopback without TLS',
    'identity: { providers: [{ name: x, oidc: { issuer: "http://127.0.0.1:8", audiences: [a] } }] }',
    'set allowInsecureLoopback: true',
  ],
  [
    'an issuer elsewhere without TLS that asks for it',
    'identity: { providers: [{ name: x, oidc: { issuer: "http://127.0.0.1.evil.com", audiences: [a], allowInsecureLoopback: true } }] }',
    'must begin with https://',
  ],
  [
    'an issuer with a password',
    'identity: { providers: [{ name: x, oidc: { issuer: "https://u:p@a", audiences: [a] } }] }',
    'without user, password',
  ],
  [
    'the controller’s audience',
    'identity: { providers: [{ name: x, serviceAccount: { audiences: [sidegate.dev/controller] } }] }',
    'is for sidecars and their controller only',
  ],
  [
    'HMAC',
    'identity: { providers: [{ name: x, oidc: { issuer: "https://a", audiences: [a], algorithms: [HS256] } }] }',
    '"HS256" is not known here',
  ],
  [
    'ports and hosted',
    'upstream: { ports: [{ containerPort: 1 }], hosted: { url: "https://a" } }',
    'has ports and hosted',
  ],
  [
    'a hosted endpoint without TLS',
    'upstream: { hosted: { url: "http://a.example.com" } }',
    'plain http only on a loopback address',
  ],
  ['a credential from nowhere', 'upstream: { credential: { header: x } }', 'needs one of secretRef, file'],
  [
    'a credential in a framing header',
    'upstream: { credential: { file: k, header: Transfer-Encoding } }',
    'belongs to HTTP itself',
  ],
  [
    'a credential prefix that splits headers',
    'upstream: { credential: { file: k, prefix: "a\\r\\nb" } }',
    'is not printable ASCII',
  ],
  [
    'a credential in two places',
    'upstream: { credential: { file: k, header: x, query: key } }',
    'only one of them can stand here',
  ],
  [
    'a credential that is prefixed in a query',
    'upstream: { credential: { file: k, prefix: x, query: key } }',
    'stands before a key in a header',
  ],
  [
    'tokens that sign',
    'upstream: { credential: { file: k, sigV4: { region: a, service: b }, oauth: { tokenUrl: "https://a.example", clientId: c } } }',
    'only one of them can stand here',
  ],
  [
    'a parameter that is more than a name',
    'upstream: { credential: { file: k, query: "key&x" } }',
    'is not letters, digits',
  ],
  [
    'a token endpoint without TLS',
    'upstream: { credential: { file: k, oauth: { tokenUrl: "http://a.example.com", clientId: c } } }',
    'plain http only on a loopback address',
  ],
  ['server names without TLS', 'upstream: { ports: [{ containerPort: 1, serverName: a }] }', 'needs protocol: TLS'],
  [
    'a port twice',
    'upstream: { ports: [{ containerPort: 1 }, { containerPort: 1 }] }',
    '1 is the containerPort of entry 0 already',
  ],
  ['a port that is none', 'upstream: { ports: [{ containerPort: 65536 }] }', 'must be at most 65535'],
  [
    'a minimum beyond the maximum',
    'responseLimits: [{ subjects: [{ anyone: true }], minDuration: 2s, maxDuration: 1s }]',
    'every answer would be cut',
  ],
  [
    'a response limit without limits',
    'responseLimits: [{ subjects: [{ anyone: true }] }]',
    'needs at least one of maxBytes',
  ],
  ['anyone as approver', 'approvals: { approvers: [{ anyone: true }] }', 'there is no such field'],
  ['root as a helper', 'loopback: [{ runAsUser: 0, operations: [Admin] }]', 'must be at least 1'],
  ['a helper that may do nothing', 'loopback: [{ runAsUser: 2000, operations: [] }]', 'spec.loopback[0].operations'],
  ['an operation that there is not', 'loopback: [{ runAsUser: 2000, operations: [Load] }]', '"Load" is not known here'],
  [
    'a helper twice',
    'loopback: [{ runAsUser: 2000, operations: [Admin] }, { runAsUser: 2000, operations: [Chat] }]',
    '2000 is the runAsUser of entry 0 already',
  ],
  [
    'a descriptor set that is none',
    'grpcServices: [{ service: a.B, descriptorSet: aGVsbG8=, methods: [{ name: C }] }]',
    'spec.grpcServices[0].descriptorSet: is no descriptor set',
  ],
  [
    'a service that its descriptor set has not',
    `grpcServices: [{ service: acme.v1.Other, descriptorSet: "${stories}", methods: [{ name: Tell }] }]`,
    'spec.grpcServices[0].service: is not in its descriptor set, which has acme.v1.Stories',
  ],
  ['a method that a service has not', grpcMethod('name: Sing'), '"Sing" is no method of it (Tell)'],
  ['a method twice', grpcMethod('name: Tell }, { name: Tell'), 'is the name of entry 0 already'],
  [
    'a text where there is no such field',
    grpcMethod('name: Tell, request: { texts: [prompt, turns.text] }'),
    'methods[0].request.texts[1]: "turns.text" is no field of acme.v1.Ask',
  ],
  [
    'a text that is a message',
    grpcMethod('name: Tell, request: { texts: [turns] }'),
    'methods[0].request.texts[0]: "turns" holds no text',
  ],
  [
    'a value that is a message',
    grpcMethod('name: Tell, request: { values: [turns] }'),
    'methods[0].request.values[0]: "turns" is a message',
  ],
  [
    'a field that is a text and a value',
    grpcMethod('name: Tell, response: { texts: [piece], values: [piece] }'),
    'methods[0].response.values[0]: "piece" stands here twice',
  ],
  [
    'a model that stands in a list',
    grpcMethod('name: Tell, model: turns.content'),
    'methods[0].model: "turns.content" is no string of acme.v1.Ask that stands there once',
  ],
  [
    'a path that is none',
    grpcMethod('name: Tell, request: { texts: [$.prompt] }'),
    'is not names of fields joined by dots',
  ],
  ['a method open to anyone', grpcMethod('name: Tell, operation: Health'), '"Health" is not known here'],
  [
    'a service that is known',
    `grpcServices: [{ service: inference.GRPCInferenceService, descriptorSet: "${stories}", methods: [{ name: ModelInfer }] }]`,
    'is a service that Sidegate knows',
  ],
  [
    'a service without methods',
    `grpcServices: [{ service: acme.v1.Stories, descriptorSet: "${stories}", methods: [] }]`,
    'must have at least one entry',
  ],
  ['a route with a slash at its end', 'routes: [{ path: /v1/stories/ }]', 'is not a path such as /v1/stories'],
  ['a route with steps in it', 'routes: [{ path: /v1/../admin }]', 'is not a path such as /v1/stories'],
  ['a route twice', 'routes: [{ path: /a }, { path: /a }]', '"/a" is the path of entry 0 already'],
  ['a route open to anyone', 'routes: [{ path: /a, operation: Metrics }]', '"Metrics" is not known here'],
  [
    'a text at any depth',
    'routes: [{ path: /a, request: { texts: ["**.prompt"] } }]',
    'is not a path such as $.prompt',
  ],
  ['a model in a list', 'routes: [{ path: /a, model: "$.models[*]" }]', 'is not a path of names'],
  [
    'a model in the messages of a WebSocket',
    'routes: [{ path: /a, webSocket: true, model: $.model }]',
    'has no place beside webSocket',
  ],
  [
    'a WebSocket of plain text',
    'routes: [{ path: /a, webSocket: true, request: { format: Text } }]',
    'spec.routes[0].request.format: must be JSON where webSocket is set',
  ],
  [
    'a WebSocket that answers in plain text',
    'routes: [{ path: /a, webSocket: true, response: { format: Text } }]',
    'spec.routes[0].response.format: must be JSON where webSocket is set',
  ],
  ['a maxPolicyAge of a namespace', 'maxPolicyAge: 48h', 'is for a ClusterInferencePolicy'],
  ['a namespaceSelector of a namespace', 'namespaceSelector: {}', 'is for a ClusterInferencePolicy'],
  [
    'an operator without values',
    'selector: { matchExpressions: [{ key: a, operator: In }] }',
    'In needs at least one value',
  ],
  ...(
    [
      ['a certainty', 'certainty: Certain'],
      ['exceptions from a certainty', 'certaintyOf: [{ detector: Phone, certainty: Certain }]'],
      ['something allowed', 'allow: { sets: [TestCards] }'],
    ] as const
  ).map(
    ([what, text]) =>
      [
        `${what} without detectors`,
        `guards: [{ name: g, direction: Request, match: { words: [a], ${text} }, action: Block }]`,
        'needs detectors beside it',
      ] as const,
  ),
  [
    'a certainty that there is not',
    'classification: [{ label: l, detectors: [Pii], certainty: Sure, otherwise: Mask }]',
    '"Sure" is not known here: one of Possible, Likely, Certain',
  ],
  [
    'two certainties of one detector',
    'classification: [{ label: l, detectors: [Pii], certaintyOf: [{ detector: Phone, certainty: Likely }, { detector: Phone, certainty: Certain }], otherwise: Mask }]',
    '"Phone" is the detector of entry 0 already',
  ],
  [
    'a set that there is not',
    'classification: [{ label: l, detectors: [Pii], allow: { sets: [Everything] }, otherwise: Mask }]',
    '"Everything" is not known here: one of TestCards',
  ],
  [
    'nothing allowed',
    'classification: [{ label: l, detectors: [Pii], allow: {}, otherwise: Mask }]',
    'needs at least one of sets, values',
  ],
  [
    'an empty value allowed',
    'classification: [{ label: l, detectors: [Pii], allow: { values: [""] }, otherwise: Mask }]',
    'spec.classification[0].allow.values[0]',
  ],
  [
    'a pattern length without patterns',
    'guards: [{ name: g, direction: Request, match: { words: [a], patternMaxLength: 9 }, action: Block }]',
    'needs patterns beside it',
  ],
];
