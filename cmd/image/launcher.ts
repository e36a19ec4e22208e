// What the image starts: runs the process that the first argument names, with the rest as its arguments. One image holds
// all processes, so that they are always of one version.
import { readdirSync } from 'node:fs';

const own = import.meta.filename;
const processes = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.js') && !own.endsWith(`/${name}`))
  .map((name) => name.slice(0, -'.js'.length));

const [name = ''] = process.argv.splice(2, 1);
if (processes.includes(name)) {
  await import(`./${name}.js`);
} else {
  process.stderr.write(`sidegate: name a process first: ${processes.join(', ')}\n`);
  process.exitCode = 2;
}
