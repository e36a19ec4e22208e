import { describe, expect, test } from '@jest/globals';
import { compileSnapshot, noPolicy } from './compile.ts';
import type { Identity } from './identity.ts';
import { operations } from './operation.ts';
import type { Operation } from './operation.ts';
import { mayFetch, mayPass, mayStandWithin } from './files.ts';
import type { AccessRule, ClassificationRule, Policy } from './policy.ts';
import {
  allow,
  authenticated,
  caller,
  clusterPolicy,
  deny,
  group,
  guard,
  label,
  limits,
  policy,
  subject,
} from './testing/policies.ts';

const eng = caller('ml/p/p-idp', { groups: ['eng'], scopes: ['inference', 'batch'] });
const foreign = caller('ml/q/q-idp', { groups: ['eng'], scopes: ['inference'] });
const platform = caller('cluster/base/base-idp', { groups: ['eng'], scopes: ['inference'] });

function decide(
  policies: readonly Policy[],
  who: Identity | undefined,
  operation: Operation = 'Chat',
  model: string | undefined = 'llama-3-8b',
) {
  return compileSnapshot(policies, { revision: 1 }).access({ caller: who, operation, model });
}

/** `allow: RULES`, or `deny: REASON by RULE`. */
function say(...args: Parameters<typeof decide>): string {
  const decision = decide(...args);
  return decision.kind === 'allow'
    ? `allow: ${decision.rules.map((one) => one.id).join(' ')}`
    : `deny: ${decision.refusal.reason} by ${decision.refusal.rule}`;
}
const byDefault = 'deny: access_denied by default';

describe('subjects', () => {
  const cases: [string, Parameters<typeof subject>[0], Identity | undefined, boolean][] = [
    ['anyone is everybody proven', { anyone: true }, eng, true],
    ['anyone is nobody proven too', { anyone: true }, undefined, true],
    ['anyone is a caller of another policy’s provider too', { anyone: true }, foreign, true],
    ['authenticated is a caller of this policy’s provider', { authenticated: true }, eng, true],
    ['authenticated is not who is not proven', { authenticated: true }, undefined, false],
    ['authenticated is not a caller of another policy’s provider', { authenticated: true }, foreign, false],
    ['a group is its members', { group: 'eng' }, eng, true],
    ['a group is not others', { group: 'ops' }, eng, false],
    ['a group is compared with case', { group: 'Eng' }, eng, false],
    ['a group is not its namesake of another policy’s provider', { group: 'eng' }, foreign, false],
    ['a group of a namespace is not its namesake of the platform’s provider', { group: 'eng' }, platform, false],
    ['a subject is that one', { subject: 'ana' }, eng, true],
    ['a subject is not another', { subject: 'an' }, eng, false],
    ['a scope is who carries it', { scope: 'batch' }, eng, true],
    ['a scope is not who lacks it', { scope: 'admin' }, eng, false],
    ['a provider by name narrows to it', { group: 'eng', provider: 'p-idp' }, eng, true],
    ['an unknown provider is nobody', { group: 'eng', provider: 'nope' }, eng, false],
    ['another policy’s provider cannot be named', { group: 'eng', provider: 'q-idp' }, foreign, false],
    ['another policy’s provider cannot be named in full', { group: 'eng', provider: 'ml/q/q-idp' }, foreign, false],
    [
      'the platform’s provider can be named in full',
      { group: 'eng', provider: 'cluster/base/base-idp' },
      platform,
      true,
    ],
    ['the platform’s provider can be named in short', { group: 'eng', provider: 'cluster/base-idp' }, platform, true],
    ['naming the platform’s provider leaves out the own', { group: 'eng', provider: 'cluster/base-idp' }, eng, false],
    ['a provider alone says nothing of who', { provider: 'p-idp' }, eng, false],
    ['anyone of a provider is not who is not proven', { anyone: true, provider: 'p-idp' }, undefined, false],
  ];
  test.each(cases)('%s', (_, spec, who, allowed) => {
    const policies = [
      policy('p', { access: [allow('r', { subjects: [subject(spec)] })] }),
      policy('q'),
      clusterPolicy('base'),
    ];
    expect(say(policies, who)).toBe(allowed ? 'allow: p/r' : byDefault);
  });

  test('a cluster policy’s rules never match callers of a namespace’s provider, whatever they claim', () => {
    for (const one of [group('eng'), authenticated, group('eng', 'p-idp'), group('eng', 'ml/p/p-idp')]) {
      const policies = [policy('p'), clusterPolicy('base', { access: [allow('r', { subjects: [one] })] })];
      expect(say(policies, eng)).toBe(byDefault);
    }
  });

  test('scopes minted by a namespace’s provider do not count in a cluster policy', () => {
    const policies = [policy('p'), clusterPolicy('base', { access: [allow('r', { scopes: ['inference'] })] })];
    expect(say(policies, eng)).toBe(byDefault);
    expect(say(policies, platform)).toBe('allow: cluster/base/r');
  });

  test('all scopes of a rule must be carried', () => {
    const with2 = [
      policy('p', { access: [allow('r', { subjects: [authenticated], scopes: ['inference', 'batch'] })] }),
    ];
    expect(say(with2, eng)).toBe('allow: p/r');
    expect(say(with2, caller('ml/p/p-idp', { scopes: ['inference'] }))).toBe(byDefault);
  });

  test('an Allow without subjects is for nobody, a Deny without subjects for everybody', () => {
    expect(say([policy('p', { access: [allow('r', { subjects: [] })] })], eng)).toBe(byDefault);
    expect(say([policy('p', { access: [allow('a'), deny('d', { subjects: [] })] })], eng)).toBe(
      'deny: rule_denied by p/d',
    );
  });
});

