import type { Policy, PolicyNotice } from '../core/index.ts';
import { clusterOnly } from './cluster-only.ts';
import { formatPath } from './fault.ts';
import type { DocumentFault, PolicyFault } from './fault.ts';
import { readObject } from './read-object.ts';
import { readYaml } from './read-yaml.ts';
import type { YamlDocument } from './read-yaml.ts';
import { checkRules } from './rules.ts';
import type { RuleOptions } from './rules.ts';
import { inferencePolicySchema } from './schema.ts';
import { checkShape } from './shape.ts';
import { toPolicy } from './translate.ts';

export interface ParseOptions {
  /** Says why a pattern is not RE2 syntax or cannot be used, undefined when it can. Without it patterns are not checked here. */
  readonly checkPattern?: (pattern: string, maxLength: number) => string | undefined;
  /** Whether files beside the process may be named (`credential.file`, `caFile`, client certificates). Default true; false in a cluster. */
  readonly local?: boolean;
  /** Whether there is a cluster, with its Secrets. Default true; false for a sidecar that runs on its own, which refuses to be without them. */
  readonly cluster?: boolean;
}

export interface ParsedPolicies {
  /** Empty when there is any fault: half of a file's policies could allow what the other half denies. */
  readonly policies: readonly Policy[];
  readonly faults: readonly PolicyFault[];
  /**
   * Where files may be named, what of the policies is for a cluster alone: there is another way for a sidecar that runs on its own, or it does
   * without. Without a cluster, only the latter: the former is a fault.
   */
  readonly notices: readonly PolicyNotice[];
}

interface ParsedDocument {
  readonly policy?: Policy;
  readonly faults: readonly DocumentFault[];
  readonly clusterOnly: readonly DocumentFault[];
}

function parseDocument(document: YamlDocument, file: string, rules: RuleOptions, cluster: boolean): ParsedDocument {
  if (document.value === undefined) return { faults: document.faults, clusterOnly: [] };
  const shape = checkShape(document.value);
  if ('faults' in shape) return { ...shape, clusterOnly: [] };
  const only = rules.local ? clusterOnly(inferencePolicySchema, shape.resource.spec, ['spec']) : [];
  const refused = cluster ? [] : only.filter((one) => one.refused);
  const faults = [...checkRules(shape.resource, rules), ...refused];
  if (faults.length > 0) return { faults, clusterOnly: [] };
  return { policy: toPolicy(shape.resource, file), faults, clusterOnly: only };
}

/**
 * Reads the policies of a YAML (or JSON) text with any number of documents. Never throws: whatever is wrong is a fault that
 * names document, path, line and fix.
 *
 * @param file name for faults; relative paths in the policies are taken from its folder.
 */
export function parsePolicies(yamlText: string, file: string, options: ParseOptions = {}): ParsedPolicies {
  return parseDocuments(readYaml(yamlText), file, options);
}

/**
 * Reads one policy that the API server gave, as {@link parsePolicies} reads its text.
 *
 * @param name for faults
 */
export function parsePolicyObject(object: object, name: string, options: ParseOptions = {}): ParsedPolicies {
  return parseDocuments([readObject(object)], name, options);
}

function parseDocuments(documents: readonly YamlDocument[], file: string, options: ParseOptions): ParsedPolicies {
  const rules: RuleOptions = {
    checkPattern: options.checkPattern,
    local: options.local ?? true,
  };
  const policies: Policy[] = [];
  const faults: PolicyFault[] = [];
  const notices: PolicyNotice[] = [];
  const seen = new Map<string, number>();
  documents.forEach((document, at) => {
    const add = (fault: DocumentFault): void => {
      const { path, message, line } = fault;
      faults.push({ file, document: at + 1, path: formatPath(path), message, line: line ?? document.lineOf(path) });
    };
    const { policy, faults: found, clusterOnly: only } = parseDocument(document, file, rules, options.cluster ?? true);
    if (policy === undefined) return found.forEach(add);
    const label = policy.namespace === undefined ? `cluster/${policy.name}` : policy.name;
    for (const { path, message } of only) notices.push({ policy: label, field: formatPath(path.slice(1)), message });
    const key = `${policy.kind}/${policy.namespace ?? ''}/${policy.name}`;
    const before = seen.get(key);
    if (before !== undefined)
      add({ path: ['metadata', 'name'], message: `document ${before} is the same policy: remove one, or rename it` });
    seen.set(key, at + 1);
    policies.push(policy);
  });
  if (policies.length === 0 && faults.length === 0) {
    faults.push({ file, document: 1, path: '', message: 'the file holds no policy', line: undefined });
  }
  return faults.length > 0 ? { policies: [], faults, notices: [] } : { policies, faults, notices };
}

/** `policy.yaml:12: spec.access[0].effect: must be …`, with the document where a file has several. */
export function formatFault(fault: PolicyFault): string {
  const where = fault.line === undefined ? `${fault.file} (document ${fault.document})` : `${fault.file}:${fault.line}`;
  return `${where}: ${fault.path === '' ? '' : `${fault.path}: `}${fault.message}`;
}
