import ts from 'typescript';

/**
 * Walks the types of what a vendor's own client sends, and makes for each field whose name may refer to something a body that has it: valid by the
 * types, with all that is required beside it.
 */
export interface ClientField {
  /** Where it is declared: `Type.field`. */
  readonly name: string;
  /** As it stands in a request. */
  readonly path: string;
  /** The value of the root with the field, and without it. */
  readonly body: unknown;
  readonly without: unknown;
}

/** Stands in the field. */
export const probe = 'probe-0f3a';

export interface WalkOptions {
  readonly program: ts.Program;
  readonly file: string;
  readonly type: string;
  readonly wanted: (name: string) => boolean;
  /** How the wire spells a name of the types. Default: as they do. */
  readonly spell?: (name: string) => string;
}

type Step = (inner: unknown) => unknown;

const deepest = 12;

export function fieldsOfClient(options: WalkOptions): readonly ClientField[] {
  const { program, file, type: rootName, wanted, spell = (name) => name } = options;
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
  const symbol =
    module === undefined ? undefined : checker.getExportsOfModule(module).find(({ name }) => name === rootName);
  if (source === undefined || symbol === undefined) throw new Error(`${file} has no ${rootName}`);
  const resolved = (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(symbol) : symbol;

  const typeOf = (property: ts.Symbol): ts.Type =>
    checker.getNonNullableType(checker.getTypeOfSymbolAtLocation(property, source));
  const membersOf = (type: ts.Type): readonly ts.Type[] =>
    (type.isUnion() ? type.types : [type]).filter(
      ({ flags }) => (flags & (ts.TypeFlags.Never | ts.TypeFlags.Null | ts.TypeFlags.Undefined)) === 0,
    );
  const elementOf = (type: ts.Type): ts.Type | undefined =>
    checker.isArrayType(type) || checker.isTupleType(type)
      ? checker.getTypeArguments(type as ts.TypeReference)[0]
      : undefined;
  const isBytes = (type: ts.Type): boolean =>
    /^(?:Uint8Array|ArrayBuffer|Buffer|Blob|Date|File)/.test(type.symbol?.name ?? '');
  const isObject = (type: ts.Type): boolean =>
    (type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) !== 0 &&
    elementOf(type) === undefined &&
    !isBytes(type) &&
    type.getCallSignatures().length === 0;
  const isOptional = (property: ts.Symbol): boolean => (property.flags & ts.SymbolFlags.Optional) !== 0;
  const isString = (type: ts.Type): boolean => (type.flags & ts.TypeFlags.String) !== 0;

  /** The plainest value of a type. */
  function plain(type: ts.Type, depth: number): unknown {
    const members = membersOf(checker.getNonNullableType(type));
    const literal = members.find((one) => one.isStringLiteral());
    if (literal?.isStringLiteral() === true) return literal.value;
    if (members.some((one) => isString(one) || isBytes(one))) return 'a';
    if (members.some(({ flags }) => (flags & ts.TypeFlags.NumberLike) !== 0)) return 1;
    if (members.some(({ flags }) => (flags & ts.TypeFlags.BooleanLike) !== 0)) return false;
    if (members.some((one) => elementOf(one) !== undefined)) return [];
    const [first] = members.filter(isObject);
    return first === undefined || depth > deepest ? {} : required(first, depth + 1);
  }

  /** An object with all that it must have. */
  function required(type: ts.Type, depth = 0): Record<string, unknown> {
    const made: Record<string, unknown> = {};
    for (const property of checker.getPropertiesOfType(type)) {
      const own = typeOf(property);
      if (membersOf(own).length === 0) continue;
      const isKind = ['type', 'role'].includes(property.name);
      if (!isOptional(property) || isKind) made[spell(property.name)] = plain(own, depth);
    }
    return made;
  }

  const found = new Map<string, ClientField>();
  const seen = new Set<ts.Type>();
  let level: { type: ts.Type; at: Step; path: string }[] = membersOf(checker.getDeclaredTypeOfSymbol(resolved)).map(
    (type) => ({ type, at: (inner) => inner, path: '' }),
  );
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { type, at, path } of level) {
      if (seen.has(type)) continue;
      seen.add(type);
      const element = elementOf(type);
      if (element !== undefined) {
        for (const one of membersOf(element)) next.push({ type: one, at: (inner) => at([inner]), path: `${path}[]` });
        continue;
      }
      if (!isObject(type)) continue;
      const around = required(type);
      const index = checker.getIndexTypeOfType(type, ts.IndexKind.String);
      if (index !== undefined)
        for (const one of membersOf(index))
          next.push({ type: one, at: (inner) => at({ ...around, key: inner }), path: `${path}.*` });
      for (const property of checker.getPropertiesOfType(type)) {
        const own = typeOf(property);
        const name = spell(property.name);
        const below: Step = (inner) => at({ ...around, [name]: inner });
        const members = membersOf(own);
        if (wanted(name)) {
          const holder = property.declarations?.[0]?.parent;
          const declared = holder !== undefined && ts.isInterfaceDeclaration(holder) ? holder.name.text : rootName;
          const value = members.some(isString)
            ? probe
            : members.some((one) => membersOf(elementOf(one) ?? checker.getNeverType()).some(isString))
              ? [probe]
              : undefined;
          const key = `${declared}.${property.name}`;
          if (value !== undefined && !found.has(key)) {
            const { [name]: _left, ...others } = around;
            found.set(key, { name: key, path: `${path}.${name}`.slice(1), body: below(value), without: at(others) });
          }
        }
        for (const one of members) next.push({ type: one, at: below, path: `${path}.${name}` });
      }
    }
    level = next;
  }
  return [...found.values()];
}
