// The one container of a gateway beside its sidecar: the pod needs one, the model is elsewhere. Waits until it is told to stop.
const idle = setInterval(() => undefined, 2 ** 30);
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => clearInterval(idle));
process.stdout.write('waiting for SIGTERM\n');
