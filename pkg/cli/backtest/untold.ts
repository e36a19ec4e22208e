import type { AccessRule, Policy, PolicySpec } from '../../core/index.ts';

/** What a policy says that sessions are not decided by again, since the record does not have what it is about. */
export interface Untold {
  /** `POLICY/RULE`, or the policy alone. */
  readonly rule: string;
  readonly what: string;
}

const ofRule = ({
  limits,
  scopes,
  subjects,
  files,
  tokenInput,
}: AccessRule): readonly (readonly [boolean, string])[] => [
  [
    limits?.requestsPerMinute !== undefined ||
      limits?.tokensPerMinute !== undefined ||
      limits?.concurrentRequests !== undefined,
    'limits of requests and tokens at a time',
  ],
  [limits?.maxOutputTokens !== undefined, 'maxOutputTokens'],
  [scopes.length > 0 || subjects.some(({ scope }) => scope !== undefined), 'scopes of tokens: nobody has one'],
  [files !== undefined, 'files'],
  [tokenInput !== undefined, 'prompts of token ids'],
];

const ofPolicy = (spec: PolicySpec): readonly (readonly [boolean, string])[] => [
  [
    spec.responseLimits.some(({ maxBytes, maxDurationMs }) => maxBytes !== undefined || maxDurationMs !== undefined),
    'responseLimits',
  ],
  [spec.tls?.inbound === 'Mutual', 'client certificates: everybody has one'],
  [spec.cors !== undefined, 'cors'],
];

/** Of policies that are enforced, in their order. */
export function untoldOf(policies: readonly Policy[]): readonly Untold[] {
  return policies
    .filter(({ spec }) => spec.mode === 'Enforce')
    .flatMap(({ kind, name, spec }) => {
      const label = kind === 'ClusterInferencePolicy' ? `cluster/${name}` : name;
      const said = (rule: string, all: readonly (readonly [boolean, string])[]): readonly Untold[] =>
        all.filter(([holds]) => holds).map(([, what]) => ({ rule, what }));
      return [
        ...said(label, ofPolicy(spec)),
        ...spec.access.flatMap((rule) => said(`${label}/${rule.name}`, ofRule(rule))),
        ...spec.classification.flatMap((one) =>
          said(`${label}/${one.label}`, [
            [one.fields.length > 0 && one.inRequests !== undefined, 'fields in arguments of tools'],
          ]),
        ),
      ];
    });
}
