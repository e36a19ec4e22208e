import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The browser of this machine's package: Debian's `chromium`, or a Chrome in PATH. */
export function findChromium(): string | undefined {
  const folders = ['/usr/bin', ...(process.env['PATH'] ?? '').split(':')];
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path));
}

export const noChromium = 'the web console is tested in a real browser: install chromium';
