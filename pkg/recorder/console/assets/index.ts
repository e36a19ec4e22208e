import { createHash } from 'node:crypto';
import { assetTexts } from './texts.ts';

/** One file of the console, as browsers get it. */
export interface ConsoleAsset {
  readonly name: string;
  /** Value of Content-Type. */
  readonly type: string;
  readonly body: Buffer;
  /** Value of ETag, strong: the file's hash. */
  readonly etag: string;
}

const types: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** All of them; `index.html` is the page, the others are what it loads from `/console/assets/NAME`. Bundles that show no console leave them out. */
export const consoleAssets: readonly ConsoleAsset[] = /* @__PURE__ */ Object.entries(assetTexts).map(
  ([name, text]) => ({
    name,
    type: types[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
    body: Buffer.from(text),
    etag: `"${createHash('sha256').update(text).digest('base64url')}"`,
  }),
);
