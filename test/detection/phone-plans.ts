// `make phone-plans`: writes pkg/detect/detectors/phone-plans.ts from what libphonenumber-js ships.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const folder = resolve('dist/phone-plans');
const require = createRequire(join(folder, 'package.json'));
const read = (name: string): unknown => JSON.parse(readFileSync(require.resolve(`libphonenumber-js/${name}`), 'utf8'));

const { version } = read('package.json') as { readonly version: string };
/** Of each country its code, and as the third entry the pattern of its national numbers. */
const {
  countries,
  country_calling_codes,
  nonGeographic = {},
} = read('metadata.min.json') as {
  readonly countries: Readonly<Record<string, readonly [string, unknown, string]>>;
  readonly country_calling_codes: Readonly<Record<string, readonly string[]>>;
  readonly nonGeographic?: Readonly<Record<string, readonly [string, unknown, string]>>;
};

const plans: [code: string, pattern: string][] = Object.entries(country_calling_codes).map(([code, names]) => [
  code,
  [...new Set(names.map((name) => countries[name]?.[2] ?? ''))].filter((one) => one !== '').join('|'),
]);
for (const [code, plan] of Object.entries(nonGeographic)) plans.push([code, plan[2]]);
plans.sort(([a], [b]) => a.localeCompare(b));

const lines = plans.map(([code, pattern]) => `  '${code}': String.raw\`${pattern}\`,\n`);
writeFileSync(
  resolve('pkg/detect/detectors/phone-plans.ts'),
  `/**
 * National numbers by country code: what stands behind it, whole. Written by \`make phone-plans\` from libphonenumber-js ${version} (MIT), whose data
 * is that of Google's libphonenumber (Apache-2.0). Do not edit.
 */
export const nationalNumbers: Readonly<Record<string, string>> = {
${lines.join('')}};
`,
);
process.stdout.write(`${lines.length} plans of libphonenumber-js ${version}\n`);
