/**
 * For the tests of detectors alone. Examples that the offices publish, or that follow from their rules; no number of a person.
 */
export const examples: Readonly<
  Record<
    string,
    {
      /** Found without a word beside it. */
      readonly alone?: readonly string[];
      /** Found behind the word only. */
      readonly told?: readonly [word: string, ...numbers: string[]];
      /** With a digit more it may be another. */
      readonly grows?: true;
      /** Not found, whatever stands before it. */
      readonly never: readonly string[];
    }
  >
> = {
  UsItin: {
    alone: ['900-70-0000', '912 65 1234'],
    told: ['ITIN', '900700000'],
    never: ['900-69-0000', '900-93-0000', '800-70-0000'],
  },
  UsPassport: {
    grows: true,
    told: ['passport number', 'A12345678', '512345678', 'C1234567'],
    never: ['111111111', 'A1234'],
  },
  UsDriverLicence: {
    grows: true,
    told: [
      "driver's license",
      'D1234567',
      '12345678',
      'S123 4567 8901',
      '99 999 999',
      '12ABC34567',
      '123AB4567',
      'AB123456C',
    ],
    never: ['D123'],
  },
  UsBankRouting: {
    told: ['routing number', '021000021', '0110-0001-5', '122105155'],
    never: ['021000022', '991000021'],
  },
  UkNhsNumber: {
    told: ['NHS number', '943 476 5919', '9434765919', '943-476-5919'],
    never: ['943 476 5918', '1111111111'],
  },
  UkNino: {
    alone: ['AB123456C', 'AB 12 34 56 C'],
    told: ['national insurance', 'ab123456c'],
    never: ['QQ123456C', 'BG123456A', 'AO123456A', 'AB123456E'],
  },
  UkDriverLicence: {
    alone: ['MORGA657054SM9IJ', 'LEE99802231J99AA'],
    told: ['driving licence', 'morga657054sm9ij'],
    never: ['MORGA699054SM9IJ', 'MORGA657324SM9IJ'],
  },
  CaSin: { alone: ['130-692-544'], told: ['SIN', '130692544', '130 692 544'], never: ['130-692-545', '046-454-286'] },
  AuTfn: { told: ['TFN', '123 456 782', '123456782', '648 188 480'], never: ['123 456 783'] },
  AuAbn: { alone: ['51 824 753 556'], told: ['ABN', '51824753556'], never: ['51 824 753 557'] },
  AuMedicare: {
    grows: true,
    alone: ['2123 45670 1', '2123 45670 1-2'],
    told: ['Medicare', '2123456701'],
    never: ['2123 45680 1', '7123 45670 1'],
  },
  InAadhaar: {
    alone: ['2341 2341 2346'],
    told: ['Aadhaar', '234123412346'],
    never: ['2341 2341 2347', '1341 2341 2346'],
  },
  InPan: { alone: ['ABCPE1234F'], told: ['PAN', 'abcpe1234f'], never: ['ABCDE1234F', 'ABCPE12345'] },
  EsDni: {
    alone: ['12345678Z', '12.345.678-Z', 'X1234567L', 'Z-1234567-R'],
    told: ['DNI', '12345678z'],
    never: ['12345678A', 'X1234567A'],
  },
  ItCodiceFiscale: {
    alone: ['RSSMRA85T10A562S', 'rssmra85t10a562s', 'RSS MRA 85T10 A562 S'],
    never: ['RSSMRA85T10A562T', 'RSSMRA85T99A562S'],
  },
  FrNir: {
    alone: ['2 55 08 14 168 025 38', '255081416802538', '2 55 08 2A 168 025 97'],
    never: ['2 55 08 14 168 025 39', '2 55 18 14 168 025 38'],
  },
  DeTaxId: {
    alone: ['65 929 970 489'],
    told: ['Steuer-ID', '65929970489', '86095742719', '47036892816'],
    never: ['65 929 970 488', '12 345 678 903'],
  },
  PlPesel: { told: ['PESEL', '44051401359', '02070803628'], never: ['44051401358', '44951401359'] },
  NlBsn: {
    alone: ['1112.22.333'],
    told: ['BSN', '111222333', '123456782', '123 456 782'],
    never: ['123456783', '000000000'],
  },
  BeNationalNumber: {
    alone: ['85.07.30-033.28', '85.07.30-033 28'],
    told: ['rijksregisternummer', '85073003328'],
    never: ['85.07.30-033.29', '85.13.30-033.28'],
  },
  SePersonnummer: {
    alone: ['811228-9874', '19811228-9874', '811228+9874'],
    told: ['personnummer', '8112289874'],
    never: ['811228-9873', '811328-9874'],
  },
  FiHetu: {
    alone: ['131052-308T', '131052A308T'],
    told: ['henkilotunnus', '131052-308t'],
    never: ['131052-308U', '321352-308T'],
  },
  NoFodselsnummer: { alone: ['01010750160', '010107 50160'], never: ['01010750161', '01130750160'] },
  DkCpr: { alone: ['211062-5629'], told: ['CPR', '2110625629'], never: ['321062-5629', '211362-5629'] },
  BrCpf: { alone: ['529.982.247-25'], told: ['CPF', '52998224725'], never: ['529.982.247-26', '111.111.111-11'] },
  BrCnpj: {
    alone: ['11.222.333/0001-81', '11222333000181', '12.ABC.345/01DE-35'],
    never: ['11.222.333/0001-82', 'conversation-26', 'architecture-18'],
  },
  SgNric: {
    alone: ['S1234567D', 'T1234567J', 'F1234567N', 'G1234567X', 'M1234567K', 'M0000000T'],
    told: ['NRIC', 's1234567d'],
    never: ['S1234567A', 'A1234567D', 'M1234567X'],
  },
  KrRrn: {
    alone: ['900101-1234567'],
    told: ['주민등록번호', '9001011234567'],
    never: ['901301-1234567', '900101-9234567'],
  },
  JpMyNumber: { told: ['マイナンバー', '123456789018', '1234 5678 9018'], never: ['123456789019'] },
  ZaId: { alone: ['800101 5009 087'], told: ['ID number', '8001015009087'], never: ['8001015009088', '8013015009087'] },
  MxCurp: {
    alone: ['HEGG560427MVZRRL04', 'SABC560626MDFLRN01', 'BADD110313HCMLNS09', 'hegg560427mvzrrl04'],
    never: ['HEGG560427MVZRRL05', 'HEGG561327MVZRRL04', 'HEGG560427MXXRRL04'],
  },
  TrKimlik: { told: ['T.C. kimlik no', '10000000146'], never: ['10000000147', '00000000146'] },
  BirthDate: {
    told: [
      'date of birth',
      ...['12/03/1984', '1984-03-12', '12.3.84', '03/28/1984', '19840312', '12031984', '1984-03-12T00:00:00Z'],
      ...['March 12, 1984', '12 march 1984', '12th of March 1984', '12. Marz 1984', '12 de marzo de 1984'],
    ],
    never: ['31/31/1984', '1984-13-40', '1.2.3', '12/03/1784', '40 march 1984', '17840312'],
  },
  Vin: {
    alone: ['1HGCM82633A004352', '1M8GDM9AXKP042788'],
    told: ['VIN', 'WVWZZZ1JZXW000010', '1HGCM82643A004352'],
    never: ['12345678901234567', '1HGCM82633A00435O'],
  },
  MedicalRecordNumber: {
    grows: true,
    told: ['MRN', '1234567', 'A-1234567', '12-34-56', 'MR0012345'],
    never: ['1111111', '123'],
  },
  IcdCode: {
    grows: true,
    told: ['ICD-10', 'E11.9', 'S72.001A', 'E11', 'U07.1', 'c50.9', 'E119'],
    never: ['E1.9', '11.9'],
  },
  Passport: {
    grows: true,
    told: ['Reisepass', 'C01X00T47', '123456789', 'AB1234567', '12AB34567', 'ABC123456', '45 08 123456', 'M123A4567'],
    never: ['111111111', 'ABCDEFGHI', 'A1234'],
  },
};
