/**
 * Short texts in which a view found nothing: ids, model names, roles and header values repeat from request to request. What
 * a view finds depends on the text alone, so an answer once had stays true for the life of the view.
 */
const longest = 128;
const most = 2_048;

export class CleanTexts {
  readonly #texts = new Set<string>();

  has(text: string): boolean {
    return this.#texts.has(text);
  }

  add(text: string): void {
    if (text.length > longest) return;
    if (this.#texts.size >= most) this.#texts.clear();
    this.#texts.add(text);
  }
}
