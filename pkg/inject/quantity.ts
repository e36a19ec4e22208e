/** Kubernetes' quantities of bytes, as far as the chart's values take them. */
const factors: Readonly<Record<string, number>> = {
  m: 1 / 1_000,
  '': 1,
  k: 1_000,
  Ki: 1_024,
  ...Object.fromEntries(
    [...'MGTPE'].flatMap((unit, at) => [
      [unit, 1_000 ** (at + 2)],
      [`${unit}i`, 1_024 ** (at + 2)],
    ]),
  ),
};

/**
 * `1Gi`, `500M`, `1.5Gi`, `1024`, in whole bytes; undefined where it is none of these. As in Kubernetes, what is more than can be counted
 * is the most that can.
 */
export function quantityBytes(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)(m|k|Ki|[MGTPE]i?)?$/.exec(text);
  const factor = factors[match?.[2] ?? ''];
  if (match === null || factor === undefined) return undefined;
  return Math.min(Math.floor(Number(match[1]) * factor), Number.MAX_SAFE_INTEGER);
}

/**
 * Bytes that the record may take of its volume: three quarters. The kubelet evicts a pod whose volume grows over its limit, and looks
 * only now and then; the sidecar refuses before.
 */
export const spoolLimit = (spoolSize: string): number => Math.floor(((quantityBytes(spoolSize) ?? 0) * 3) / 4);
