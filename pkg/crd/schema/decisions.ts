import type { SchemaNode, Validation } from '../schema-node.ts';

/** `status.phase` and `status.decisions` of what people decide on: approvals and grants. */

export const decisions = {
  type: 'array',
  maxItems: 32,
  description: 'Who decided what. Entries are only ever appended, one at a time and one a person.',
  'x-kubernetes-validations': [
    {
      rule: 'self.all(d, self.exists_one(e, has(d.user) ? has(e.user) && e.user == d.user : has(e.caller) && e.caller.issuer == d.caller.issuer && e.caller.subject == d.caller.subject))',
      message: 'one person has one vote',
    },
  ],
  items: {
    type: 'object',
    description: 'One decision. Exactly one of `user` and `caller`.',
    required: ['decision', 'at'],
    'x-sidegate-conditions': [{ kind: 'ExactlyOne', of: ['user', 'caller'] }],
    properties: {
      decision: { type: 'string', enum: ['Approve', 'Deny'], description: 'What was decided.' },
      at: { type: 'string', format: 'date-time', maxLength: 40, description: 'When.' },
      user: {
        type: 'string',
        minLength: 1,
        maxLength: 256,
        description: "Who, by Kubernetes: the API server's own word on the user who wrote this entry.",
      },
      caller: {
        type: 'object',
        description: 'Who, by a provider of the policy; written by the decision endpoint alone.',
        required: ['issuer', 'subject', 'proof'],
        properties: {
          issuer: { type: 'string', minLength: 1, maxLength: 512, description: '`iss` of the token.' },
          subject: { type: 'string', minLength: 1, maxLength: 512, description: '`sub` of the token.' },
          kubernetesUser: {
            type: 'string',
            minLength: 1,
            maxLength: 256,
            description: 'Who they are to Kubernetes, where their provider says so: one person has one vote.',
          },
          naming: {
            type: 'string',
            minLength: 1,
            maxLength: 320,
            description:
              'How their provider names people: subjects of one issuer and one naming are different people’s.',
          },
          sub: {
            type: 'string',
            minLength: 1,
            maxLength: 512,
            description: '`sub` of the token, where the policy names people by another claim, which may change.',
          },
          proof: { type: 'string', minLength: 1, maxLength: 256, description: 'Hash of the token that proved it.' },
          from: { type: 'string', maxLength: 64, description: 'Address that the decision came from.' },
        },
      },
      breakGlass: {
        type: 'boolean',
        description:
          'Overrides how many are required. For Kubernetes users of the break-glass group alone, and never for the requester.',
      },
      comment: { type: 'string', maxLength: 1024, description: 'Why, in their words.' },
    },
  },
} as const satisfies SchemaNode;

const phaseOf = (object: string): string => `(has(${object}.status) ? ${object}.status.phase : 'Pending')`;
const has = (object: string): string => `has(${object}.status) && has(${object}.status.decisions)`;

/**
 * What holds between `spec` and `status`, and between before and after, of a resource with decisions. They stand at the root,
 * where they see a `status` that was taken away too.
 *
 * @param next for each phase that can be left, the phases that may follow
 * @param required CEL for the number of people who must approve
 */
export function decisionRules(next: Readonly<Record<string, readonly string[]>>, required: string): Validation[] {
  const steps = Object.entries(next).map(
    ([from, to]) =>
      `${phaseOf('oldSelf')} == '${from}' && ${phaseOf('self')} in [${to.map((one) => `'${one}'`).join(', ')}]`,
  );
  return [
    {
      rule: 'self.spec == oldSelf.spec',
      message: 'spec cannot be changed: delete the resource and make another',
      fieldPath: '.spec',
      reason: 'FieldValueForbidden',
    },
    {
      rule: [`${phaseOf('self')} == ${phaseOf('oldSelf')}`, ...steps.map((step) => `(${step})`)].join(' || '),
      message: `status.phase goes ${Object.entries(next)
        .map(([from, to]) => `from ${from} to ${to.join(', ')}`)
        .join('; ')} and no other way`,
    },
    {
      // Equal to what was there and then what is new: nothing was removed, changed, moved or put between.
      rule: `!(${has('oldSelf')}) || (${has('self')} && self.status.decisions == oldSelf.status.decisions + self.status.decisions.filter(d, !(d in oldSelf.status.decisions)))`,
      message: 'status.decisions can only be appended to',
    },
    {
      rule: `!(${has('self')}) || size(self.status.decisions) <= 1 + (${has('oldSelf')} ? size(oldSelf.status.decisions) : 0)`,
      message: 'status.decisions takes one entry at a time',
    },
    {
      rule: `${phaseOf('oldSelf')} == 'Pending' || !(${has('self')}) || (${has('oldSelf')} && size(self.status.decisions) == size(oldSelf.status.decisions))`,
      message: 'nothing more can be decided: status.phase is not Pending',
    },
    {
      rule: `!(${has('self')}) || self.status.decisions.all(d, d.at < self.spec.expiresAt)`,
      message: 'a decision after spec.expiresAt does not count',
    },
    {
      rule: `!(${phaseOf('self')} in ['Approved', 'Used']) || (${has('self')} && self.status.decisions.filter(d, d.decision == 'Approve').size() >= ${required} || ${has('self')} && self.status.decisions.exists(d, d.decision == 'Approve' && has(d.breakGlass) && d.breakGlass))`,
      message:
        'status.phase is Approved only when as many people have approved as are required, or one who may break the glass',
    },
    {
      rule: `${phaseOf('self')} != 'Denied' || (${has('self')} && self.status.decisions.exists(d, d.decision == 'Deny'))`,
      message: 'status.phase is Denied only when somebody has denied: without a decision it is Expired or Cancelled',
    },
  ];
}
