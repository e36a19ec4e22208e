/**
 * What a request asks of a model server, whatever its dialect.
 *
 * - `Chat`, `Completions`, `Embeddings`: inference. `ListModels`: the list, or the page of one model.
 * - `Health`, `Metrics`: what load balancers, autoscalers and scrapers read on the model's port.
 * - `Admin`: changes the server (load adapters, pull or delete models, repository control, shutdown).
 * - `Other`: every route that no dialect knows. Denied unless a rule names it, like `Admin`.
 */
export const operations = [
  'Chat',
  'Completions',
  'Embeddings',
  'ListModels',
  'Health',
  'Metrics',
  'Admin',
  'Other',
] as const;
export type Operation = (typeof operations)[number];
