import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { awsKey } from './aws-key.ts';

const id = 'AKIAIOSFODNN7EXAMPLE';
const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

describe('AwsKey', () => {
  test.each([id, 'ASIAIOSFODNN7EXAMPLE', 'ABIAIOSFODNN7EXAMPLE', 'ACCAIOSFODNN7EXAMPLE'])('finds the id %s', (one) => {
    expect(found(awsKey, one)).toEqual([one]);
    expect(found(awsKey, `aws_access_key_id = ${one}\n`)).toEqual([one]);
    expect(found(awsKey, `("${one}")`)).toEqual([one]);
  });

  test('finds an id with small letters glued to it', () => {
    expect(found(awsKey, `Key${id}z`)).toEqual([id]);
  });

  test.each([
    ['a credentials file', `aws_secret_access_key = ${secret}\n`],
    ['an environment', `export AWS_SECRET_ACCESS_KEY=${secret}`],
    ['JSON', `{"SecretAccessKey": "${secret}"}`],
    ['YAML', `secretAccessKey: ${secret}`],
    ['a sentence', `The secret access key is ${secret}.`],
    ['a command', `aws configure set aws_secret_access_key ${secret}`],
  ])('finds a secret access key in %s', (_what, text) => {
    expect(found(awsKey, text)).toEqual([secret]);
  });

  test('finds both in the file that the console gives out', () => {
    expect(found(awsKey, `Access key ID,Secret access key\n${id},${secret}\n`)).toEqual([id, secret]);
    expect(found(awsKey, `${id}:${secret}`)).toEqual([id, secret]);
  });

  test.each([
    ['a SHA-1', 'secret commit da39a3ee5e6b4b0d3255bfef95601890afd80709'],
    ['a base64 run without a telling name', `image ${secret}`],
    ['41 characters', `secret = ${secret}A`],
    ['padded base64', `secret = ${secret}=`],
    ['a longer blob', `aws ${secret}/${secret}`],
    ['an id that is too short', 'AKIAIOSFODNN7EXAMPL'],
    ['an id that goes on', 'AKIAIOSFODNN7EXAMPLEX'],
    ['an id inside of capitals', 'XAKIAIOSFODNN7EXAMPLE'],
    ['a path', 'aws s3 cp home/user/documents/projects/reports/y24'],
    ['a continent', 'ASIA PACIFIC'],
    ['another kind of unique id', 'AIDAIOSFODNN7EXAMPLE'],
    ['a word of forty letters', 'secret: abcdefghijklmnopqrstuvwxyzabcdefghijklmn'],
  ])('leaves %s', (_what, text) => {
    expect(found(awsKey, text)).toEqual([]);
  });

  test('finds any id and secret of the right alphabet', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Z2-7]{16}$/),
        fc.stringMatching(/^[A-Za-z0-9/+]{30}ABCDEabcde$/),
        (rest, value) => {
          expect(found(awsKey, `key ${`ASIA${rest}`} secret="${value}"`)).toEqual([`ASIA${rest}`, value]);
        },
      ),
      { numRuns: 100 },
    );
  });
});
