export { createFigureBook } from './figure-book.ts';
export type { FigureBook, KnownFigures } from './figure-book.ts';
export { createTopRoutes } from './top-routes.ts';
export type { TopRoutesOptions } from './top-routes.ts';
