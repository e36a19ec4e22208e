import { accessRule } from './access.ts';
import { conditions } from './conditions.ts';
import { decisionRules, decisions } from './decisions.ts';
import { selector } from './selector.ts';
import { approver } from './subject.ts';
import { operations } from '../../core/index.ts';
import type { SchemaNode, Validation, Wire } from '../schema-node.ts';

/**
 * InferenceGrant: access for a limited time, asked for by a person and approved by others. `spec` is what was asked for and
 * never changes; how many must approve, and who may, is the controller's word in `status`, since the asker writes `spec`.
 */
export const grantSpecSchema = {
  type: 'object',
  description: 'Who may do what until when.',
  required: ['issuer', 'subject', 'operations', 'models', 'expiresAt', 'reason', 'requestedBy'],
  'x-kubernetes-validations': [
    {
      rule: '!has(self.notBefore) || self.notBefore < self.expiresAt',
      message: 'is not before expiresAt: the grant would never hold',
      fieldPath: '.notBefore',
    },
  ],
  properties: {
    issuer: { type: 'string', minLength: 1, maxLength: 512, description: "The caller's issuer: `iss` of their token." },
    subject: { type: 'string', minLength: 1, maxLength: 512, description: 'The caller: `sub` of their token.' },
    selector: {
      ...selector,
      description: 'Inference pods of the namespace on which it holds.',
      'x-sidegate-default': 'every inference pod of the namespace',
    },
    operations: {
      type: 'array',
      minItems: 1,
      maxItems: 16,
      description: 'What: any of them.',
      items: { type: 'string', enum: operations, description: 'An operation.' },
    },
    models: {
      ...accessRule.properties.models,
      minItems: 1,
      description: 'On which models: names in which `*` stands for any characters.',
    },
    notBefore: {
      type: 'string',
      format: 'date-time',
      maxLength: 40,
      description: 'From when.',
      'x-sidegate-default': 'from approval on',
    },
    expiresAt: {
      type: 'string',
      format: 'date-time',
      maxLength: 40,
      description: 'Until when, to the second: live streams that rest on it end then.',
    },
    reason: { type: 'string', minLength: 1, maxLength: 1024, description: 'Why, for those who decide.' },
    requestedBy: {
      type: 'string',
      minLength: 1,
      maxLength: 256,
      description:
        'The Kubernetes user who asks, who cannot decide: the webhook refuses any name but that of who creates the grant.',
    },
  },
} as const satisfies SchemaNode;

export const grantStatusSchema = {
  type: 'object',
  description: 'What was decided.',
  required: ['phase'],
  properties: {
    phase: {
      type: 'string',
      enum: ['Pending', 'Approved', 'Denied', 'Expired', 'Cancelled'],
      description: 'Cancelled: withdrawn before it was decided, or revoked after.',
    },
    approvers: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'Who may decide, by the policies of the pods that it is about.',
      items: approver,
    },
    required: { type: 'integer', minimum: 1, maximum: 16, description: 'How many of them must approve.' },
    kubernetesUser: {
      type: 'string',
      minLength: 1,
      maxLength: 256,
      description:
        'Who the caller is to Kubernetes, who cannot decide. Without it no Kubernetes user can: it cannot be excluded that they are the same.',
    },
    naming: {
      type: 'string',
      minLength: 1,
      maxLength: 320,
      description:
        'How the providers of its issuer name people. Without it no other subject of the issuer is known to be somebody else.',
    },
    decisions,
    conditions,
  },
} as const satisfies SchemaNode;

export const grantRules = (): readonly Validation[] => [
  ...decisionRules(
    { Pending: ['Approved', 'Denied', 'Expired', 'Cancelled'], Approved: ['Expired', 'Cancelled'] },
    '(has(self.status.required) ? self.status.required : 33)',
  ),
  {
    rule: '!has(oldSelf.status) || !has(oldSelf.status.required) || (has(self.status) && has(self.status.required) && self.status.required == oldSelf.status.required)',
    message: 'status.required cannot be changed',
  },
  {
    rule: '!has(oldSelf.status) || !has(oldSelf.status.approvers) || (has(self.status) && has(self.status.approvers) && self.status.approvers == oldSelf.status.approvers)',
    message: 'status.approvers cannot be changed',
  },
];

export type GrantSpecResource = Wire<typeof grantSpecSchema>;
export type GrantStatusResource = Wire<typeof grantStatusSchema>;
