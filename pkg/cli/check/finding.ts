/** One line of `sidegate check`. */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was looked at: stable words. */
  readonly check: string;
  readonly message: string;
  /** What to do; always there unless all is well. */
  readonly hint?: string;
}

export const ok = (check: string, message: string): Finding => ({ level: 'ok', check, message });
export const warn = (check: string, message: string, hint: string): Finding => ({
  level: 'warn',
  check,
  message,
  hint,
});
export const fail = (check: string, message: string, hint: string): Finding => ({
  level: 'fail',
  check,
  message,
  hint,
});

/** Up to five names, and how many more. */
export function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

/** One finding for a list of what is wrong: all is well where it is empty. */
export function unlessAny(
  check: string,
  wrong: readonly string[],
  words: { readonly ok: string; readonly message: (names: string) => string; readonly hint: string },
  level: 'warn' | 'fail' = 'fail',
): Finding {
  if (wrong.length === 0) return ok(check, words.ok);
  return { level, check, message: words.message(some(wrong)), hint: words.hint };
}
