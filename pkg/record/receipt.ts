/** The enforcement receipt that a caller was given (header `sidegate-receipt`, pkg/proxy/receipt.ts). */
export interface Receipt {
  /** Request id: 32 hex digits. */
  readonly id: string;
  readonly generation: string;
  /** `RULE=ACT,…`, of very many the first, and `...`; undefined: the receipt of a stream does not say. */
  readonly rules: string | undefined;
  readonly failedOpen: string | undefined;
}

/** Undefined: it is none. Also with the header's name in front, as `curl -i` prints it. */
export function readReceipt(text: string): Receipt | undefined {
  const [, id, generation, rules, failedOpen] =
    /^(?:: ?)?(?:sidegate-receipt:? +)?id=([0-9a-f]{32}); generation="([^"]*)"(?:; rules="([^"]*)"; failed-open=([^;]*))?$/i.exec(
      text.trim(),
    ) ?? [];
  return id === undefined || generation === undefined ? undefined : { id, generation, rules, failedOpen };
}

/** A text as a receipt spells it. */
export const receiptText = (text: string): string => text.replace(/[^\x20-\x7e]|["\\]/g, '_');

/** Whether a receipt's rules are these, as far as it names them. */
export const namesRules = (receipt: string, rules: string): boolean =>
  receipt === rules || (receipt.endsWith(',...') && rules.startsWith(receipt.slice(0, -3)));