describe('operations', () => {
  test.each(operations)('%s without operations in an Allow: all but Admin and Other', (operation) => {
    const named = operation === 'Admin' || operation === 'Other';
    expect(say([policy('p', { access: [allow('r')] })], eng, operation)).toBe(named ? byDefault : 'allow: p/r');
  });

  test.each(operations)('%s is allowed when an Allow names it', (operation) => {
    expect(say([policy('p', { access: [allow('r', { operations: [operation] })] })], eng, operation)).toBe(
      'allow: p/r',
    );
  });

  test.each(operations)('%s meets a Deny without operations', (operation) => {
    const policies = [policy('p', { access: [allow('a', { operations: [...operations] }), deny('d')] })];
    expect(say(policies, eng, operation)).toBe('deny: rule_denied by p/d');
  });

  test('an operation that is not named is denied', () => {
    expect(say([policy('p', { access: [allow('r', { operations: ['Embeddings'] })] })], eng)).toBe(byDefault);
  });
});

describe('models', () => {
  const on = (effect: 'Allow' | 'Deny', models: string[], operation: Operation, model?: string): string => {
    const all = allow('all', { operations: [...operations] });
    const access =
      effect === 'Allow' ? [allow('r', { models, operations: [...operations] })] : [all, deny('r', { models })];
    return compileSnapshot([policy('p', { access })], { revision: 1 }).access({ caller: eng, operation, model }).kind;
  };
  const cases: [string, 'allow' | 'deny', 'Allow' | 'Deny', string[], Operation, string?][] = [
    ['a glob allows what it matches', 'allow', 'Allow', ['llama-3*'], 'Chat', 'llama-3-8b'],
    ['a glob does not allow what it does not match', 'deny', 'Allow', ['llama-3*'], 'Chat', 'llama-2'],
    ['case counts', 'deny', 'Allow', ['llama-3*'], 'Chat', 'Llama-3-8b'],
    ['a dot is a dot', 'deny', 'Allow', ['llama.3'], 'Chat', 'llama-3'],
    ['any of several globs is enough', 'allow', 'Allow', ['a', 'b*'], 'Chat', 'bc'],
    ['the list of models is not restricted by models', 'allow', 'Allow', ['llama-3*'], 'ListModels'],
    ['a single model’s page is', 'deny', 'Allow', ['llama-3*'], 'ListModels', 'gpt'],
    ['Health is not restricted by models', 'allow', 'Allow', ['llama-3*'], 'Health'],
    ['Metrics is not restricted by models', 'allow', 'Allow', ['llama-3*'], 'Metrics'],
    ['Other without a model is not restricted by models', 'allow', 'Allow', ['llama-3*'], 'Other'],
    ['a chat that leaves its model out gets no allowance for some models', 'deny', 'Allow', ['llama-3*'], 'Chat'],
    ['a chat that leaves its model out gets an allowance for all', 'allow', 'Allow', ['*'], 'Chat'],
    ['a chat that leaves its model out meets a Deny of any model', 'deny', 'Deny', ['llama-4'], 'Chat'],
    ['embeddings that leave their model out meet it too', 'deny', 'Deny', ['llama-4'], 'Embeddings'],
    ['Admin without a model meets it too', 'deny', 'Deny', ['llama-4'], 'Admin'],
    ['the list of models does not meet a Deny of some models', 'allow', 'Deny', ['llama-4'], 'ListModels'],
    ['Health does not meet a Deny of some models', 'allow', 'Deny', ['llama-4'], 'Health'],
    ['a Deny does not reach other models', 'allow', 'Deny', ['llama-4'], 'Chat', 'llama-3'],
    ['another name of a model is allowed as the model is', 'allow', 'Allow', ['llama3'], 'Chat', 'llama3:latest'],
    ['a Deny meets a model by all of its names', 'deny', 'Deny', ['llama3'], 'Chat', 'library/Llama3:latest'],
    ['a Deny meets a model in any letter case', 'deny', 'Deny', ['llama-3*'], 'Chat', 'LLAMA-3-8b'],
  ];
  test.each(cases)('%s', (...[, expected, effect, models, operation, model]) => {
    expect(on(effect, models, operation, model)).toBe(expected);
  });
});

