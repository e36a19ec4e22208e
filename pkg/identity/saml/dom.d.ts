// The declarations of node-saml and xml-crypto name these types as a browser declares them; Node has none, and nothing here uses them.
declare global {
  interface Node {
    readonly nodeType: number;
  }
  interface Element extends Node {
    readonly tagName: string;
  }
  interface Document extends Node {
    readonly documentElement: Element;
  }
  interface Attr extends Node {
    readonly name: string;
  }
  type XPathNSResolver = object;
  interface Comment extends Node {
    readonly data: string;
  }
}

export {};
