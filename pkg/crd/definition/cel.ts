import { httpsForm } from '../check-conditions.ts';
import type { Condition, SchemaNode, Validation } from '../schema-node.ts';

/**
 * The conditions of a schema as `x-kubernetes-validations`, so that the API server refuses what check-conditions.ts refuses.
 *
 * Limit: a size that is written as text (`65Mi`) is held to its form only. The type of a size is open to the API server, which
 * then counts every text as 3 MiB long against the cost limit of a rule; the webhook and the controller read it.
 */

function text(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function list(values: readonly string[]): string {
  return `[${values.map(text).join(', ')}]`;
}

const has = (name: string): string => `has(self.${name})`;

/** The field is there, and no empty list. */
function given(name: string, node: SchemaNode): string {
  return node.properties?.[name]?.type === 'array' ? `(${has(name)} && size(self.${name}) > 0)` : has(name);
}

/** A condition as rules; none where the node no longer has the fields that it is about. */
function conditionRules(condition: Condition, node: SchemaNode): readonly Validation[] {
  const known = (name: string): boolean => Object.hasOwn(node.properties ?? {}, name);
  switch (condition.kind) {
    case 'ExactlyOne': {
      const of = condition.of.filter(known);
      // One that is left is required, by the schema itself.
      if (of.length < 2) return [];
      return [
        { rule: `[${of.map(has).join(', ')}].exists_one(x, x)`, message: `needs exactly one of ${of.join(', ')}` },
      ];
    }
    case 'AtMostOne': {
      const of = condition.of.filter(known);
      if (of.length < 2) return [];
      return [
        {
          rule: `[${of.map(has).join(', ')}].filter(x, x).size() < 2`,
          message: `only one of ${of.join(', ')} can stand here`,
        },
      ];
    }
    case 'AtLeastOne': {
      const of = condition.of.filter(known);
      return [
        { rule: of.map((name) => given(name, node)).join(' || '), message: `needs at least one of ${of.join(', ')}` },
      ];
    }
    case 'Needs': {
      const { field, beside, is } = condition;
      if (!known(field)) return [];
      const values = is === undefined ? [] : [is].flat();
      const isOne =
        values.length === 1
          ? `self.${beside} == ${text(values[0] ?? '')}`
          : `self.${beside} in [${values.map(text).join(', ')}]`;
      const met = is === undefined ? given(beside, node) : `(${has(beside)} && ${isOne})`;
      const needed =
        is === undefined ? `needs ${beside} beside it` : `needs ${beside}: ${values.join(' or ')} beside it`;
      return [
        {
          rule: `!${has(field)} || ${met}`,
          message: condition.message ?? needed,
          fieldPath: `.${field}`,
          reason: 'FieldValueForbidden',
        },
      ];
    }
    case 'Wants': {
      const { field, where, is } = condition;
      return [
        {
          rule: `!(${has(where)} && self.${where} == ${text(is)}) || ${has(field)}`,
          message: `with ${where}: ${is} lacks the field "${field}"`,
          fieldPath: `.${field}`,
          reason: 'FieldValueRequired',
        },
      ];
    }
    case 'NotBeside': {
      const { field, others, message } = condition;
      const left = others.filter(known);
      if (!known(field) || left.length === 0) return [];
      return [
        {
          rule: `!${has(field)} || !(${left.map(has).join(' || ')})`,
          message,
          fieldPath: `.${field}`,
          reason: 'FieldValueForbidden',
        },
      ];
    }
  }
}

function boundsRules(node: SchemaNode): readonly Validation[] {
  const bounds = node['x-sidegate-bounds'];
  // Sizes are open in type: structural.ts says their bounds.
  if (bounds === undefined || node['x-kubernetes-int-or-string'] === true) return [];
  return [
    {
      rule: `duration(self) >= duration('${bounds.least}') && duration(self) <= duration('${bounds.most}')`,
      message: `must be at least ${bounds.least} and at most ${bounds.most}`,
    },
  ];
}

const https = httpsForm.source.replaceAll('\\/', '/');
const loopback = '^http://(localhost|\\[::1\\]|127(\\.[0-9]{1,3}){3})(:[0-9]{1,5})?(/[^?#@\\x00-\\x20\\x7f]*)?$';

function urlRules(node: SchemaNode): readonly Validation[] {
  const form = node['x-sidegate-url'];
  if (form === undefined) return [];
  const what = 'of host, port and path alone, such as https://idp.example.com/path';
  // The loopback that is asked for is only for a sidecar that runs on its own.
  return form === 'HttpsOrLoopback'
    ? [
        {
          rule: `self.matches(${text(https)}) || self.matches(${text(loopback)})`,
          message: `must be an https:// URL ${what} (plain http only on a loopback address)`,
        },
      ]
    : [{ rule: `self.matches(${text(https)})`, message: `must be an https:// URL ${what}` }];
}

function refusedRules(node: SchemaNode): readonly Validation[] {
  const refused = node['x-sidegate-refused'];
  if (refused === undefined) return [];
  const value = refused.ignoreCase === true ? 'self.lowerAscii()' : 'self';
  const hits = [
    `${value} in ${list(refused.values)}`,
    ...(refused.prefixes ?? []).map((prefix) => `${value}.startsWith(${text(prefix)})`),
  ];
  return [{ rule: `!(${hits.join(' || ')})`, message: refused.message, reason: 'FieldValueForbidden' }];
}

function re2Rules(node: SchemaNode): readonly Validation[] {
  if (node['x-sidegate-re2'] !== true) return [];
  // Always true; to find out, the API server compiles the pattern, and names the parser's fault when it cannot.
  return [
    {
      rule: "''.matches(self) ? true : true",
      message: 'must be a regular expression in RE2 syntax: without lookaround and backreferences',
    },
  ];
}

/** All rules of a node, those that stand in the schema as they are first. */
export function validationsOf(node: SchemaNode): readonly Validation[] {
  return [
    ...(node['x-kubernetes-validations'] ?? []),
    ...(node['x-sidegate-conditions'] ?? []).flatMap((condition) => conditionRules(condition, node)),
    ...boundsRules(node),
    ...urlRules(node),
    ...refusedRules(node),
    ...re2Rules(node),
  ];
}