describe('several policies', () => {
  const open = (name: string) => policy(name, { access: [allow('open')] });

  test('without any policy everything is refused with no_policy', () => {
    expect(decide([], eng)).toBe(noPolicy);
    expect(noPolicy.refusal).toEqual({ reason: 'no_policy', rule: 'default' });
  });

  test('rules of a namespace’s policies add up', () => {
    const policies = [open('p'), policy('q', { access: [allow('r', { subjects: [group('eng')] })] })];
    expect(say(policies, eng)).toBe('allow: p/open');
    expect(say(policies, foreign)).toBe('allow: p/open q/r');
  });

  test('a Deny of any policy wins over every Allow', () => {
    expect(say([open('p'), policy('q', { access: [deny('no')] })], eng)).toBe('deny: rule_denied by q/no');
    expect(say([open('p'), clusterPolicy('base', { access: [allow('a'), deny('no')] })], eng)).toBe(
      'deny: rule_denied by cluster/base/no',
    );
  });

  test('an Allow counts only where every cluster policy with access rules also allows', () => {
    const base = clusterPolicy('base', { access: [allow('chat', { operations: ['Chat'] })] });
    const other = clusterPolicy('other', { access: [allow('llama', { models: ['llama*'] })] });
    expect(say([open('p'), base, other], eng)).toBe('allow: p/open');
    expect(say([open('p'), base, other], eng, 'Embeddings')).toBe(byDefault);
    expect(say([open('p'), base, other], eng, 'Chat', 'gpt')).toBe(byDefault);
  });

  test('cluster policies without access rules restrict nothing', () => {
    expect(say([open('p'), clusterPolicy('base')], eng)).toBe('allow: p/open');
  });

  test('a cluster policy’s Allow opens nothing that a namespace with access rules does not', () => {
    const base = clusterPolicy('base', { access: [allow('all')] });
    const own = policy('p', { access: [allow('r', { subjects: [group('ops')] })] });
    expect(say([own, base], eng)).toBe(byDefault);
  });

  test('without access rules of the namespace the cluster policies’ are enough, and all of them must allow', () => {
    const base = clusterPolicy('base', { access: [allow('all')] });
    const other = clusterPolicy('other', { access: [allow('chat', { operations: ['Chat'] })] });
    expect(say([policy('p'), base], eng)).toBe('allow: cluster/base/all');
    expect(say([base, other], undefined)).toBe('allow: cluster/base/all');
    expect(say([base, other], undefined, 'Embeddings')).toBe(byDefault);
  });

  test('a cluster policy that only denies allows nothing', () => {
    expect(say([open('p'), clusterPolicy('base', { access: [deny('x', { operations: ['Admin'] })] })], eng)).toBe(
      byDefault,
    );
  });

  test('matching rules come in policy order: the oldest policy’s first, within it as written', () => {
    const policies = [
      policy('young', { access: [allow('a')] }, { createdAt: 3000 }),
      policy('old', { access: [allow('z'), allow('b')] }, { createdAt: 2000 }),
    ];
    expect(say(policies, eng)).toBe('allow: old/z old/b young/a');
  });
});

