import { conditions } from './conditions.ts';
import { decisionRules, decisions } from './decisions.ts';
import { approver } from './subject.ts';
import { mostHoldingRules, operations } from '../../core/index.ts';
import type { SchemaNode, Validation, Wire } from '../schema-node.ts';

/**
 * InferenceApproval: one held request or answer, waiting for people. Made by the controller alone; what people decide on is
 * copied into `spec`, which never changes, so that a later change of the policy cannot change what was approved.
 */
export const approvalSpecSchema = {
  type: 'object',
  description: 'What is to be decided, and by whom.',
  required: [
    'policies',
    'rules',
    'direction',
    'pod',
    'requester',
    'operation',
    'digest',
    'approvers',
    'required',
    'expiresAt',
  ],
  properties: {
    policies: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'The policies of the pod, as they were then: when one changes, it is asked anew.',
      items: {
        type: 'object',
        description: 'A policy.',
        required: ['kind', 'name', 'uid', 'generation'],
        properties: {
          kind: { type: 'string', enum: ['InferencePolicy', 'ClusterInferencePolicy'], description: 'Its kind.' },
          name: { type: 'string', minLength: 1, maxLength: 253, description: 'Its name.' },
          uid: { type: 'string', minLength: 1, maxLength: 128, description: 'Its uid.' },
          generation: { type: 'integer', format: 'int64', minimum: 0, description: 'Its generation.' },
        },
      },
    },
    rules: {
      type: 'array',
      minItems: 1,
      maxItems: mostHoldingRules,
      description: 'The guards and labels that ask, in policy order.',
      items: { type: 'string', minLength: 1, maxLength: 400, description: 'POLICY/RULE.' },
    },
    direction: { type: 'string', enum: ['Request', 'Response'], description: 'What is held.' },
    pod: {
      type: 'object',
      description: 'The pod whose sidecar holds it.',
      required: ['name', 'uid'],
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 253, description: 'Its name.' },
        uid: { type: 'string', minLength: 1, maxLength: 128, description: 'Its uid.' },
      },
    },
    requester: {
      type: 'object',
      description: 'The caller, who cannot decide.',
      required: ['provider', 'issuer', 'subject'],
      properties: {
        provider: { type: 'string', minLength: 1, maxLength: 400, description: 'The provider that proved them.' },
        issuer: { type: 'string', minLength: 1, maxLength: 512, description: 'Their issuer.' },
        subject: { type: 'string', minLength: 1, maxLength: 512, description: 'Their subject.' },
        kubernetesUser: {
          type: 'string',
          minLength: 1,
          maxLength: 256,
          description:
            'Who they are to Kubernetes. Without it no Kubernetes user can decide: it cannot be excluded that they are the same.',
        },
        naming: {
          type: 'string',
          minLength: 1,
          maxLength: 320,
          description:
            'How their provider names people. Without it no other subject of their issuer is known to be somebody else.',
        },
        sub: {
          type: 'string',
          minLength: 1,
          maxLength: 512,
          description: '`sub` of their token, where the policy names people by another claim, which may change.',
        },
      },
    },
    operation: { type: 'string', enum: operations, description: 'What they asked for.' },
    model: { type: 'string', minLength: 1, maxLength: 256, description: 'The model that they named.' },
    digest: {
      type: 'string',
      pattern: '^hmac-sha256:[0-9a-f]{64}$',
      maxLength: 76,
      description:
        'Of the body that is held: approval is of exactly these bytes. Keyed, so that nobody can try what the masked text was.',
      'x-sidegate-form': 'hmac-sha256: and 64 hexadecimal digits',
    },
    session: { type: 'string', minLength: 1, maxLength: 64, description: 'The session in the record.' },
    excerpt: { type: 'string', maxLength: 4096, description: 'The text in question, masked for what nobody may see.' },
    approvers: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: "Who may decide, of the policy's approvers then.",
      items: approver,
    },
    required: { type: 'integer', minimum: 1, maximum: 16, description: 'How many of them must approve.' },
    expiresAt: {
      type: 'string',
      format: 'date-time',
      maxLength: 40,
      description: 'Without a decision by then it is refused; nor can it be used later.',
    },
  },
} as const satisfies SchemaNode;

export const approvalStatusSchema = {
  type: 'object',
  description: 'What was decided.',
  required: ['phase'],
  properties: {
    phase: {
      type: 'string',
      enum: ['Pending', 'Approved', 'Denied', 'Expired', 'Used', 'Cancelled'],
      description:
        'Used: it was let through once, and is spent. Cancelled: the caller went away, or the policy no longer asks.',
    },
    decisions,
    usedBy: {
      type: 'object',
      description: 'What was let through on it.',
      required: ['pod', 'session'],
      properties: {
        pod: { type: 'string', minLength: 1, maxLength: 128, description: 'Uid of the pod.' },
        session: { type: 'string', minLength: 1, maxLength: 64, description: 'The session in the record.' },
      },
    },
    usedAt: { type: 'string', format: 'date-time', maxLength: 40, description: 'When it was let through.' },
    conditions,
  },
} as const satisfies SchemaNode;

export const approvalRules = (): readonly Validation[] =>
  decisionRules(
    { Pending: ['Approved', 'Denied', 'Expired', 'Cancelled'], Approved: ['Used', 'Expired', 'Cancelled'] },
    'self.spec.required',
  );

export type ApprovalSpecResource = Wire<typeof approvalSpecSchema>;
export type ApprovalStatusResource = Wire<typeof approvalStatusSchema>;
