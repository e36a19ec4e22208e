import type { Operation } from '../../core/index.ts';

/**
 * Routes of model servers that are not inference: health, metrics, and everything that changes the server, reads other
 * callers' state or runs code (`Admin`).
 *
 * Promise: Admin is found in every spelling that a lenient server might accept (any method, letter case, percent-encoding up to
 * three deep, doubled or trailing slashes, path parameters, a prefix in front), so that a rule for `Other` never opens it. Health and
 * Metrics are found only in their exact spelling, because rules open them to anyone.
 * Sources: vLLM `entrypoints/openai/api_server.py`, SGLang `entrypoints/http_server.py`, Ollama `docs/api.md`, Triton `docs/protocol`,
 * TorchServe `docs/management_api.md`, llama.cpp `tools/server/README.md`, LMDeploy, TabbyAPI, LocalAI, LM Studio, text-generation-webui.
 */

export interface ManagementRoute {
  readonly operation: Extract<Operation, 'Health' | 'Metrics' | 'Admin'>;
  readonly body: 'json' | 'none';
}

const healthPaths = new Set([
  ...['/health', '/healthz', '/livez', '/readyz', '/live', '/ready', '/ping', '/version'],
  ...['/health/live', '/health/liveness', '/health/ready', '/health/readiness', '/health/startup', '/health_generate'],
  ...[
    '/v1/health',
    '/v1/health/live',
    '/v1/health/ready',
    '/v2',
    '/v2/health/live',
    '/v2/health/ready',
    '/api/version',
  ],
]);

const metricsPaths = new Set(['/metrics', '/metrics/', '/monitoring/prometheus/metrics', '/v1/metrics']);

/** A segment that makes any path Admin. */
const adminWords = new Set(
  [
    // vLLM
    'load_lora_adapter unload_lora_adapter sleep wake_up is_sleeping reset_prefix_cache reset_mm_cache reset_encoder_cache',
    'start_profile stop_profile collective_rpc server_info update_weights init_weight_transfer_engine pause resume is_paused',
    'scale_elastic_ep is_scaling_elastic_ep abort_requests tokenizer_info start_weight_update finish_weight_update',
    // SGLang
    'flush_cache freeze_gc update_weights_from_disk update_weights_from_distributed update_weights_from_tensor',
    'update_weights_from_ipc update_weight_version init_weights_update_group destroy_weights_update_group get_weights_by_name',
    'weights_checker release_memory_occupation resume_memory_occupation slow_down load_lora_adapter_from_tensors open_session',
    'close_session configure_logging abort_request get_server_info get_internal_state set_internal_state set_trace_level',
    'start_expert_distribution_record stop_expert_distribution_record dump_expert_distribution_record pause_generation',
    'continue_generation init_weights_send_group_for_remote_instance send_weights_to_remote_instance',
    'dumper add_external_corpus remove_external_corpus list_external_corpora generate_from_file',
    'clear_hicache_storage_backend hicache remote_instance_transfer_engine_info register_worker add_worker remove_worker workers',
    // Triton's and KServe's methods of gRPC, where a server takes JSON under the same path (Connect, grpc-gateway)
    'repositoryindex repositorymodelload repositorymodelunload systemsharedmemoryregister systemsharedmemoryunregister',
    'cudasharedmemoryregister cudasharedmemoryunregister tracesetting logsettings',
    // LMDeploy, TabbyAPI, LocalAI, and words that mean the same anywhere
    'wakeup terminate distserve backends backend shutdown shut_down restart reload quit quitquitquit kill exit admin debug',
    'actuator pprof lora-adapters set-default cors-proxy',
    // Gemini's keys of minutes, and Azure's
    'auth_tokens issuetoken',
  ]
    .join(' ')
    .split(' '),
);

/** Paths that are Admin with all that is below them; in canonical spelling. */
const adminTrees = [
  // Ollama
  ...[
    '/api/pull',
    '/api/push',
    '/api/create',
    '/api/copy',
    '/api/delete',
    '/api/blobs',
    '/api/signout',
    '/api/user',
    '/api/me',
  ],
  // Triton
  ...['/v2/repository', '/v2/systemsharedmemory', '/v2/cudasharedmemory', '/v2/trace', '/v2/logging'],
  // llama.cpp: other callers' prompts, what is kept of them and shown beside the settings, tools that the server runs
  ...['/slots', '/props', '/tools'],
  // Keys of minutes, made by the policy's own credential, and calls that go past the sidecar: OpenAI, Azure
  ...[
    '/realtime/client_secrets',
    '/realtime/sessions',
    '/realtime/transcription_sessions',
    '/realtime/translations',
    '/realtime/calls',
  ],
  ...['/realtimeapi', '/chatkit/sessions'],
  // LM Studio, text-generation-webui, TabbyAPI
  ...['/v1/internal', '/v1/model', '/v1/lora', '/v1/download', '/v1/template', '/v1/sampling'],
];

/** Below `models` and `workflows` only reading is not Admin (TorchServe, llama.cpp, LocalAI, OpenAI's deletion). */
const readOnlyTrees = ['models', 'workflows'];

/** What segments begin with by which servers of vLLM's and SGLang's kind change weights, adapters and caches: they add one with each version. */
const adminStart =
  /^(?:(?:update|init|destroy|send|pull|post_process)_weights?|(?:un)?load_lora|reset_\w*cache|flush_\w*cache|(?:release|resume)_memory|(?:start|stop)_profile)/;

/** KServe and TensorFlow Serving infer by a verb behind the name. */
const inferenceVerb = /:(?:predict|explain|classify|regress)$/;

/** Triton's inference stands below `/v2/models` as well. */
const tritonVerbs = new Set(['infer', 'generate', 'generate_stream']);

function decoded(path: string): string {
  let text = path;
  for (let round = 0; round < 3 && text.includes('%'); round++) {
    text = text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
  }
  return text;
}

/** How a lenient server might read it: only for finding Admin. */
function segmentsOf(path: string): readonly string[] {
  return decoded(path)
    .normalize('NFKC')
    .toLowerCase()
    .split(/[/\\]/)
    .map((segment) => segment.replace(/[;?#].*$/s, '').trim())
    .filter((segment) => segment !== '' && segment !== '.');
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

function changes(method: string, segments: readonly string[]): boolean {
  if (isReading(method)) return false;
  const tree = segments.findIndex((segment) => readOnlyTrees.includes(segment));
  if (tree < 0) return false;
  const last = segments.at(-1) ?? '';
  if (segments[tree] === 'models' && (inferenceVerb.test(last) || tritonVerbs.has(last))) return false;
  return true;
}

function isAdmin(method: string, path: string): boolean {
  const segments = segmentsOf(path);
  if (segments.some((segment) => adminWords.has(segment) || adminStart.test(segment))) return true;
  const whole = `/${segments.join('/')}/`;
  if (adminTrees.some((tree) => whole.includes(`${tree}/`))) return true;
  if (whole.includes('/v2/models/') && whole.includes('/trace/')) return true;
  return changes(method, segments);
}

/** Undefined: none of these routes. */
export function managementRoute(method: string, path: string): ManagementRoute | undefined {
  if (method === 'GET' || method === 'HEAD') {
    if (healthPaths.has(path)) return { operation: 'Health', body: 'none' };
    if (metricsPaths.has(path)) return { operation: 'Metrics', body: 'none' };
  }
  if (!isAdmin(method, path)) return undefined;
  return { operation: 'Admin', body: method === 'GET' || method === 'HEAD' ? 'none' : 'json' };
}