describe('limits', () => {
  test('a namespace’s rule is held to the cluster policy’s limits, and charged for them', () => {
    const policies = [
      policy('p', { access: [allow('r', { limits: limits({ requestsPerMinute: 100, maxOutputTokens: 10 }) })] }),
      clusterPolicy('base', {
        access: [allow('c', { limits: limits({ requestsPerMinute: 60, maxOutputTokens: 50 }) })],
      }),
    ];
    const decision = decide(policies, eng);
    expect(decision).toMatchObject({
      kind: 'allow',
      rules: [{ id: 'p/r', limits: { requestsPerMinute: 60, maxOutputTokens: 10, tokensPerMinute: undefined } }],
      ceilings: [[{ id: 'cluster/base/c', limits: { requestsPerMinute: 60, maxOutputTokens: 50 } }]],
    });
  });

  test('of several rules of a cluster policy the loosest bounds a namespace’s rule, since each may be charged', () => {
    const policies = [
      policy('p', { access: [allow('r')] }),
      clusterPolicy('base', {
        access: [
          allow('few', { limits: limits({ requestsPerMinute: 10, tokensPerMinute: 5 }) }),
          allow('many', { limits: limits({ requestsPerMinute: 90 }) }),
        ],
      }),
    ];
    const decision = decide(policies, eng);
    expect(decision).toMatchObject({ rules: [{ limits: { requestsPerMinute: 90, tokensPerMinute: undefined } }] });
    expect(decision.kind === 'allow' && decision.ceilings?.[0]?.map((one) => one.id)).toEqual([
      'cluster/base/few',
      'cluster/base/many',
    ]);
  });

  test('a rule without limits has none', () => {
    expect(decide([policy('p', { access: [allow('r')] })], eng)).toMatchObject({ rules: [{ limits: undefined }] });
  });
});

describe('files that nobody reads', () => {
  const file = { type: 'audio/wav', bytes: 100 };
  const passes = (policies: readonly Policy[], one = file): boolean => {
    const decision = decide(policies, eng);
    return decision.kind === 'allow' && mayPass(decision, one);
  };
  const lets = (types: readonly string[], maxBytes?: number): Partial<AccessRule> => ({ files: { types, maxBytes } });

  test('do not pass unless a rule says so of their type and size', () => {
    const own = (more: Partial<AccessRule>): Policy[] => [policy('p', { access: [allow('r', more)] })];
    expect(passes(own({}))).toBe(false);
    for (const types of [['audio/wav'], ['audio/*'], ['*/*'], ['image/png', 'audio/*']])
      expect(passes(own(lets(types)))).toBe(true);
    for (const types of [['image/*'], ['audio/mp3'], ['audio/wave'], ['aud/*']])
      expect(passes(own(lets(types)))).toBe(false);
    expect(passes(own(lets(['audio/*'], 100)))).toBe(true);
    expect(passes(own(lets(['audio/*'], 99)))).toBe(false);
    expect(passes(own(lets(['*/*'])), { type: 'audio', bytes: 1 })).toBe(false);
  });

  test('pass by any rule of a policy, and by each policy that allows', () => {
    const both = policy('p', { access: [allow('a'), allow('b', lets(['audio/*']))] });
    expect(passes([both])).toBe(true);
    expect(passes([both, policy('q', { access: [allow('c')] })])).toBe(false);
    expect(passes([both, policy('q', { access: [allow('c', lets(['image/*']))] })])).toBe(false);
    expect(passes([both, policy('q', { access: [allow('c', { ...lets(['image/*']), models: ['another'] })] })])).toBe(
      true,
    );
    expect(passes([clusterPolicy('base', { access: [allow('c')] }), both])).toBe(false);
    expect(passes([clusterPolicy('base', { access: [allow('c', lets(['*/*'], 100))] }), both])).toBe(true);
    expect(passes([clusterPolicy('base', { access: [allow('c', lets(['*/*'], 99))] }), both])).toBe(false);
  });

  test.each<[string, Partial<Policy['spec']>, boolean]>([
    ['guards of requests', { guards: [guard('g')] }, false],
    ['guards of answers', { guards: [guard('g', { on: 'Response' })] }, false],
    ['labels', { classification: [label('l')] }, false],
    ['nothing that reads', {}, true],
    ['guards and a rule that lets them', { guards: [guard('g')], access: [allow('c', lets(['audio/*']))] }, true],
    ['guards and a rule that says nothing', { guards: [guard('g')], access: [allow('c')] }, false],
  ])('do not pass the platform by a word of the namespace where its policy has %s: %j', (_, spec, pass) => {
    const own = policy('p', { access: [allow('r', lets(['*/*']))] });
    expect(passes([own, clusterPolicy('base', spec)])).toBe(pass);
    // What the namespace itself looks for is its own to leave out.
    if (spec.access === undefined) expect(passes([own, policy('q', spec)])).toBe(true);
  });
});

