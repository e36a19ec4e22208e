import type { DetectorName } from '../core/index.ts';

/** What each detector finds, what it does not, and how certain it is: the declarations in pkg/detect/detectors say the same to who reads the code. */
/** Of numbers that offices issue. */
const checked =
  'Certain where a word tells of it; Likely where its spelling does; Possible in other spellings without a word.';
const spelled =
  'Certain where a word tells of it and its spelling does; Likely where one of them does; Possible directly behind a word such as `order no.`';
const told = 'Likely.';

const detectors: Readonly<
  Record<DetectorName, { readonly finds: string; readonly not: string; readonly sure: string }>
> = {
  CreditCard: {
    finds:
      'Payment cards (ISO/IEC 7812): 13 to 19 digits with a known network’s prefix and length and a valid check digit (Luhn), in one piece, digit by digit or in groups.',
    not: 'A card glued to other digits (only exactly two of 16 digits are); one in pairs of digits; one among further groups of a column of numbers; digits behind a decimal point or in hex.',
    sure: 'Certain in groups; Likely in one piece.',
  },
  Iban: {
    finds:
      'International bank account numbers (ISO 13616) with their country’s length and valid check digits, in one piece or in groups of four with spaces or hyphens, in either case.',
    not: 'Other groupings (`DE89 370400 44…`); national account numbers.',
    sure: 'Certain.',
  },
  UsSsn: {
    finds:
      'US social security numbers as assigned since 2011: `123-45-6789`, `123 45 6789`; also in one piece where a word that tells (`ssn`, `social security`) stands before.',
    not: 'Nine bare digits without such a word; other separators (`123.45.6789`, `123 - 45 - 6789`); a number that is part of a longer one (`1-123-45-6789`); areas 000, 666 and 9xx (ITINs).',
    sure: 'Certain grouped and told; Likely grouped, or told in one piece.',
  },
  Email: {
    finds:
      'Addresses of RFC 5321 with a local part of up to 64 characters and a domain with a dot; quoted local parts of ordinary characters and spaces.',
    not: 'Other quoted local parts; address literals (`ana@[10.0.0.1]`); domains without a dot or in scripts other than Latin (punycode is found); of a longer local part all but its last 64 characters.',
    sure: 'Certain.',
  },
  Phone: {
    finds:
      'International numbers (`+` or `00` and an assigned country code); national ones with a trunk 0, and North American ones, grouped as numbers are; 8 to 13 digits at most 12 characters behind a word such as `tel` or `phone`.',
    not: 'Bare digits without such a word; seven-digit local numbers; extensions (the number before one is found).',
    sure: 'Certain with `+` and of its country’s numbering plan, or directly told; Likely with `+` and of no plan, with `00`, or in a national form; Possible without `+` behind a word such as `order` or `isbn`.',
  },
  IpAddress: {
    finds: 'IPv4 in four decimal parts; IPv6 in the text forms of RFC 4291.',
    not: 'Zone, port and prefix length, which stay; four numbers behind `v`; short compressed forms without a group of three hex digits (`a::b`) but `::1`; addresses as one number or in octal or hex.',
    sure: 'Certain IPv6; Likely IPv4; Possible small numbers behind `version` or `section`.',
  },
  MacAddress: {
    finds: 'EUI-48 and EUI-64 in pairs with `:` or `-`; EUI-48 in three groups of four with dots.',
    not: 'Twelve bare hex digits; longer lists of pairs (a certificate’s fingerprint).',
    sure: 'Certain.',
  },
  Jwt: {
    finds: 'JSON Web Tokens, signed or encrypted, however long.',
    not: 'The header of a token whose first parameter no registry knows (claims and signature are found); other base64 of JSON.',
    sure: 'Certain.',
  },
  PrivateKey: {
    finds:
      'PEM, ASCII armour and SSH2’s from the `BEGIN … PRIVATE KEY` line to its END line, or to the end of the text; PuTTY’s files; the base64 of a whole PEM; base64 without its BEGIN line that begins as PKCS #1, #8 or #12, SEC 1 or OpenSSH does; the private part `d` of a JWK.',
    not: 'Other key material without its BEGIN line; DER in hex; OpenPGP’s binary form.',
    sure: 'Certain.',
  },
  AwsKey: {
    finds:
      'Access key ids (`AKIA`, `ASIA`, `ABIA`, `ACCA`); secret access keys at most 64 characters behind a word that tells (`secret`, `aws`, an access key id).',
    not: 'A secret access key alone.',
    sure: 'Certain an id; Likely a secret access key.',
  },
  GitHubToken: {
    finds: '`ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_` and `github_pat_`, whatever their length.',
    not: 'Tokens without a prefix (before 2021).',
    sure: 'Certain.',
  },
  GenericApiKey: {
    finds:
      'Values behind a name that tells (`password`, `api_key`, `token`, `secret` …) and `=`, `:` or `is`, in the spellings of shells, INI, YAML, JSON, XML, code and sentences; `Bearer VALUE`; prefixes of vendors (`sk-`, `xoxb-`, `glpat-`, `AIza`, `hf_` …).',
    not: 'Passwords of letters alone or shorter than six; other values shorter than eight, or without two digits unless they are sixteen of random case; references (`$TOKEN`, `getToken()`), paths and fillers (`****`); user information in URLs (`https://user:secret@…`).',
    sure: 'Certain by a prefix; Likely behind a name.',
  },
  VendorToken: {
    finds:
      'Tokens that some 200 vendors issue (clouds, models, source and builds, registries, chat, payment, monitoring …), by the prefix, characters and length that each gives them (longer ones, too, where that is a range); with letters glued to them where the prefix has five characters or more and a sign, or the checksum holds; tokens without a prefix behind a name that holds the vendor’s (`DATADOG_APP=…`).',
    not: 'Examples and fillers (`ghp_your_token`); a token without a prefix that no name tells of.',
    sure: 'Certain by a prefix or a checksum; Likely where a name tells of it, or where the checksum of one that has one does not hold.',
  },
  Credential: {
    finds:
      'Passwords and keys where they are given, to their end: `scheme://user:password@host` (also percent-encoded), connection strings, `Authorization: Basic`, `.netrc`, Docker’s and npm’s settings, `curl -u`, and assignments to names that tell in `.env`, YAML, JSON, XML, shells and code: any value in quotes or in an environment file behind `password` and the like (also `пароль`, `密码`, `パスワード`, `비밀번호`), values that look drawn behind `secret`, `token`, `…key`.',
    not: 'References (`${TOKEN}`, `getToken()`), fillers (`changeme`, `<your-key>`, `xxxx`, `****`), words for types and states; bare passwords of letters alone outside of environment files; values of more than 100 characters (see `GenericApiKey`); values whose name stands apart in JSON that is read as such.',
    sure: 'Likely.',
  },
  CryptoAddress: {
    finds:
      'Addresses of crypto-currencies whose checksum holds: Base58Check (Bitcoin), Bech32 and Bech32m (Bitcoin, Litecoin, Cosmos and its kin, Cardano), Ethereum and its kin (EIP-55), Bitcoin Cash, Stellar, Monero.',
    not: 'Addresses of Base58Check that begin with a letter (Dogecoin, Dash, Tron, Zcash, Litecoin before SegWit); of Solana, Ripple, Polkadot and others; private keys and seeds.',
    sure: 'Certain by a checksum; Likely an address of Ethereum in one case, which has none; Possible one in other capitals than its checksum says.',
  },
  UsItin: {
    finds:
      'US taxpayer identification numbers: 9, a group of 50 to 65, 70 to 88, 90 to 92 or 94 to 99; bare digits behind a word that tells.',
    not: 'Bare digits without such a word.',
    sure: spelled,
  },
  UsPassport: {
    finds: 'Six to nine digits, or letters and digits, behind `passport`.',
    not: 'A number without the word.',
    sure: told,
  },
  UsDriverLicence: {
    finds:
      'Numbers of driving licences behind a word that tells (`driver’s license`, `driving licence`, `DL no`), in the formats of the states.',
    not: 'A number without the word; more than three letters in front; five characters (Kansas).',
    sure: told,
  },
  UsBankRouting: {
    finds:
      'Routing numbers of US banks (nine digits, prefix of the Federal Reserve, check digit) behind `routing`, `ABA`, `RTN`, `wire` …',
    not: 'A number without the word.',
    sure: checked,
  },
  UkNhsNumber: {
    finds: 'NHS numbers (ten digits, check digit) behind `NHS` or a word like it.',
    not: 'A number without the word.',
    sure: checked,
  },
  UkNino: {
    finds: 'National Insurance numbers: prefix, six digits, suffix A to D; in small letters behind a word that tells.',
    not: 'A number without its suffix.',
    sure: spelled,
  },
  UkDriverLicence: {
    finds:
      'British driver numbers (name, date of birth, initials) in capitals; in small letters behind a word that tells.',
    not: 'Northern Ireland’s, which are eight digits.',
    sure: spelled,
  },
  CaSin: {
    finds: 'Canadian social insurance numbers (Luhn) as `123-456-782`; in other spellings behind `SIN`, `NAS` …',
    not: 'Numbers that begin with 0.',
    sure: checked,
  },
  AuTfn: {
    finds: 'Australian tax file numbers (check digit) behind `TFN`, `tax file number` …',
    not: 'A number without the word.',
    sure: checked,
  },
  AuAbn: {
    finds: 'Australian business numbers (check digits) as `51 824 753 556`; in other spellings behind `ABN` …',
    not: 'Bare digits without the word.',
    sure: checked,
  },
  AuMedicare: {
    finds:
      'Numbers of Medicare cards (check digit) as `2123 45670 1`, with the person’s number; in other spellings behind `Medicare`.',
    not: 'Bare digits without the word.',
    sure: checked,
  },
  InAadhaar: {
    finds: 'Aadhaar numbers (Verhoeff) in groups of four; bare digits behind `Aadhaar`, `UIDAI` …',
    not: 'Bare digits without the word; virtual ids.',
    sure: checked,
  },
  InPan: {
    finds: 'Permanent account numbers of India in capitals; in small letters behind `PAN` …',
    not: 'Kinds of holders that are not issued.',
    sure: spelled,
  },
  EsDni: {
    finds:
      'Spanish DNI and NIE with their letter, in capitals or with points and hyphens; `12345678z` behind a word that tells.',
    not: 'A number without its letter.',
    sure: checked,
  },
  ItCodiceFiscale: {
    finds: 'The Italian codice fiscale of persons (check letter), also where letters replace digits.',
    not: 'That of firms, which is eleven digits.',
    sure: checked,
  },
  FrNir: {
    finds: 'French social security numbers with their key, bare or grouped.',
    not: 'A number without its key.',
    sure: checked,
  },
  DeTaxId: {
    finds: 'The German Steuer-ID (check digit) as `65 929 970 489`; in other spellings behind a word that tells.',
    not: 'Bare digits without such a word; Steuernummern of tax offices.',
    sure: checked,
  },
  PlPesel: {
    finds: 'PESEL (date, check digit) behind `PESEL`.',
    not: 'A number without the word.',
    sure: checked,
  },
  NlBsn: {
    finds: 'Dutch BSN (elfproef) as `1112.22.333`; in other spellings behind `BSN` …',
    not: 'Bare digits without the word.',
    sure: checked,
  },
  BeNationalNumber: {
    finds: 'Belgian national register numbers (date, mod 97) grouped; bare digits behind a word that tells.',
    not: 'Bare digits without such a word.',
    sure: checked,
  },
  SePersonnummer: {
    finds:
      'Swedish personal identity and coordination numbers (date, Luhn) with `-` or `+`; bare digits behind a word that tells.',
    not: 'Bare digits without such a word.',
    sure: checked,
  },
  FiHetu: {
    finds:
      'Finnish personal identity codes (date, check character) in capitals; in small letters behind a word that tells.',
    not: '—',
    sure: checked,
  },
  NoFodselsnummer: {
    finds: 'Norwegian birth and D-numbers (date, two check digits).',
    not: 'Numbers without check digits, which are given from 2032 on.',
    sure: checked,
  },
  DkCpr: {
    finds: 'Danish CPR numbers as `211062-5629`; bare digits behind `CPR` …',
    not: 'Bare digits without the word. The check digit, to which new numbers do not keep, is not asked for.',
    sure: spelled,
  },
  BrCpf: {
    finds: 'CPF (two check digits) grouped; bare digits behind `CPF` …',
    not: 'Bare digits without the word.',
    sure: checked,
  },
  BrCnpj: {
    finds:
      'CNPJ (two check digits), also with letters, with `/` or `-` as they are grouped; others of a first branch, and all behind `CNPJ`.',
    not: 'Bare ones of other branches without the word, and those with points alone.',
    sure: checked,
  },
  SgNric: {
    finds: 'NRIC and FIN of Singapore (check letter) in capitals; in small letters behind a word that tells.',
    not: '—',
    sure: checked,
  },
  KrRrn: {
    finds: 'Korean resident registration numbers (date, sex) with a hyphen; bare digits behind a word that tells.',
    not: 'Bare digits without such a word. The check digit, which new numbers lack, is not asked for.',
    sure: spelled,
  },
  JpMyNumber: {
    finds: 'Japanese Individual Numbers (check digit) behind `マイナンバー`, `個人番号`, `My Number`.',
    not: 'A number without the word.',
    sure: checked,
  },
  ZaId: {
    finds:
      'South African identity numbers (date, Luhn) as `800101 5009 087`; in other spellings behind a word that tells.',
    not: 'Bare digits without such a word.',
    sure: checked,
  },
  MxCurp: {
    finds: 'CURP of Mexico (date, state, check digit).',
    not: '—',
    sure: checked,
  },
  TrKimlik: {
    finds: 'Turkish identity numbers (two check digits) behind `TC`, `kimlik` …',
    not: 'A number without the word.',
    sure: checked,
  },
  BirthDate: {
    finds:
      'Dates behind a word that tells of a birth (`date of birth`, `DOB`, `born`, `geboren`, `né le`, `出生日期` …): year, month and day in either order, in eight digits, with the month’s name in languages of Latin script.',
    not: 'Any other date; one with a word of its own line before it that tells of no birth; dates with characters (`1984年3月12日`); ages; a day and a month without a year; years before 1890.',
    sure: told,
  },
  Vin: {
    finds:
      'Vehicle identification numbers (ISO 3779) in capitals: with the check digit of North America and China wherever they stand, others behind `VIN`, `chassis`, `Fahrgestellnummer` …',
    not: 'Small letters; European numbers, which have no check digit, without a word.',
    sure: 'Certain told and checked; Likely where one of them.',
  },
  MedicalRecordNumber: {
    finds:
      'Five to twelve digits, or letters and digits, behind `MRN`, `medical record`, `patient ID`, `Patientennummer` …',
    not: 'A number without the word.',
    sure: told,
  },
  IcdCode: {
    finds: 'Codes of diagnoses (ICD-10) with a point behind `ICD`, `diagnosis`, `Dx` …; without one behind `ICD`.',
    not: 'A code without a word; ICD-9 and ICD-11.',
    sure: told,
  },
  Passport: {
    finds:
      'Numbers of passports behind the word in some twenty languages, in the forms of the countries; behind `passport` those that `UsPassport` does not know.',
    not: 'A number without the word.',
    sure: told,
  },
};

export function detectorTable(): string[] {
  return [
    '| Detector | Finds | Does not find | How certain |',
    '| --- | --- | --- | --- |',
    ...Object.entries(detectors).map(([name, { finds, not, sure }]) => `| \`${name}\` | ${finds} | ${not} | ${sure} |`),
  ];
}
