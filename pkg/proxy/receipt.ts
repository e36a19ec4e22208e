import type { Session } from './session.ts';

/**
 * The enforcement receipt: which policy generation and rules ran on this exchange, and whether anything failed open. For
 * people and scripts: `id=…; generation=support-llm@7; rules="support-llm/engineers-chat=allowed"; failed-open=none`.
 * On streams the header can name only id and generation, because rules act later; the rest is in the record, and in a last
 * comment for a caller who asks with `sidegate-receipt: full`. (Structured like RFC 9110 parameters.)
 * Of very many rules it names as many as a header may be long (`longestRules`) and ends with `,...`: the record has them all.
 */
export const receiptHeader = 'sidegate-receipt';

/** Characters of the rules in a receipt: clients refuse an answer whose headers are longer than 8 to 16 KiB. */
export const longestRules = 4_000;

export function receipt(session: Session, whole: boolean): string {
  const head = `id=${session.id}; generation=${quote(session.generation)}`;
  if (!whole) return head;
  const rules = session
    .acts()
    .map((one) => `${one.rule}=${one.act}`)
    .join(',');
  const open = session.failedOpen.length === 0 ? 'none' : session.failedOpen.join(',');
  return `${head}; rules=${quote(cut(rules))}; failed-open=${open}`;
}

/** Behind the last rule that is whole. */
function cut(rules: string): string {
  if (rules.length <= longestRules) return rules;
  return `${rules.slice(0, rules.lastIndexOf(',', longestRules) + 1)}...`;
}

/** Rule names come from policies, whose schema bounds their characters; anything else would end the header. */
const quote = (text: string): string => `"${text.replace(/[^\x20-\x7e]|["\\]/g, '_')}"`;
