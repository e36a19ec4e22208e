export { allowedBy } from './allowed.ts';
