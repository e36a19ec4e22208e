import type { Detector } from '../../detector.ts';
import { sgNric, krRrn, jpMyNumber } from './asia.ts';
import { auTfn, auAbn, auMedicare } from './australia.ts';
import { beNationalNumber } from './belgium.ts';
import { brCpf, brCnpj } from './brazil.ts';
import { caSin } from './canada.ts';
import { frNir } from './france.ts';
import { deTaxId } from './germany.ts';
import { inAadhaar, inPan } from './india.ts';
import { itCodiceFiscale } from './italy.ts';
import { mxCurp } from './mexico.ts';
import { nlBsn } from './netherlands.ts';
import { sePersonnummer, fiHetu, noFodselsnummer, dkCpr } from './nordic.ts';
import { plPesel } from './poland.ts';
import { zaId } from './south-africa.ts';
import { esDni } from './spain.ts';
import { trKimlik } from './turkey.ts';
import { ukDriverLicence, ukNhsNumber, ukNino } from './united-kingdom.ts';
import { usItin, usPassport, usDriverLicence, usBankRouting } from './united-states.ts';

/** Numbers that states and their offices issue, in the order of detectorNames. */
export const issuedNumbers: readonly Detector[] = [
  usItin,
  usPassport,
  usDriverLicence,
  usBankRouting,
  ukNhsNumber,
  ukNino,
  ukDriverLicence,
  caSin,
  auTfn,
  auAbn,
  auMedicare,
  inAadhaar,
  inPan,
  esDni,
  itCodiceFiscale,
  frNir,
  deTaxId,
  plPesel,
  nlBsn,
  beNationalNumber,
  sePersonnummer,
  fiHetu,
  noFodselsnummer,
  dkCpr,
  brCpf,
  brCnpj,
  sgNric,
  krRrn,
  jpMyNumber,
  zaId,
  mxCurp,
  trKimlik,
];