describe('files within the JSON of a request', () => {
  const file = { type: 'image/png', bytes: 100 };
  const passes = (policies: readonly Policy[], one = file): boolean => {
    const decision = decide(policies, eng);
    return decision.kind === 'allow' && mayStandWithin(decision, one);
  };
  const own = (...access: AccessRule[]): Policy => policy('p', { access });
  const lets = (types: readonly string[], maxBytes?: number): Partial<AccessRule> => ({ files: { types, maxBytes } });

  test('pass where no policy says anything of files, and else as it says', () => {
    expect(passes([own(allow('r'))])).toBe(true);
    expect(passes([own(allow('r', lets([])))])).toBe(false);
    expect(passes([own(allow('r', lets(['image/*'], 100)))])).toBe(true);
    expect(passes([own(allow('r', lets(['image/*'], 99)))])).toBe(false);
    expect(passes([own(allow('r', lets(['audio/*'])))])).toBe(false);
    expect(passes([own(allow('r'), allow('s', lets(['audio/*'])))])).toBe(false);
    expect(passes([own(allow('r'), allow('s', { ...lets(['audio/*']), models: ['another'] }))])).toBe(true);
  });

  test('pass each policy that says anything of them', () => {
    const base = (...access: AccessRule[]): Policy => clusterPolicy('base', { access });
    expect(passes([base(allow('c')), own(allow('r', lets(['image/*'])))])).toBe(true);
    expect(passes([base(allow('c', lets(['audio/*']))), own(allow('r'))])).toBe(false);
    expect(passes([base(allow('c', lets(['*/*'], 99))), own(allow('r', lets(['*/*'])))])).toBe(false);
    expect(passes([clusterPolicy('base', { guards: [guard('g')] }), own(allow('r'))])).toBe(true);
  });
});

