// A label, or guard, is looked for by its name, whatever policies have one of it. Each session has a tag for each of those that acted, which the store
// makes of its rules: nothing that others record makes such a question longer, or says anything to who asks it.

const prefix = 'label:';

export const labelTag = (label: string): string => `${prefix}${label}`;

/** Whether it is one of the store's own: no line says them. */
export const isLabelTag = (tag: string): boolean => tag.startsWith(prefix);

/** Of a session with these tags. */
export function labelTags(tags: readonly string[]): readonly string[] {
  const labels = tags.flatMap((tag) => {
    const at = tag.startsWith('rule:') ? tag.lastIndexOf('/') : -1;
    return at === -1 ? [] : [labelTag(tag.slice(at + 1))];
  });
  return [...new Set(labels)];
}
