import { jsonValue } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { cutValue } from '../bounds.ts';
import { common, known, some, textAt, textsOf, timesOf } from './event.ts';
import type { LogPlace, ShippedEvent } from './event.ts';

/** What is shipped of who decided what. */
const mostOfDecisions = { text: 256, characters: 8_192, members: 64 };
const denying = new Set(['denied', 'revoked', 'withdrawn']);

/** What became of an approval, a grant, a token or a revocation, as the controller recorded it. */
export function changeEvent(change: JsonNode, source: string, place: LogPlace): ShippedEvent {
  const [what = '', step = '', name = ''] = [textAt(change, 'what'), textAt(change, 'step'), textAt(change, 'name')];
  const caller = change.get('caller');
  const subject = textAt(caller, 'subject');
  const decided = change.get('decisions');
  const decisions =
    decided === undefined || decided.items.length === 0 ? undefined : cutValue(jsonValue(decided), mostOfDecisions);
  const { saidAt, ...times } = timesOf(change, place);
  return {
    ...times,
    id: textAt(change, 'session') ?? '',
    severity: denying.has(step) ? 'warning' : 'info',
    action: `${what}.${step}`,
    message: `${what} ${name} ${step}${subject === undefined ? '' : `: ${subject}`}`,
    fields: {
      ...common(source),
      ...known({
        'event.kind': 'event',
        'event.category': ['iam'],
        'event.type': ['change'],
        'user.name': subject,
        'user.domain': textAt(caller, 'issuer'),
        'user.roles': some(textsOf(caller?.get('groups'))),
        'source.address': textAt(change, 'from'),
        'rule.name': some(textsOf(change.get('rules'))),
        'sidegate.name': name,
        'sidegate.until': textAt(change, 'until'),
        'sidegate.requested_by': textAt(change, 'requestedBy'),
        'sidegate.taken_back_by': textAt(change, 'by'),
        'sidegate.decisions': decisions,
        'sidegate.said_at': saidAt,
      }),
    },
  };
}