describe('what the server of a model may fetch', () => {
  const hosts = (...names: string[]): AccessRule =>
    allow('r', { files: { types: [], maxBytes: undefined, hosts: names } });
  const fetches = (url: string, policies: readonly Policy[]): boolean => {
    const decision = decide(policies, eng);
    return decision.kind === 'allow' && mayFetch(decision, url);
  };
  const own = policy('p', { access: [hosts('images.example.com', '*.cdn.example.com')] });

  test.each([
    'https://images.example.com',
    'https://images.example.com/a.png?b=c#d',
    'HTTPS://Images.Example.com/a',
    'https://images.example.com?a',
    'https://a.cdn.example.com/x',
    'https://a.b.cdn.example.com/x',
  ])('is %s, whose host each policy names', (url) => {
    expect(fetches(url, [own])).toBe(true);
    expect(
      fetches(url, [own, clusterPolicy('base', { access: [hosts('images.example.com', '*.cdn.example.com')] })]),
    ).toBe(true);
    expect(fetches(url, [own, clusterPolicy('base', { access: [allow('c')] })])).toBe(false);
    expect(fetches(url, [policy('p', { access: [allow('r')] })])).toBe(false);
    expect(
      fetches(url, [policy('p', { access: [allow('r', { files: { types: ['*/*'], maxBytes: undefined } })] })]),
    ).toBe(false);
    expect(fetches(url, [own, clusterPolicy('base', { guards: [guard('g')] })])).toBe(false);
  });

  test.each([
    'http://images.example.com/a',
    'https://images.example.com:8443/a',
    'https://images.example.com:443/a',
    'https://images.example.com@evil.example/a',
    'https://evil.example/images.example.com',
    'https://evil.example\\@images.example.com/',
    'https://images.example.com\\@evil.example/',
    'https://images.example.com/\\evil',
    'https:images.example.com/a',
    'https:///images.example.com/a',
    ' https://images.example.com/a',
    'https://images.example.com/a b',
    'https://images.example.com\t.evil.example/',
    'https://images.example.com%2eevil.example/',
    'https://images.example.com./a',
    'https://images.example.com.evil.example/',
    'https://evilimages.example.com/',
    'https://cdn.example.com/a',
    'https://.cdn.example.com/a',
    'https://evilcdn.example.com/a',
    'https://im\u0430ges.example.com/a',
    'https://169.254.169.254/a',
    'https://[::1]/a',
    'file:///etc/passwd',
    'data:image/png;base64,AAAA',
    '',
  ])('is not %j', (url) => {
    expect(fetches(url, [own])).toBe(false);
  });
});

describe('token ids as prompts', () => {
  const tokenInput = (policies: readonly Policy[]): boolean | undefined => {
    const decision = decide(policies, eng);
    return decision.kind === 'allow' ? decision.rules[0]?.tokenInput : undefined;
  };
  const own = policy('p', { access: [allow('r', { tokenInput: 'Allow' })] });
  test('guards of another policy of the namespace stay in force unless a rule of that policy lets the request through them', () => {
    const guarded = (...access: readonly AccessRule[]): Policy => policy('q', { guards: [guard('g')], access });
    expect(tokenInput([own, guarded(allow('c'))])).toBe(false);
    expect(tokenInput([own, guarded(allow('c', { tokenInput: 'Deny' }))])).toBe(false);
    expect(tokenInput([own, guarded(allow('c', { models: ['another'] }))])).toBe(false);
    expect(tokenInput([own, guarded(allow('c', { tokenInput: 'Allow' }))])).toBe(true);
    expect(tokenInput([own, guarded()])).toBe(true);
  });

  test('are denied unless a rule allows them', () => {
    expect(tokenInput([policy('p', { access: [allow('r')] })])).toBe(false);
    expect(tokenInput([own])).toBe(true);
  });
  test('are not let past a label that reads requests', () => {
    const reads = (...more: readonly Partial<ClassificationRule>[]): Policy =>
      clusterPolicy('base', { classification: more.map((one) => label('l', one)) });
    expect(tokenInput([own, reads({ inRequests: 'RequireApproval' })])).toBe(false);
    expect(tokenInput([own, reads({})])).toBe(true);
  });
  test('are not let past the guards of a cluster policy that says nothing of them', () => {
    expect(tokenInput([own, clusterPolicy('base', { guards: [guard('g')] })])).toBe(false);
    expect(tokenInput([own, clusterPolicy('base', { guards: [guard('g')], access: [allow('c')] })])).toBe(false);
  });
  test('pass where the cluster policy with guards allows them too', () => {
    const base = clusterPolicy('base', { guards: [guard('g')], access: [allow('c', { tokenInput: 'Allow' })] });
    expect(tokenInput([own, base])).toBe(true);
  });
  test('are denied where a cluster policy without guards denies them', () => {
    expect(tokenInput([own, clusterPolicy('base', { access: [allow('c', { tokenInput: 'Deny' })] })])).toBe(false);
    expect(tokenInput([own, policy('q', { access: [allow('c', { tokenInput: 'Deny' })] })])).toBe(false);
    expect(tokenInput([own, clusterPolicy('base', { access: [allow('c')] })])).toBe(true);
  });
});

