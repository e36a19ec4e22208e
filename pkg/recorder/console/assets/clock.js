/** The one clock of the console. @returns {number} Epoch milliseconds. */
export const now = () => Date.now();
