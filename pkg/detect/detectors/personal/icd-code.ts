import type { Detector } from '../../detector.ts';
import { shapedNumber } from '../issued/issued-number.ts';

// Codes of diagnoses, ICD-10 and its national forms (WHO; ICD-10-CM, -GM): a letter, a digit, a digit or A or B, and behind a point up to four
// more. A code with a point behind a word for diagnoses, one without behind the name of the classification alone: `B12` is a vitamin, too.

const classification = ['icd', 'icd 10', 'icd10', 'icd 10 cm', 'icd 10 gm', 'icd code', 'icd10cm', 'cim 10', 'cie 10'];
const diagnosis = [
  ...['diagnosis', 'diagnoses', 'diagnosed', 'diagnosis code', 'dx', 'dx code', 'diagnose', 'diagnosen', 'diagnostic'],
  ...['diagnostico', 'diagnosi', 'diagnoza', '诊断', '診断', '진단'],
];
const code = '(?i:[A-TV-Z])[0-9](?i:[0-9AB])';

const icd = (pattern: string, maxLength: number, least: number, telling: readonly string[]): Detector =>
  shapedNumber({ name: 'IcdCode', unchecked: true, pattern, maxLength, least, telling, valid: () => true });

export const icdCode: Detector = {
  ...icd(`${code}\\.(?i:[0-9A-Z]{1,4})|(?i:U)[0-9]{2}\\.[0-9]`, 8, 4, [...classification, ...diagnosis]),
  also: [icd(`${code}(?i:[0-9A-Z]{0,4})`, 7, 3, classification)],
};
