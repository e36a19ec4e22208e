/** Numbers that states and their offices issue to persons and firms (pkg/detect/detectors/issued). */
const issuedNumbers = [
  'UsItin',
  'UsPassport',
  'UsDriverLicence',
  'UsBankRouting',
  'UkNhsNumber',
  'UkNino',
  'UkDriverLicence',
  'CaSin',
  'AuTfn',
  'AuAbn',
  'AuMedicare',
  'InAadhaar',
  'InPan',
  'EsDni',
  'ItCodiceFiscale',
  'FrNir',
  'DeTaxId',
  'PlPesel',
  'NlBsn',
  'BeNationalNumber',
  'SePersonnummer',
  'FiHetu',
  'NoFodselsnummer',
  'DkCpr',
  'BrCpf',
  'BrCnpj',
  'SgNric',
  'KrRrn',
  'JpMyNumber',
  'ZaId',
  'MxCurp',
  'TrKimlik',
] as const;

/** What else is known of a person (pkg/detect/detectors/personal). */
const personalData = ['BirthDate', 'Vin', 'MedicalRecordNumber', 'IcdCode', 'Passport'] as const;

/** Built-in detectors by the name that policies use; pkg/detect/detectors has them. */
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
  'VendorToken',
  'Credential',
  'CryptoAddress',
  ...issuedNumbers,
  ...personalData,
] as const;
export type DetectorName = (typeof detectorNames)[number];

/** Classes stand for all of their members. */
export const detectorClasses: Readonly<Record<string, readonly DetectorName[]>> = {
  Pii: [
    ...(['CreditCard', 'Iban', 'UsSsn', 'Email', 'Phone', 'IpAddress', 'MacAddress', 'CryptoAddress'] as const),
    ...issuedNumbers,
    ...personalData,
  ],
  Secrets: ['Jwt', 'PrivateKey', 'AwsKey', 'GitHubToken', 'GenericApiKey', 'VendorToken', 'Credential'],
};

/** Members of a class, the detector itself, or undefined for an unknown name. */
export function expandDetector(name: string): readonly DetectorName[] | undefined {
  const one = detectorNames.find((known) => known === name);
  return one === undefined ? detectorClasses[name] : [one];
}

/** What findings are known by, in records and metrics. */
export const finders = [...detectorNames, 'pattern', 'word', 'field'] as const;
