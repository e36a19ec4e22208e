import { captureRules, listingFaults, rulesetText, tableName } from '../../pkg/capture/index.ts';
import type { CaptureSpec } from '../../pkg/capture/index.ts';
import { InitError, runNft } from './nft.ts';
import { probeRules } from './probe-rules.ts';

/**
 * Sets the rules, reads them back, and tries them. Whatever does not hold ends in an error: the pod then does not start,
 * since a model without its rules is open to everybody.
 *
 * @throws InitError
 */
export async function capture(spec: CaptureSpec, uid: number): Promise<void> {
  const chains = captureRules(spec);
  await runNft(['-f', '-'], rulesetText(chains));
  const different = listingFaults(await runNft(['-j', 'list', 'table', 'inet', tableName]), chains);
  if (different.length > 0)
    throw new InitError(
      'rules_differ',
      `the kernel does not hold the rules that were set: ${different.join('; ')}. Does something else in this pod change nftables?`,
    );
  const open = await probeRules(spec, uid);
  if (open.length > 0)
    throw new InitError(
      'rules_do_not_hold',
      `the rules are set and do not hold: ${open.join('; ')}. Does a mesh or CNI plugin redirect these ports before Sidegate?`,
    );
}
