import { describe, expect, test } from '@jest/globals';
import { parseSettings } from './settings.ts';

const given = ['--tls=/tls', '--trust=/ca.crt'];

describe('where the record is kept', () => {
  test('is a folder, or a database with its authorities', () => {
    expect(parseSettings([...given, '--data=/data'], {})).toMatchObject({ settings: { store: { data: '/data' } } });
    expect(parseSettings([...given, '--database=/dsn', '--database-ca=/ca.crt'], {})).toMatchObject({
      settings: { store: { database: '/dsn', databaseCa: '/ca.crt' } },
    });
  });

  test.each([
    [[], 'give either --data or --database'],
    [['--data=/data', '--database=/dsn'], 'give either --data or --database'],
    [['--data=/data', '--database-ca=/ca.crt'], '--database-ca goes with --database'],
  ])('%j is refused', (args, fault) => {
    expect(parseSettings([...given, ...args], {})).toEqual({ faults: [fault] });
  });
});
