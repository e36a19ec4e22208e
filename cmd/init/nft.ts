import { execFile } from 'node:child_process';
import { CodedError, describeError, errorCode } from '../../pkg/base/index.ts';

export type InitErrorCode =
  'nft_missing' | 'nft_not_allowed' | 'nft_failed' | 'nft_timeout' | 'rules_differ' | 'rules_do_not_hold';

/** Why the pod may not start; the message says what to do. */
export class InitError extends CodedError<InitErrorCode> {}

/** Milliseconds: it takes some 10 ms; a node under load gets a thousand times as long, then the kubelet tries again. */
const nftTimeoutMs = 10_000;

/**
 * Runs nft with `args` and `input` on its standard input, and gives what it printed.
 *
 * @throws InitError
 */
export function runNft(args: readonly string[], input = '', program = 'nft'): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args],
      { timeout: nftTimeoutMs, killSignal: 'SIGKILL', maxBuffer: 16 << 20, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(nftError(error, stderr));
      },
    );
    // An nft that ended early has said why; the pipe that it left behind says nothing more.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

function nftError(error: Error & { readonly killed?: boolean | undefined }, stderr: string): InitError {
  const said = stderr.trim().slice(0, 2_000);
  if (errorCode(error) === 'ENOENT')
    return new InitError('nft_missing', 'nft is not in this image: use the Sidegate image, or add nftables to yours', {
      cause: error,
    });
  if (error.killed === true)
    return new InitError('nft_timeout', `nft did not end within ${nftTimeoutMs / 1_000} s: is the node overloaded?`, {
      cause: error,
    });
  if (/Operation not permitted|EPERM/i.test(said))
    return new InitError(
      'nft_not_allowed',
      'nft may not set rules here: the init container needs uid 0 and the capability NET_ADMIN. Where Pod Security refuses those (baseline, restricted), let the platform team permit the capture mode NamedPort for this namespace',
      { cause: error },
    );
  return new InitError('nft_failed', `nft failed: ${said === '' ? describeError(error) : said}`, { cause: error });
}
