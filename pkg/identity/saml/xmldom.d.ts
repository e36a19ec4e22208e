// What is used of `@xmldom/xmldom`: its own declarations would bring a browser's globals into every file (tsconfig.json, `paths`).

export interface XmlNode {
  /** 1 element, 2 attribute, 3 text, 8 comment, 9 document; others are not read. */
  readonly nodeType: number;
  readonly nodeName: string;
  readonly localName: string | null;
  readonly namespaceURI: string | null;
  readonly nodeValue: string | null;
  readonly childNodes: { readonly length: number; readonly [at: number]: XmlNode };
  /** Of elements. */
  readonly attributes?: { readonly length: number; readonly [at: number]: XmlNode };
}

export class DOMParser {
  constructor(options: { readonly errorHandler: (level: string, message: string) => void });
  parseFromString(text: string, mimeType: 'text/xml'): XmlNode | undefined;
}
