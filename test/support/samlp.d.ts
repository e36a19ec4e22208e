// What the tests use of `samlp`, an identity provider from npm that has no declarations.
declare module 'samlp' {
  interface ProfileMapper {
    getClaims(): Readonly<Record<string, unknown>>;
    getNameIdentifier(): { readonly nameIdentifier: string; readonly nameIdentifierFormat: string };
  }
  interface AuthOptions {
    readonly issuer: string;
    readonly cert: string;
    readonly key: string;
    readonly audience: string;
    readonly recipient: string;
    readonly destination: string;
    readonly signResponse: boolean;
    readonly lifetimeInSeconds: number;
    readonly profileMapper: (user: unknown) => ProfileMapper;
    readonly getPostURL: (
      audience: string,
      request: unknown,
      http: unknown,
      done: (error: null, url: string) => void,
    ) => void;
    readonly responseHandler: (response: Buffer) => void;
  }
  const samlp: {
    auth(options: AuthOptions): (request: object, response: object, failed: (error: unknown) => void) => void;
  };
  export default samlp;
}
