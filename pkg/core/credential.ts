/**
 * Length of the model's credential, in characters. The scanner looks for it in every answer: what is shorter stands in
 * ordinary text, what is longer is more than the scanner takes for one finding.
 */
export const credentialLength = { least: 8, most: 4_096 } as const;

/**
 * Why a text is not a credential of the model, in words without the text; undefined: it is one. Whoever reads credentials
 * asks here, so that none is sent that could add a header, split a request, or come back unseen.
 */
export function credentialFault(text: string): string | undefined {
  const { least, most } = credentialLength;
  if (text === '') return 'it is empty';
  if (text.length < least) return `it is shorter than ${least} characters`;
  if (text.length > most) return `it is longer than ${most} characters`;
  // RFC 9110 section 5.5 allows more in a field value; no credential needs more, and spaces at the ends would be dropped.
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text))
    return 'it has a control character, a line break, a space at an end or a byte that is not ASCII';
  return undefined;
}
