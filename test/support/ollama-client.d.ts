/** A type of browsers that the declarations of Ollama's client name, in the words of Node's own. */
type HeadersInit = NonNullable<ConstructorParameters<typeof Headers>[0]>;
