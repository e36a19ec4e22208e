import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { jsonValue, parseJson } from '../../pkg/base/index.ts';
import type { JsonValue } from '../../pkg/base/index.ts';
import type { TokenSettings } from '../../pkg/control/index.ts';
import { nameIdFormats, ownClaims } from '../../pkg/identity/index.ts';
import type { NameIdFormat } from '../../pkg/identity/index.ts';

/**
 * The settings of the token endpoint, as the chart writes them (`tokens` of its values). Names of files are relative to its folder.
 *
 * @throws Error that says what is wrong with it: a controller that trusts other identity providers than were meant must not start.
 */
export function readTokensFile(path: string): TokenSettings {
  try {
    return tokenSettings(jsonValue(parseJson(readFileSync(path, 'utf8'))), dirname(path));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the settings of tokens in ${path} cannot be used: ${why}`, { cause });
  }
}

type Fields = { readonly [key: string]: JsonValue };

const nameForm = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const urlForm = /^https:\/\/[A-Za-z0-9.-]+(:[0-9]{1,5})?(\/[A-Za-z0-9._~-]+)*$/;
const fileForm = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const claimForm = /^[a-z][a-z0-9_]{0,63}$/;
const idpFields = new Set([
  ...['name', 'entityId', 'audiences', 'metadataUrl', 'metadataFile', 'caFile'],
  ...['subjectAttribute', 'nameIdFormat', 'groupsAttribute', 'claims'],
]);
/** The sidecars' own way to the controller. */
const reservedAudience = 'sidegate.dev/controller';

/** Of parsed JSON. @throws RangeError */
export function tokenSettings(value: JsonValue, folder: string): TokenSettings {
  const { url, lifetimeMinutes, idps, ...more } = fieldsOf(value, 'it');
  unknown(Object.keys(more), 'it');
  const minutes = Number(lifetimeMinutes);
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 60) fail('lifetimeMinutes must be 1 to 60');
  if (!Array.isArray(idps) || idps.length === 0) fail('idps must name an identity provider');
  const read = (Array.isArray(idps) ? idps : []).map((one) => idpOf(one, folder));
  distinct(
    read.map(({ name }) => name),
    'name',
  );
  distinct(
    read.map(({ entityId }) => entityId),
    'entityId',
  );
  return {
    url: matching(url, urlForm, 'url must be https://, without a slash at its end'),
    lifeMs: minutes * 60_000,
    idps: read,
  };
}

function idpOf(value: JsonValue, folder: string): TokenSettings['idps'][number] {
  const fields = fieldsOf(value, 'an entry of idps');
  const name = matching(
    fields['name'],
    nameForm,
    'the name of an entry of idps must be lower-case letters, digits and -',
  );
  unknown(
    Object.keys(fields).filter((key) => !idpFields.has(key)),
    name,
  );
  const { audiences, subjectAttribute, nameIdFormat, groupsAttribute, claims } = fields;
  return {
    name,
    entityId: textOf(fields['entityId'], `${name}: entityId`),
    metadata: metadataOf(fields, name, folder),
    audiences: audiencesOf(audiences, name),
    ...(subjectAttribute !== undefined && { subjectAttribute: textOf(subjectAttribute, `${name}: subjectAttribute`) }),
    ...(nameIdFormat !== undefined && { nameIdFormat: formatOf(nameIdFormat, name) }),
    ...(groupsAttribute !== undefined && { groupsAttribute: textOf(groupsAttribute, `${name}: groupsAttribute`) }),
    ...(claims !== undefined && { claims: claimsOf(claims, name) }),
  };
}

function formatOf(value: JsonValue, name: string): NameIdFormat {
  const known = (Object.keys(nameIdFormats) as NameIdFormat[]).find((one) => one === value);
  return known ?? fail(`${name}: nameIdFormat must be one of ${Object.keys(nameIdFormats).join(', ')}`);
}

function metadataOf(fields: Fields, name: string, folder: string): TokenSettings['idps'][number]['metadata'] {
  const { metadataUrl, metadataFile, caFile } = fields;
  if ((metadataUrl === undefined) === (metadataFile === undefined))
    fail(`${name}: exactly one of metadataUrl and metadataFile`);
  const file = (given: JsonValue | undefined, field: string): string =>
    join(folder, matching(given, fileForm, `${name}: ${field} must be the name of a file`));
  if (metadataUrl === undefined) return { file: file(metadataFile, 'metadataFile') };
  const url = URL.parse(textOf(metadataUrl, `${name}: metadataUrl`));
  if (url?.protocol !== 'https:') fail(`${name}: metadataUrl must be https://`);
  return { url: url?.href ?? '', ...(caFile !== undefined && { caFile: file(caFile, 'caFile') }) };
}

function audiencesOf(value: JsonValue | undefined, name: string): readonly string[] {
  const list = Array.isArray(value) ? value.map((one) => textOf(one, `${name}: audiences`)) : [];
  if (list.length === 0) fail(`${name}: audiences must not be empty`);
  if (list.includes(reservedAudience)) fail(`${name}: ${reservedAudience} is for sidecars and their controller only`);
  return list;
}

function claimsOf(value: JsonValue, name: string): Readonly<Record<string, string>> {
  const entries = Object.entries(fieldsOf(value, `${name}: claims`)).map(([claim, attribute]): [string, string] => {
    if (!claimForm.test(claim) || ownClaims.has(claim)) fail(`${name}: ${claim} cannot be a claim of an attribute`);
    return [claim, textOf(attribute, `${name}: claims.${claim}`)];
  });
  return Object.fromEntries(entries);
}

const fail = (message: string): never => {
  throw new RangeError(message);
};
const unknown = (names: readonly string[], where: string): void => {
  if (names.length > 0) fail(`${where} has fields that are not known: ${names.join(', ')}`);
};
const distinct = (values: readonly string[], what: string): void => {
  if (new Set(values).size !== values.length) fail(`two entries of idps have the same ${what}`);
};
const fieldsOf = (value: JsonValue | undefined, what: string): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : fail(`${what} must be an object`);
const textOf = (value: JsonValue | undefined, what: string): string =>
  typeof value === 'string' && value !== '' && value.length <= 1_024 ? value : fail(`${what} must be a text`);
const matching = (value: JsonValue | undefined, form: RegExp, message: string): string =>
  typeof value === 'string' && form.test(value) ? value : fail(message);
