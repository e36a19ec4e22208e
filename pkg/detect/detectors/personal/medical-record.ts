import { same } from '../issued/check-digits.ts';
import { shapedNumber } from '../issued/issued-number.ts';

/** Number of a medical record: each hospital has its own, so that a word must tell (HIPAA, 45 CFR 164.514(b)(2)(i)(H)). */
export const medicalRecordNumber = shapedNumber({
  name: 'MedicalRecordNumber',
  unchecked: true,
  pattern: '(?i:[A-Z]{1,3})-?[0-9]{5,10}|[0-9]{5,12}|[0-9]{2,4}-[0-9]{2,4}-[0-9]{2,4}',
  maxLength: 14,
  least: 5,
  telling: [
    ...['mrn', 'medical record', 'medical record number', 'medical record no', 'med rec no', 'medical rec no'],
    ...['patient id', 'patient number', 'patient no', 'patient identifier', 'hospital number', 'hospital no'],
    ...['chart number', 'chart no', 'health record', 'patientennummer', 'patienten id', 'fallnummer'],
    ...['numero de dossier', 'dossier medical', 'historia clinica', 'numero de historia', 'cartella clinica'],
    ...['prontuario', 'patientnummer', '病历号', '住院号', 'カルテ番号', '병록번호'],
  ],
  valid: (characters, length) => length >= 5 && length <= 13 && !same(characters, length),
});
