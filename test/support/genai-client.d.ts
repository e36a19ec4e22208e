/** A type of browsers that the declarations of Google's client name, in the words of Node's own. */
type RequestInfo = Parameters<typeof fetch>[0];
