/** The little of oidc-provider 9 that test/support/issuer.ts uses; the package brings no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface Client {
    readonly clientId: string;
  }

  export interface AccessToken {
    readonly clientId: string;
    save(): Promise<string>;
  }

  export interface ResourceServerInfo {
    readonly audience: string;
    readonly scope: string;
    readonly accessTokenFormat: 'jwt';
    readonly accessTokenTTL: number;
    readonly jwt: { readonly sign: { readonly alg: string; readonly kid?: string } };
  }

  export default class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly ResourceServer: new (identifier: string, info: ResourceServerInfo) => object;
    readonly ClientCredentials: new (options: {
      readonly client: Client;
      readonly resourceServer: object;
      readonly scope: string | undefined;
    }) => AccessToken;
    readonly Client: { find(id: string): Promise<Client | undefined> };
    on(event: 'refresh_token.destroyed', listener: () => void): void;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
  }
}
