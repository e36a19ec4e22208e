import { DOMParser } from '@xmldom/xmldom';
import type { XmlNode } from '@xmldom/xmldom';
import { SamlFault } from './saml-fault.ts';

/**
 * XML with one reading. What SAML does not need and attacks do is refused in the text, before anything parses it: document types
 * (so no entity of the document's own, no external one and no expansion), comments and CDATA (which split a text that one
 * reader joins and another cuts), processing instructions, and references other than XML's own five and to characters.
 *
 * The tree is read with the parser that node-saml uses, so that the two never differ about the same text.
 *
 * Metadata, which people write by hand, may have comments where they change no value: between elements, never beside a text.
 */
export interface XmlElement {
  /** '' where there is none. */
  readonly namespace: string;
  readonly name: string;
  /** Attributes without a namespace, by name. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** All character data directly in it. */
  readonly text: string;
}

/** Longest document, in bytes: an assertion with a thousand groups has about 60,000. */
export const longestDocument = 131_072;
/** A thousand groups, and what stands around them: some 0.1 ms each for the signature, which whoever posts a document can make us spend. */
const mostElements = 1_500;
const mostAttributes = 3_000;
const deepest = 32;

const declaration =
  /^<\?xml[ \t\r\n]+version=(?:"1\.0"|'1\.0')(?:[ \t\r\n]+encoding=(?:"utf-8"|'utf-8'))?(?:[ \t\r\n]+standalone=(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>\s*/i;
const ownReference = /&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)/;
/** Characters that XML 1.0 does not have (section 2.2), and lone surrogates. */
const noCharacter = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

export interface XmlOptions {
  /** Comments between elements are left out; default: any is refused, as what is signed must have none. */
  readonly comments?: boolean;
}

/** XML 1.0, section 2.5: no two hyphens but at its end. */
const comment = /<!--(?:(?!--)[\s\S])*-->/g;

/** The text of the bytes, without its declaration. @throws SamlFault too_large, not_xml, ambiguous */
export function plainXml(bytes: Uint8Array, { comments = false }: XmlOptions = {}): string {
  if (bytes.length > longestDocument) throw new SamlFault('too_large');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new SamlFault('not_xml', { cause });
  }
  if (noCharacter.test(text)) throw new SamlFault('not_xml');
  const body = text.replace(declaration, '').trim();
  // A space in its place: nothing on both sides of a comment becomes one word.
  const bare = comments ? body.replace(comment, ' ') : body;
  if (bare.includes('<!') || bare.includes('<?') || ownReference.test(bare)) throw new SamlFault('ambiguous');
  // What stands outside of the root the parser would pass over.
  if (!/^\s*</.test(bare) || !/>\s*$/.test(bare)) throw new SamlFault('not_xml');
  return body;
}

/** The root of a text that {@link plainXml} gave. @throws SamlFault not_xml, ambiguous, too_large */
export function readXml(text: string, { comments = false }: XmlOptions = {}): XmlElement {
  const document = parse(text);
  let elements = 0;
  let attributeCount = 0;
  let commentCount = 0;
  const isComment = ({ nodeType }: XmlNode): boolean => comments && nodeType === 8 && ++commentCount > 0;
  const read = (node: XmlNode, depth: number): XmlElement => {
    if (++elements > mostElements || depth > deepest) throw new SamlFault('too_large');
    const children: XmlElement[] = [];
    let characters = '';
    let commented = false;
    for (const child of listed(node.childNodes)) {
      if (child.nodeType === 1) children.push(read(child, depth + 1));
      else if (child.nodeType === 3) characters += child.nodeValue ?? '';
      else if (isComment(child)) commented = true;
      else throw new SamlFault('ambiguous');
    }
    // Two readers could differ about a text that a comment stands in.
    if (commented && characters.trim() !== '') throw new SamlFault('ambiguous');
    const given = listed(node.attributes);
    attributeCount += given.length;
    if (attributeCount > mostAttributes) throw new SamlFault('too_large');
    const attributes = new Map<string, string>();
    for (const one of given) {
      if ((one.namespaceURI ?? '') === '') attributes.set(one.nodeName, one.nodeValue ?? '');
    }
    return { namespace: node.namespaceURI ?? '', name: node.localName ?? '', attributes, children, text: characters };
  };
  const isSpace = ({ nodeType, nodeValue }: XmlNode): boolean =>
    comments && nodeType === 3 && (nodeValue ?? '').trim() === '';
  const roots = listed(document.childNodes).filter((node) => !isComment(node) && !isSpace(node));
  const [root] = roots;
  if (root?.nodeType !== 1 || roots.length !== 1) throw new SamlFault('not_xml');
  const found = read(root, 1);
  // Of each that stands in the text the parser has made one: none was read as something else.
  if (comments && commentCount !== (text.match(comment) ?? []).length) throw new SamlFault('ambiguous');
  return found;
}

function parse(text: string): XmlNode {
  try {
    const parser = new DOMParser({
      errorHandler: () => {
        throw new SamlFault('not_xml');
      },
    });
    const document = parser.parseFromString(text, 'text/xml');
    if (document !== undefined) return document;
  } catch (cause) {
    throw new SamlFault('not_xml', { cause });
  }
  throw new SamlFault('not_xml');
}

const listed = (nodes: { readonly length: number; readonly [at: number]: XmlNode } | undefined): XmlNode[] =>
  Array.from({ length: nodes?.length ?? 0 }, (_, at) => nodes?.[at]).filter((node) => node !== undefined);

/** It and everything below it. */
export function* within(root: XmlElement): Generator<XmlElement> {
  yield root;
  for (const child of root.children) yield* within(child);
}

export const childrenOf = (element: XmlElement, namespace: string, name: string): readonly XmlElement[] =>
  element.children.filter((one) => one.namespace === namespace && one.name === name);
