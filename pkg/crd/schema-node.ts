/**
 * The part of JSON Schema that the API server takes as a structural schema (OpenAPI v3), with a few words of our own for
 * docs and faults. Every string, list and map is bounded, so that the API server's cost limits for CEL rules hold.
 */
export interface SchemaNode {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description: string;
  readonly enum?: readonly (string | boolean)[];
  readonly pattern?: string;
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
  /** What is meant where the field is absent, in words: CRDs set no defaults, since unset fields take no part in combining. */
  readonly 'x-sidegate-default'?: string;
  readonly 'x-sidegate-example'?: string;
  /** What a value that misses `pattern` should look like: completes "must be …". */
  readonly 'x-sidegate-form'?: string;
  /** Only for a sidecar that runs on its own, from files: no part of the CRDs. */
  readonly 'x-sidegate-local'?: true;
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