describe('Observe', () => {
  const observe = { mode: 'Observe' } as const;

  test('when every policy observes, everything passes, and what would be refused is said', () => {
    const policies = [policy('p', { ...observe, access: [allow('r', { subjects: [group('eng')] })] })];
    expect(decide(policies, undefined)).toEqual({
      kind: 'allow',
      rules: [],
      credential: false,
      observed: [{ reason: 'access_denied', rule: 'default' }],
    });
    expect(decide(policies, eng)).toMatchObject({
      kind: 'allow',
      rules: [],
      observedRules: [{ id: 'p/r' }],
      credential: true,
      observed: [],
    });
  });

  test('the credential goes only with callers whom every observing policy with access rules allows', () => {
    const policies = [
      policy('p', { ...observe, access: [allow('all')] }),
      policy('q', { ...observe, access: [allow('r', { subjects: [group('eng')] })] }),
    ];
    expect(decide(policies, eng)).toMatchObject({ kind: 'allow', credential: false });
    expect(decide(policies, foreign)).toMatchObject({ kind: 'allow', credential: true });
  });

  test('observing policies without access rules give the credential to nobody', () => {
    expect(decide([policy('p', observe)], eng)).toMatchObject({ kind: 'allow', credential: false });
  });

  test('an observing Deny beside an enforcing Allow is only said', () => {
    const policies = [policy('p', { access: [allow('r')] }), policy('q', { ...observe, access: [deny('no')] })];
    expect(decide(policies, eng)).toMatchObject({
      kind: 'allow',
      rules: [{ id: 'p/r' }],
      credential: true,
      observed: [{ reason: 'rule_denied', rule: 'q/no' }],
    });
  });

  test('an observing Allow opens nothing that the enforcing policies close', () => {
    const policies = [
      policy('p', { access: [allow('r', { subjects: [group('ops')] })] }),
      policy('q', { ...observe, access: [allow('all')] }),
    ];
    expect(decide(policies, eng)).toMatchObject({ kind: 'deny', refusal: { reason: 'access_denied' }, observed: [] });
  });

  test('an observing cluster policy closes nothing, and says what it would', () => {
    const policies = [
      policy('p', { access: [allow('r')] }),
      clusterPolicy('base', { ...observe, access: [allow('c', { operations: ['Embeddings'] })] }),
    ];
    expect(decide(policies, eng)).toMatchObject({
      kind: 'allow',
      observed: [{ reason: 'access_denied', rule: 'default' }],
    });
    expect(decide(policies, eng, 'Embeddings')).toMatchObject({ kind: 'allow', observed: [] });
  });

  test('an enforcing policy without access rules denies, whatever observing ones allow', () => {
    expect(say([policy('p'), policy('q', { ...observe, access: [allow('all')] })], eng)).toBe(byDefault);
  });
});

describe('the hot path', () => {
  test('gives the same decision object for the same question of the same kind of caller', () => {
    const snapshot = compileSnapshot([policy('p', { access: [allow('r', { subjects: [group('eng')] })] })], {
      revision: 1,
    });
    const request = { caller: eng, operation: 'Chat', model: 'm' } as const;
    const first = snapshot.access(request);
    expect(snapshot.access(request)).toBe(first);
    expect(snapshot.access({ ...request, caller: { ...eng, subject: 'bo' } })).toBe(first);
    expect(snapshot.access({ ...request, caller: { ...eng, groups: [] } })).not.toBe(first);
  });

  test('stays right when callers ask for ever new models', () => {
    const snapshot = compileSnapshot([policy('p', { access: [allow('r', { models: ['a*'] })] })], { revision: 1 });
    for (let at = 0; at < 2000; at++) {
      for (const letter of ['a', 'b']) {
        const { kind } = snapshot.access({ caller: eng, operation: 'Chat', model: `${letter}${at}` });
        expect(kind).toBe(letter === 'a' ? 'allow' : 'deny');
      }
    }
    expect(snapshot.access({ caller: eng, operation: 'Chat', model: `a${'x'.repeat(100_000)}` }).kind).toBe('allow');
  });
});
