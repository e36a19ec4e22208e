/** Units that are read in one go, as numbers: a loop over those of a string costs several times as much. */
export const readUnits = 32 * 1024;
const units = new Uint16Array(readUnits);
const unitBytes = Buffer.from(units.buffer);

/** UTF-16 units `[from, to)` of a text, at most {@link readUnits}, until somebody else asks for some. */
export function unitsOf(text: string, from: number, to: number): Uint16Array {
  unitBytes.write(from === 0 && to === text.length ? text : text.slice(from, to), 'utf16le');
  return units;
}
