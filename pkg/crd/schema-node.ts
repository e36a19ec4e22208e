/**
 * A condition over the fields of one object, where a schema has no word for it. Files (check-conditions.ts) and CRDs
 * (definition/cel.ts) check it alike.
 */
export type Condition =
  /** One of the fields is there, no more and no less. */
  | { readonly kind: 'ExactlyOne'; readonly of: readonly string[] }
  | { readonly kind: 'AtMostOne'; readonly of: readonly string[] }
  /** One of the fields is there; an empty list does not count. */
  | { readonly kind: 'AtLeastOne'; readonly of: readonly string[] }
  /** The field may be there only where `beside` has the value `is`, or one of these; without `is`, where it is there and no empty list. */
  | {
      readonly kind: 'Needs';
      readonly field: string;
      readonly beside: string;
      readonly is?: string | readonly string[];
      /** Instead of "needs BESIDE: IS". */
      readonly message?: string;
    }
  /** The field must be there where `where` has the value `is`. */
  | { readonly kind: 'Wants'; readonly field: string; readonly where: string; readonly is: string }
  /** The field may not be there beside any of these. */
  | {
      readonly kind: 'NotBeside';
      readonly field: string;
      readonly others: readonly string[];
      readonly message: string;
    };

/** A rule of `x-kubernetes-validations`, in CEL. What it says is checked by rules.ts where a policy comes from a file. */
export interface Validation {
  readonly rule: string;
  /** What is wrong and what to do: completes "FIELD: …". */
  readonly message: string;
  /** JSON path of the field that is meant, from this node: `.name`. */
  readonly fieldPath?: string;
  /** How the API server begins its error; invalid by default. Never FieldValueDuplicate: it would leave the message out. */
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired';
}

/**
 * The part of JSON Schema that the API server takes as a structural schema (OpenAPI v3), with a few words of our own for
 * docs and faults. Every string, list and map is bounded, so that the API server's cost limits for CEL rules hold.
 */
export interface SchemaNode {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description: string;
  readonly enum?: readonly (string | boolean)[];
  readonly pattern?: string;
  readonly format?: 'date-time' | 'int64';
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: SchemaNode;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  /** Values of a map with free keys; never beside `properties`. */
  readonly additionalProperties?: SchemaNode;
  readonly maxProperties?: number;
  /** A whole number or text, as Kubernetes writes sizes. Then there is no `type`. */
  readonly 'x-kubernetes-int-or-string'?: true;
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  /** `map`: no two items have equal values in the fields of `x-kubernetes-list-map-keys`. */
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly Validation[];
  /** What is meant where the field is absent, in words: CRDs set no defaults, since unset fields take no part in combining. */
  readonly 'x-sidegate-default'?: string;
  readonly 'x-sidegate-example'?: string;
  /** What a value that misses `pattern` should look like: completes "must be …". */
  readonly 'x-sidegate-form'?: string;
  readonly 'x-sidegate-conditions'?: readonly Condition[];
  /** Least and most of a duration (`1ms`, `168h`) or size (`1`, `64Mi`). */
  readonly 'x-sidegate-bounds'?: { readonly least: string; readonly most: string };
  /** https; or plain http on a loopback address too, always or where `allowInsecureLoopback: true` stands beside it (files only). */
  readonly 'x-sidegate-url'?: 'Https' | 'HttpsOrLoopback' | 'HttpsOrLoopbackWhenAsked';
  /** Texts that are refused, and beginnings of such texts; in lower case where case does not count. */
  readonly 'x-sidegate-refused'?: {
    readonly values: readonly string[];
    readonly prefixes?: readonly string[];
    readonly ignoreCase?: true;
    readonly message: string;
  };
  /** A regular expression in RE2 syntax. */
  readonly 'x-sidegate-re2'?: true;
  /** Only for a sidecar that runs on its own, from files: no part of the CRDs. */
  readonly 'x-sidegate-local'?: true;
  /** Only in a cluster. */
  readonly 'x-sidegate-cluster'?: {
    /** A sidecar that runs on its own refuses the policy; else it does without. */
    readonly refused: boolean;
    /** Why, and what to do. */
    readonly message: string;
    /** Only where this field is not there. */
    readonly without?: string;
  };
}

/** The TypeScript type of values that a schema accepts. */
export type Wire<S> = S extends { readonly 'x-kubernetes-int-or-string': true }
  ? string | number
  : S extends { readonly enum: readonly (infer E)[] }
    ? E
    : S extends { readonly type: 'string' }
      ? string
      : S extends { readonly type: 'integer' }
        ? number
        : S extends { readonly type: 'boolean' }
          ? boolean
          : S extends { readonly type: 'array'; readonly items: infer I }
            ? readonly Wire<I>[]
            : S extends { readonly properties: infer P; readonly required: readonly (infer R)[] }
              ? { readonly [K in keyof P as K extends R ? K : never]: Wire<P[K]> } & {
                  readonly [K in keyof P as K extends R ? never : K]?: Wire<P[K]>;
                }
              : S extends { readonly properties: infer P }
                ? { readonly [K in keyof P]?: Wire<P[K]> }
                : S extends { readonly additionalProperties: infer V }
                  ? Readonly<Record<string, Wire<V>>>
                  : unknown;
