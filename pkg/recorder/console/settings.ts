import { CodedError } from '../../base/index.ts';
import { trustedProxies } from '../../http/index.ts';
import { areTexts, isFields, isText, readSettings } from '../api/settings-json.ts';

/** The web console, as the chart writes it: JSON. Its issuer is that of the people who read records (api/people-settings.ts). */
export interface ConsoleSettings {
  /** Where browsers find it: `https://HOST`, with a port where it is another than 443. */
  readonly url: string;
  readonly clientId: string;
  /** What is asked for at the issuer. Default `openid`, `profile`, `email`. */
  readonly scopes: readonly string[];
  /** More parameters of the request, such as `audience` or `resource`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Which of the issuer's tokens says who somebody is, here and at the decision endpoint. Default `Id`. */
  readonly token: 'Id' | 'Access';
  /** A session that nobody uses for so long ends. Default 30. */
  readonly idleMinutes: number;
  /** No session is older. Default 8. */
  readonly hours: number;
  /** Sessions of one person; the oldest ends where one more begins. Default 5. */
  readonly sessionsEach: number;
  /** Sessions of all. Default 1,000. */
  readonly sessions: number;
  /** Address of the controller's decision endpoint; undefined: nothing is decided here. */
  readonly decisions: string | undefined;
  /** Address of the controller, which tells how policies are; undefined: that is not shown. */
  readonly controller: string | undefined;
  /** Addresses and CIDRs of proxies before the console whose `X-Forwarded-For` is believed. Default: nobody's. */
  readonly trustedProxies: readonly string[];
}

const defaults = {
  scopes: ['openid', 'profile', 'email'],
  parameters: {},
  token: 'Id',
  idleMinutes: 30,
  hours: 8,
  sessionsEach: 5,
  sessions: 1_000,
  decisions: undefined,
  controller: undefined,
  trustedProxies: [],
};

/** What the console itself says in the request: nobody may say it otherwise. */
const ownParameters = new Set([
  'response_type',
  'response_mode',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
]);

/** An address and nothing behind it. */
function isOrigin(value: unknown): value is string {
  if (!isText(value) || !URL.canParse(value)) return false;
  const { protocol, origin } = new URL(value);
  return protocol === 'https:' && (value === origin || value === `${origin}/`);
}
const isCount = (value: unknown, most: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most;

/** @throws CodedError `settings_invalid` with everything that is wrong. */
export function parseConsole(json: string): ConsoleSettings {
  const given = readSettings('console', json);
  const value: Readonly<Record<string, unknown>> = { ...defaults, ...given };
  const faults: string[] = [];
  const need = (holds: boolean, what: string): void => void (holds || faults.push(what));
  const known = new Set(['url', 'clientId', ...Object.keys(defaults)]);
  for (const name of Object.keys(given)) need(known.has(name), `there is no ${name}`);
  const { url, clientId, scopes, parameters, token, idleMinutes, hours, sessionsEach, sessions } = value;
  const { decisions, controller, trustedProxies: proxies } = value;
  need(isOrigin(url), 'url must be an https:// address without path');
  need(isText(clientId), 'clientId must be the client’s id at the issuer');
  need(
    areTexts(scopes, 50) &&
      scopes.includes('openid') &&
      scopes.every((scope) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)),
    'scopes must be a list of scopes, with openid',
  );
  need(isFields(parameters) && Object.values(parameters).every(isText), 'parameters must be texts by name');
  for (const name of Object.keys(isFields(parameters) ? parameters : {}))
    need(!ownParameters.has(name), `parameters.${name} is said by the console itself`);
  need(token === 'Id' || token === 'Access', 'token must be Id or Access');
  need(isCount(idleMinutes, 24 * 60), 'idleMinutes must be a whole number from 1 to 1,440');
  need(isCount(hours, 24), 'hours must be a whole number from 1 to 24');
  need(isCount(sessionsEach, 100), 'sessionsEach must be a whole number from 1 to 100');
  need(isCount(sessions, 100_000), 'sessions must be a whole number from 1 to 100,000');
  need(decisions === undefined || isOrigin(decisions), 'decisions must be an https:// address without path');
  need(controller === undefined || isOrigin(controller), 'controller must be an https:// address without path');
  need(
    Array.isArray(proxies) && proxies.length <= 100 && proxies.every(isText) && trustedProxies(proxies) !== undefined,
    'trustedProxies must be addresses or CIDRs such as 10.1.2.0/24; none is everybody',
  );
  if (faults.length > 0) throw new CodedError('settings_invalid', `console: ${faults.join('; ')}`);
  // Proven field by field above.
  return { ...value, url: new URL(url as string).origin } as unknown as ConsoleSettings;
}
