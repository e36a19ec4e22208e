import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { genericApiKey } from './generic-api-key.ts';

describe('GenericApiKey', () => {
  test.each([
    ['an environment variable', 'API_KEY=a1b2c3d4e5f6g7h8', 'a1b2c3d4e5f6g7h8'],
    ['an export', 'export MY_SERVICE_TOKEN="zX81kk02mmQ"', 'zX81kk02mmQ'],
    ['YAML', 'client_secret: 7f3b9c2d1e', '7f3b9c2d1e'],
    ['JSON', '{"password": "hunter22", "a": 1}', 'hunter22'],
    ['JSON in a string', '{\\"api_key\\":\\"a1b2c3d4e5\\"}', 'a1b2c3d4e5'],
    ['JSON over lines', '"apiKey":\n  "a1b2c3d4e5"', 'a1b2c3d4e5'],
    ['Python', "password = 'P@ssw0rd!'", 'P@ssw0rd!'],
    ['Go', 'token := "a1b2c3d4e5"', 'a1b2c3d4e5'],
    ['Ruby', ':secret => "a1b2c3d4e5"', 'a1b2c3d4e5'],
    ['camel case', 'clientSecret=a1b2c3d4e5', 'a1b2c3d4e5'],
    ['a header', 'X-Api-Key: a1b2c3d4e5f6', 'a1b2c3d4e5f6'],
    ['a bearer token', 'Authorization: Bearer a1b2c3d4e5f6', 'a1b2c3d4e5f6'],
    ['basic credentials', 'authorization: basic dXNlcjpwYXNzd29yZDEyMw==', 'dXNlcjpwYXNzd29yZDEyMw=='],
    ['a bearer token alone', 'curl -H "Bearer a1b2c3d4e5f6"', 'a1b2c3d4e5f6'],
    ['a query', 'https://x.org/?access_token=a1b2c3d4e5&page=2', 'a1b2c3d4e5'],
    ['a connection string', 'AccountName=x;AccountKey=Eby8vdM02xNOcqFl==;', 'Eby8vdM02xNOcqFl=='],
    ['an option', 'mysql --password s3cr3tpw', 's3cr3tpw'],
    ['a longer option', 'run --db-password=s3cr3tpw', 's3cr3tpw'],
    ['XML', '<password>s3cr3tpw</password>', 's3cr3tpw'],
    ['markdown', '**Password:** s3cr3tpw', 's3cr3tpw'],
    ['code marks', 'password: `s3cr3tpw`', 's3cr3tpw'],
    ['a sentence', 'My password is Hunter2024 and', 'Hunter2024'],
    ['digits', 'password: 12345678', '12345678'],
    ['German', 'Passwort: geheim123', 'geheim123'],
    ['letters of random case', 'token: "aBcDeFgHiJkLmNoPqRsT"', 'aBcDeFgHiJkLmNoPqRsT'],
    ['a UUID as a key', 'api-key: 550e8400-e29b-41d4-a716-446655440000', '550e8400-e29b-41d4-a716-446655440000'],
  ])('finds the value in %s', (_what, text, value) => {
    expect(found(genericApiKey, text)).toEqual([value]);
  });

  test.each([
    'sk-proj-abcDEF123456ghiJKL7890',
    'sk-ant-api03-abcDEF123456ghiJKL7890',
    'sk_live_4eC39HqLyjWDarjtT1zdp7dc',
    'xoxb-123456789012-abcDEF123456',
    'glpat-aB3dE5gH7jK9mN1pQ3sT',
    'AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q',
    'hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH',
    'npm_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5',
    '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',
    'SG.aB3dE5gH7jK9mN1pQ3sT5v.W7yZ9bC1dE3fG5aB3dE5gH7jK9mN1pQ3sT5vW7yZ9b',
    'shpat_0123456789abcdef0123456789abcdef',
    'gsk_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5',
    'hvs.CAESIJlWh3aB3dE5gH7jK9mN1pQ3sT',
    'dop_v1_0123456789abcdef0123456789abcdef',
  ])('finds %s by its prefix', (token) => {
    expect(found(genericApiKey, token)).toEqual([token]);
    expect(found(genericApiKey, `use ${token}, please`)).toEqual([token]);
    expect(found(genericApiKey, `("${token}")`)).toEqual([token]);
  });

  test.each([
    ['glpat-aB3dE5gH7jK9mN1pQ3sT', 'Key'],
    ['xoxb-123456789012-abcDEF123456', 'x'],
    ['figd_aB3dE5gH7jK9mN1pQ3sT', 'my_'],
  ])('finds %s behind the letters %s', (token, before) => {
    expect(found(genericApiKey, before + token)).toEqual([token]);
  });

  test('leaves names whose words end as a prefix does', () => {
    for (const text of ['task_test_Case12_Name34', 'berlin_api_route_2024_01', 'Task_test_case_0012_name'])
      expect(found(genericApiKey, text)).toEqual([]);
  });

  test('covers a value of any length to its end', () => {
    const value = 'a1B2c3D4'.repeat(500);
    expect(found(genericApiKey, `token=${value} rest`)).toEqual([value]);
  });

  test.each([
    ['talk of passwords', 'The password is required. Passwords must be strong, a token expires, the secret is out.'],
    ['words as values', 'password: required, token: string, secret: undefined, api_key: none'],
    ['counts of tokens', 'max_tokens: 4096, total_tokens=12345678, tokens: 1000000'],
    ['references', 'password=$DB_PASSWORD1 token=${TOKEN_1} api_key=process.env.API_KEY_2'],
    ['calls and look-ups', 'token = getToken12(x); secret = map12345[y]; password = os.environ["P1"]'],
    ['types', 'secret: Uint8Array, token: Base64Url12, key: Int32Array'],
    ['paths', 'private_key: /etc/ssl/server01.pem, secret: ./keys/dev01.txt'],
    ['fillers', 'password: ******** api_key=xxxxxxxxxxxxxxxx token: ----------12'],
    ['placeholders', 'api_key: your-api-key-123, token=YOUR_TOKEN_12'],
    ['page tokens', 'nextPageToken: CAUQAA12345678, page_token=a1b2c3d4e5'],
    ['dates', 'token: 2024-11-21T10:20'],
    ['identifiers in camel case', 'secret: getSecretValueFromTheVaultOfKeys'],
    ['names with the words in them', 'tokenizer: llama3tokenizer12, secretary: anna1234, passwordless=true12'],
    ['a vendor prefix in words', 'a task-oriented-approach-to-work, sk-learn-pipelines-and-more'],
    ['a prefix alone', 'keys begin with sk- or xoxb- or AIza'],
    ['slugs', 'disk-management-2024-edition'],
    ['a bearer in prose', 'The bearer represents the company'],
  ])('leaves %s', (_what, text) => {
    expect(found(genericApiKey, text)).toEqual([]);
  });

  test('finds any value of letters and digits behind any name and assignment', () => {
    const value = fc
      .stringMatching(/^[a-hj-z][A-Z][0-9]{2}[A-Za-z0-9_-]{6,40}[a-z0-9]$/)
      .filter((text) => !/^(your|xxx|utf|sha|int|uint|float|bytes|base64|config)/i.test(text));
    const name = fc.constantFrom(
      'password',
      'API_KEY',
      'apiKey',
      'token',
      'client-secret',
      'access_token',
      'pwd',
      'private key',
    );
    const assignment = fc.constantFrom('=', ': ', ' = ', '="', "': '", '=>', ' := `', '\\": \\"', ':\n\t', '>');
    fc.assert(
      fc.property(
        name,
        assignment,
        value,
        fc.constantFrom('', ' ', '"', ',', '\n', '</x>'),
        (key, given, one, after) => {
          expect(found(genericApiKey, `my ${key}${given}${one}${after}`)).toEqual([one]);
        },
      ),
      { numRuns: 200 },
    );
  });
});
