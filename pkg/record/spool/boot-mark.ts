import { closeSync, fsyncSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeError, errorCode } from '../../base/index.ts';
import type { Logger } from '../../base/index.ts';

/**
 * The name of the boot of the machine under which the spool is written, beside it as long as nobody has closed it: who finds that of another boot
 * knows that the machine crashed, and that lines of the last 100 ms before it may be lost.
 */
export interface BootMark {
  /** Whether the machine was booted since the spool was written, and nobody had closed it. */
  readonly crashed: boolean;
  /** What was lost is on record: the mark is of this boot from now on. @returns false: it could not be written */
  take(): boolean;
  /** Everything is on the disk. */
  remove(): void;
}

const fileName = 'boot';
const shape = /^[0-9a-f-]{36}$/;

/** Of this boot, as Linux draws it (random(4)); undefined: the system does not say. */
export function systemBootId(): string | undefined {
  try {
    const text = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return shape.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Where the system does not say which boot it is, or the mark cannot be read, no crash is seen. */
export function readBootMark(folder: string, id: string | undefined, logger: Logger): BootMark {
  const path = join(folder, fileName);
  const before = textOf(path, logger);
  let told = false;
  return {
    crashed: id !== undefined && before !== undefined && before !== id,
    take() {
      if (id === undefined || before === id) return true;
      try {
        write(path, `${id}\n`);
        return true;
      } catch (error) {
        if (!told)
          logger.warn('a crash of the machine will not be told until its mark can be written', {
            error: describeError(error),
          });
        told = true;
        return false;
      }
    },
    remove() {
      try {
        unlinkSync(path);
      } catch (error) {
        if (errorCode(error) !== 'ENOENT')
          logger.warn('the mark of the boot cannot be removed', { error: describeError(error) });
      }
    },
  };
}

function textOf(path: string, logger: Logger): string | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return shape.test(text) ? text : undefined;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT')
      logger.warn('the mark of the boot cannot be read', { error: describeError(error) });
    return undefined;
  }
}

/** On the disk when it returns. */
function write(path: string, text: string): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  // The name, too.
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
