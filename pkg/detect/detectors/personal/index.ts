import type { Detector } from '../../detector.ts';
import { birthDate } from './birth-date.ts';
import { icdCode } from './icd-code.ts';
import { medicalRecordNumber } from './medical-record.ts';
import { passport } from './passport.ts';
import { vin } from './vin.ts';

/** Personal data beside what states' offices issue, in the order of detectorNames. */
export const personalData: readonly Detector[] = [birthDate, vin, medicalRecordNumber, icdCode, passport];
