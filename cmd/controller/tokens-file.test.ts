import { describe, expect, test } from '@jest/globals';
import { tokenSettings } from './tokens-file.ts';

const okta = {
  name: 'okta',
  entityId: 'http://www.okta.com/exk1',
  audiences: ['inference', 'batch'],
  metadataUrl: 'https://corp.okta.com/metadata',
  caFile: 'okta.pem',
  nameIdFormat: 'EmailAddress',
  groupsAttribute: 'memberOf',
  claims: { email: 'mail' },
};
const files = { name: 'files', entityId: 'https://idp', audiences: ['inference'], metadataFile: 'files.xml' };
const all = { url: 'https://sidegate.example.com', lifetimeMinutes: 15, idps: [okta, files] };
const read = (value: object): unknown => tokenSettings(value as never, '/etc/tokens');

describe('the file of token settings', () => {
  test('as the chart writes it', () => {
    expect(read(all)).toEqual({
      url: 'https://sidegate.example.com',
      lifeMs: 900_000,
      idps: [
        {
          name: 'okta',
          entityId: 'http://www.okta.com/exk1',
          audiences: ['inference', 'batch'],
          metadata: { url: 'https://corp.okta.com/metadata', caFile: '/etc/tokens/okta.pem' },
          nameIdFormat: 'EmailAddress',
          groupsAttribute: 'memberOf',
          claims: { email: 'mail' },
        },
        {
          name: 'files',
          entityId: 'https://idp',
          audiences: ['inference'],
          metadata: { file: '/etc/tokens/files.xml' },
        },
      ],
    });
  });

  test.each([
    ['an address without TLS', { url: 'http://sidegate.example.com' }, 'url must be https://'],
    ['a slash at its end', { url: 'https://sidegate.example.com/' }, 'url must be https://'],
    ['a life of days', { lifetimeMinutes: 1_440 }, 'lifetimeMinutes must be 1 to 60'],
    ['nobody', { idps: [] }, 'idps must name'],
    ['a field that is not known', { idp: [] }, 'fields that are not known: idp'],
    [
      'one misspelt',
      { idps: [{ ...okta, groupAttribute: 'x' }] },
      'okta has fields that are not known: groupAttribute',
    ],
    ['two of one name', { idps: [okta, { ...files, name: 'okta' }] }, 'the same name'],
    ['two of one entity', { idps: [okta, { ...files, entityId: okta.entityId }] }, 'the same entityId'],
    ['no metadata', { idps: [{ ...files, metadataFile: undefined }] }, 'exactly one of metadataUrl and metadataFile'],
    ['both', { idps: [{ ...files, metadataUrl: 'https://x' }] }, 'exactly one of metadataUrl and metadataFile'],
    ['metadata without TLS', { idps: [{ ...okta, metadataUrl: 'http://x' }] }, 'metadataUrl must be https://'],
    ['a file elsewhere', { idps: [{ ...files, metadataFile: '../x' }] }, 'metadataFile must be the name of a file'],
    ['no audience', { idps: [{ ...okta, audiences: [] }] }, 'audiences must not be empty'],
    ['the sidecars’ audience', { idps: [{ ...okta, audiences: ['sidegate.dev/controller'] }] }, 'for sidecars'],
    ['a claim of the token’s own', { idps: [{ ...okta, claims: { groups: 'x' } }] }, 'groups cannot be a claim'],
  ])('%s is refused', (_name, change, why) => {
    expect(() => read({ ...all, ...change })).toThrow(why);
  });
});
