import { assertNever } from '../base/index.ts';
import { tableName } from './rules.ts';
import type { Action, Chain, Match } from './rules.ts';
import type { PortRange } from './port-range.ts';

const oneOf = (items: readonly string[]): string => (items.length === 1 ? (items[0] ?? '') : `{ ${items.join(', ')} }`);

const rangeText = ({ first, last }: PortRange): string => (first === last ? `${first}` : `${first}-${last}`);

function matchText(match: Match): string {
  switch (match.on) {
    case 'oif':
    case 'iif':
      return `${match.on} ${match.not === true ? '!= ' : ''}"${match.is}"`;
    case 'skuid':
      return `meta skuid ${oneOf(match.uids.map(String))}`;
    case 'skgid':
      return `meta skgid ${match.gid}`;
    case 'l4proto':
      return `meta l4proto ${match.not === true ? '!= ' : ''}${oneOf(match.names)}`;
    case 'dport':
      return `${match.protocol} dport ${oneOf(match.ports.map(rangeText))}`;
    case 'established':
      return 'ct state established';
    default:
      return assertNever(match);
  }
}

function actionText(action: Action): string {
  switch (action.do) {
    case 'accept':
      return 'accept';
    case 'reset':
      return 'reject with tcp reset';
    case 'redirect':
      return `redirect to :${action.port}`;
    default:
      return assertNever(action);
  }
}

const chainText = ({ name, type, hook, priority, policy, rules }: Chain): string =>
  [
    `\tchain ${name} {`,
    `\t\ttype ${type} hook ${hook} priority ${priority}; policy ${policy};`,
    ...rules.map(({ when, then }) => `\t\t${[...when.map(matchText), actionText(then)].join(' ')}`),
    '\t}',
  ].join('\n');

/**
 * The input of `nft -f -`. One transaction that takes our table away first: an init container may run again, and there is no
 * moment without rules.
 */
export const rulesetText = (chains: readonly Chain[]): string =>
  [
    // `delete` fails where there is no table, `add` does nothing where there is one.
    `add table inet ${tableName}`,
    `delete table inet ${tableName}`,
    `table inet ${tableName} {`,
    chains.map(chainText).join('\n\n'),
    '}',
    '',
  ].join('\n');
