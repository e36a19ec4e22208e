import { jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import type { AuditClient } from './client.ts';

/** A log, wherever it comes from. */
export interface LogPages {
  heads(): Promise<readonly string[]>;
  /** Each entry, and the lines of its block: undefined: not asked for; null: not there. */
  each(take: (index: number, text: string, lines: string | null | undefined) => void): Promise<void>;
}

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
const listOf = (value: JsonValue | undefined): readonly { readonly [key: string]: JsonValue }[] =>
  Array.isArray(value)
    ? value.filter((one) => typeof one === 'object' && one !== null && !Array.isArray(one)).map((one) => one as never)
    : [];

/** The log as the recorder gives it. */
export function logOfRecorder(audit: AuditClient, withLines: boolean): LogPages {
  return {
    async heads() {
      const all: string[] = [];
      for (let from = 0; ;) {
        const page = listOf((await audit.get(`/v1/log/heads?from=${from}&limit=2000`))['heads']);
        all.push(...page.map((one) => textOf(one['text'])));
        const last = page.at(-1);
        if (last === undefined || page.length < 2_000) return all;
        from = Number(last['size']) + 1;
      }
    },
    async each(take) {
      for (let from = 0; ;) {
        const page = listOf((await audit.get(`/v1/log/entries?from=${from}&limit=2000`))['entries']);
        for (const one of page) {
          const index = Number(one['index']);
          const text = textOf(one['text']);
          const isBlock = text.startsWith('{"v":1,"type":"block"');
          const { lines } = withLines && isBlock ? await audit.get(`/v1/log/blocks/${index}`) : { lines: undefined };
          take(index, text, isBlock && withLines ? (typeof lines === 'string' ? lines : null) : undefined);
          from = index + 1;
        }
        if (page.length < 2_000) return;
      }
    },
  };
}

/** The log as `audit export` wrote it. */
export function logOfFile(text: string, withLines: boolean): LogPages {
  const items = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => jsonValue(parseJson(line)) as { readonly [key: string]: JsonValue });
  return {
    heads: async () => items.filter((one) => one['kind'] === 'head').map((one) => textOf(one['text'])),
    async each(take) {
      for (const one of items) {
        if (one['kind'] !== 'entry') continue;
        const { lines } = one;
        const given = lines === undefined || !withLines ? undefined : typeof lines === 'string' ? lines : null;
        take(Number(one['index']), textOf(one['text']), given);
      }
    },
  };
}
