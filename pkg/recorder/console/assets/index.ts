import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { assetTexts } from './texts.ts';

/** One file of the console, as browsers get it. */
export interface ConsoleAsset {
  readonly name: string;
  /** Content-Type, Content-Encoding (every browser takes gzip) and ETag, which is strong. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const types: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** All of them; `index.html` is the page, the others are what it loads from `/console/assets/NAME`. */
export const consoleAssets: readonly ConsoleAsset[] = Object.entries(assetTexts).map(([name, text]) => ({
  name,
  headers: {
    'content-type': types[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
    'content-encoding': 'gzip',
    etag: `"${createHash('sha256').update(text).digest('base64url')}"`,
  },
  body: gzipSync(text, { level: 9 }),
}));
