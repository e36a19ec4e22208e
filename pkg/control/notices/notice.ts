import { selectorText } from '../../core/index.ts';
import type { ApprovalSpecResource, GrantSpecResource, GrantStatusResource } from '../../crd/index.ts';
import type { KubeObject } from '../../kube/index.ts';

/** What people are told of something that waits for them. Of prompts and answers it holds the masked excerpt at most. */
export interface Notice {
  readonly kind: 'approvals' | 'grants';
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** Who asked. */
  readonly requester: string;
  /** Of a grant: who gets the access, whom others may ask for. */
  readonly caller: { readonly issuer: string; readonly subject: string } | undefined;
  /** Of a grant: the labels of the pods on which it holds. */
  readonly pods: string | undefined;
  /** Of a grant: ISO 8601; undefined: from its approval on. */
  readonly notBefore: string | undefined;
  readonly operations: readonly string[];
  readonly models: readonly string[];
  /** Of an approval: the rules that held it. */
  readonly rules: readonly string[];
  /** How many must approve. */
  readonly required: number;
  /** ISO 8601. */
  readonly expiresAt: string;
  /** Masked for what nobody may see; undefined for grants. */
  readonly excerpt: string | undefined;
  /** What the person who asks for a grant says. */
  readonly reason: string | undefined;
  /** Page of the decision endpoint. It decides nothing by itself: whoever opens it proves who they are. */
  readonly link: string;
}

/** Longest text that is passed on of anything that a caller wrote. */
const longest = 500;

/** One line, without control and format characters, which could make it look like something else in a chat or a mail. */
export const oneLine = (text: string): string => {
  const flat = text
    .toWellFormed()
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim();
  return flat.length > longest ? `${flat.slice(0, longest).toWellFormed()}…` : flat;
};

const pageOf = (endpoint: string, kind: Notice['kind'], namespace: string, name: string): string =>
  `${endpoint}/v1/namespaces/${namespace}/${kind}/${name}`;

/** @param endpoint Where people reach the decision endpoint: `https://HOST[:PORT]`. */
export function approvalNotice(raw: KubeObject, endpoint: string): Notice {
  const { metadata, spec } = raw as KubeObject & { readonly spec: ApprovalSpecResource };
  const { namespace = '', name, uid = '' } = metadata;
  return {
    kind: 'approvals',
    uid,
    namespace,
    name,
    requester: oneLine(spec.requester.subject),
    caller: undefined,
    pods: undefined,
    notBefore: undefined,
    operations: [spec.operation],
    models: spec.model === undefined ? [] : [oneLine(spec.model)],
    rules: spec.rules,
    required: spec.required,
    expiresAt: spec.expiresAt,
    excerpt: spec.excerpt === undefined ? undefined : oneLine(spec.excerpt),
    reason: undefined,
    link: pageOf(endpoint, 'approvals', namespace, name),
  };
}

/** @param endpoint Where people reach the decision endpoint: `https://HOST[:PORT]`. */
export function grantNotice(raw: KubeObject, endpoint: string): Notice {
  const { metadata, spec, status } = raw as KubeObject & {
    readonly spec: GrantSpecResource;
    readonly status?: GrantStatusResource;
  };
  const { namespace = '', name, uid = '' } = metadata;
  return {
    kind: 'grants',
    uid,
    namespace,
    name,
    requester: oneLine(spec.requestedBy),
    caller: { issuer: oneLine(spec.issuer), subject: oneLine(spec.subject) },
    pods: oneLine(selectorText(spec.selector ?? {})) || 'every inference pod',
    notBefore: spec.notBefore,
    operations: spec.operations,
    models: spec.models.map(oneLine),
    rules: [],
    required: status?.required ?? 1,
    expiresAt: spec.expiresAt,
    excerpt: undefined,
    reason: oneLine(spec.reason),
    link: pageOf(endpoint, 'grants', namespace, name),
  };
}

/** What decides at a prompt. */
export const commandOf = ({ kind, namespace, name }: Notice): string =>
  `kubectl sidegate approvals approve ${kind === 'grants' ? 'grant/' : ''}${name} -n ${namespace}`;

/** The one line that stands above all else. */
export const titleOf = ({ requester, caller, namespace, operations, models }: Notice): string =>
  `${requester} ${caller === undefined ? 'waits for approval' : `asks for access for ${caller.subject}`}: ` +
  `${[operations.join(', '), models.join(', ')].filter((text) => text !== '').join(' of ')}, in ${namespace}`;

/** What stands below: titles and values. */
export const linesOf = (notice: Notice): readonly (readonly [string, string])[] => {
  const { caller } = notice;
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['Caller', caller === undefined ? undefined : `${caller.subject} of ${caller.issuer}`],
    ['Pods', notice.pods],
    ['Because of', notice.rules.length === 0 ? undefined : notice.rules.join(', ')],
    ['Reason', notice.reason],
    ['Text (masked)', notice.excerpt],
    ['Must approve', String(notice.required)],
    ['From', notice.notBefore],
    ['Until', notice.expiresAt],
    ['At a prompt', commandOf(notice)],
  ];
  return lines.flatMap(([title, value]) => (value === undefined ? [] : [[title, value] as const]));
};
