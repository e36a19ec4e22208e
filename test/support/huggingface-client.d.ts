/** A type of browsers that the declarations of Hugging Face's client name, in the words of Node's own. */
type BodyInit = NonNullable<ConstructorParameters<typeof Response>[0]>;
