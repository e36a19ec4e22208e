/** Built-in detectors by the name that policies use; pkg/detect has one file for each. */
export const detectorNames = [
  'CreditCard',
  'Iban',
  'UsSsn',
  'Email',
  'Phone',
  'IpAddress',
  'MacAddress',
  'Jwt',
  'PrivateKey',
  'AwsKey',
  'GitHubToken',
  'GenericApiKey',
] as const;
export type DetectorName = (typeof detectorNames)[number];

/** Classes stand for all of their members. */
export const detectorClasses: Readonly<Record<string, readonly DetectorName[]>> = {
  Pii: ['CreditCard', 'Iban', 'UsSsn', 'Email', 'Phone', 'IpAddress', 'MacAddress'],
  Secrets: ['Jwt', 'PrivateKey', 'AwsKey', 'GitHubToken', 'GenericApiKey'],
};

/** Members of a class, the detector itself, or undefined for an unknown name. */
export function expandDetector(name: string): readonly DetectorName[] | undefined {
  const one = detectorNames.find((known) => known === name);
  return one === undefined ? detectorClasses[name] : [one];
}
