// Written by `make gen` from pkg/dialect/grpc/proto; do not edit by hand.
import type { FieldRow, MethodRow } from './rows.ts';

export const messageRows: Readonly<Record<string, readonly FieldRow[]>> = {
  'generate.v3.InfoRequest': [
  ],
  'generate.v3.InfoResponse': [
    [1, 'requires_padding', 'scalar', 8],
    [2, 'dtype', 'scalar', 9],
    [3, 'device_type', 'scalar', 9],
    [4, 'window_size', 'scalar', 13],
    [5, 'speculate', 'scalar', 13],
    [6, 'support_chunking', 'scalar', 8],
    [7, 'use_prefix_caching', 'scalar', 8],
    [8, 'attention_impl', 'scalar', 9],
    [9, 'block_size', 'scalar', 13],
  ],
  'generate.v3.ServiceDiscoveryRequest': [
  ],
  'generate.v3.ServiceDiscoveryResponse': [
    [1, 'urls', 'list', 9],
  ],
  'generate.v3.ClearCacheRequest': [
    [1, 'id', 'scalar', 4],
  ],
  'generate.v3.ClearCacheResponse': [
  ],
  'generate.v3.FilterBatchRequest': [
    [1, 'batch_id', 'scalar', 4],
    [2, 'request_ids', 'list', 4],
  ],
  'generate.v3.FilterBatchResponse': [
    [1, 'batch', 'message', 'generate.v3.CachedBatch'],
  ],
  'generate.v3.CachedBatch': [
    [1, 'id', 'scalar', 4],
    [2, 'request_ids', 'list', 4],
    [3, 'size', 'scalar', 13],
    [4, 'max_tokens', 'scalar', 13],
    [5, 'current_tokens', 'scalar', 13],
  ],
  'generate.v3.WarmupRequest': [
    [1, 'batch', 'message', 'generate.v3.Batch'],
    [2, 'max_input_tokens', 'scalar', 13],
    [3, 'max_prefill_tokens', 'scalar', 13],
    [4, 'max_total_tokens', 'scalar', 13],
  ],
  'generate.v3.Batch': [
    [1, 'id', 'scalar', 4],
    [2, 'requests', 'list', 'generate.v3.Request'],
    [3, 'size', 'scalar', 13],
    [4, 'max_tokens', 'scalar', 13],
    [5, 'max_blocks', 'scalar', 13],
  ],
  'generate.v3.Request': [
    [1, 'id', 'scalar', 4],
    [2, 'inputs', 'scalar', 9],
    [3, 'truncate', 'scalar', 13],
    [4, 'parameters', 'message', 'generate.v3.NextTokenChooserParameters'],
    [5, 'stopping_parameters', 'message', 'generate.v3.StoppingCriteriaParameters'],
    [6, 'prefill_logprobs', 'scalar', 8],
    [7, 'top_n_tokens', 'scalar', 13],
    [8, 'input_chunks', 'message', 'generate.v3.Input'],
    [9, 'blocks', 'list', 13],
    [10, 'slots', 'list', 13],
    [11, 'adapter_id', 'scalar', 9],
    [12, 'cache_len', 'scalar', 13],
    [13, 'add_special_tokens', 'scalar', 8],
    [14, 'chunk_len', 'scalar', 13],
  ],
  'generate.v3.NextTokenChooserParameters': [
    [1, 'temperature', 'scalar', 2],
    [2, 'top_k', 'scalar', 13],
    [3, 'top_p', 'scalar', 2],
    [4, 'typical_p', 'scalar', 2],
    [5, 'do_sample', 'scalar', 8],
    [6, 'seed', 'scalar', 4],
    [7, 'repetition_penalty', 'scalar', 2],
    [8, 'watermark', 'scalar', 8],
    [9, 'frequency_penalty', 'scalar', 2],
    [10, 'grammar', 'scalar', 9],
    [11, 'grammar_type', 'enum', 5],
    [12, 'logit_bias', 'map', 5, 9],
  ],
  'generate.v3.StoppingCriteriaParameters': [
    [1, 'max_new_tokens', 'scalar', 13],
    [2, 'stop_sequences', 'list', 9],
    [3, 'ignore_eos_token', 'scalar', 8],
  ],
  'generate.v3.Input': [
    [1, 'chunks', 'list', 'generate.v3.InputChunk'],
  ],
  'generate.v3.InputChunk': [
    [1, 'text', 'scalar', 9],
    [2, 'image', 'message', 'generate.v3.Image'],
  ],
  'generate.v3.Image': [
    [1, 'data', 'scalar', 12],
    [2, 'mimetype', 'scalar', 9],
  ],
  'generate.v3.WarmupResponse': [
    [1, 'max_supported_total_tokens', 'scalar', 13],
    [2, 'max_input_tokens', 'scalar', 13],
    [3, 'max_total_tokens', 'scalar', 13],
  ],
  'generate.v3.PrefillRequest': [
    [1, 'batch', 'message', 'generate.v3.Batch'],
    [2, 'cached_batch', 'message', 'generate.v3.CachedBatch'],
  ],
  'generate.v3.PrefillResponse': [
    [1, 'generations', 'list', 'generate.v3.Generation'],
    [2, 'batch', 'message', 'generate.v3.CachedBatch'],
    [3, 'forward_ns', 'scalar', 4],
    [4, 'decode_ns', 'scalar', 4],
    [5, 'total_ns', 'scalar', 4],
    [6, 'concat_ns', 'scalar', 4],
  ],
  'generate.v3.Generation': [
    [1, 'request_id', 'scalar', 4],
    [2, 'prefill_tokens', 'message', 'generate.v3.Tokens'],
    [3, 'tokens', 'message', 'generate.v3.Tokens'],
    [4, 'generated_text', 'message', 'generate.v3.GeneratedText'],
    [5, 'top_tokens', 'list', 'generate.v3.Tokens'],
  ],
  'generate.v3.Tokens': [
    [1, 'ids', 'list', 13],
    [2, 'logprobs', 'list', 2],
    [3, 'texts', 'list', 9],
    [4, 'is_special', 'list', 8],
  ],
  'generate.v3.GeneratedText': [
    [1, 'text', 'scalar', 9],
    [2, 'generated_tokens', 'scalar', 13],
    [3, 'finish_reason', 'enum', 5],
    [4, 'seed', 'scalar', 4],
  ],
  'generate.v3.DecodeRequest': [
    [1, 'batches', 'list', 'generate.v3.CachedBatch'],
  ],
  'generate.v3.DecodeResponse': [
    [1, 'generations', 'list', 'generate.v3.Generation'],
    [2, 'batch', 'message', 'generate.v3.CachedBatch'],
    [3, 'forward_ns', 'scalar', 4],
    [4, 'decode_ns', 'scalar', 4],
    [5, 'total_ns', 'scalar', 4],
    [6, 'concat_ns', 'scalar', 4],
  ],
  'generate.v3.HealthRequest': [
  ],
  'generate.v3.HealthResponse': [
  ],
  'grpc.health.v1.HealthCheckRequest': [
    [1, 'service', 'scalar', 9],
  ],
  'grpc.health.v1.HealthCheckResponse': [
    [1, 'status', 'enum', 5],
  ],
  'grpc.health.v1.HealthListRequest': [
  ],
  'grpc.health.v1.HealthListResponse': [
    [1, 'statuses', 'map', 'grpc.health.v1.HealthCheckResponse', 9],
  ],
  'grpc.reflection.v1.ServerReflectionRequest': [
    [1, 'host', 'scalar', 9],
    [3, 'file_by_filename', 'scalar', 9],
    [4, 'file_containing_symbol', 'scalar', 9],
    [5, 'file_containing_extension', 'message', 'grpc.reflection.v1.ExtensionRequest'],
    [6, 'all_extension_numbers_of_type', 'scalar', 9],
    [7, 'list_services', 'scalar', 9],
  ],
  'grpc.reflection.v1.ExtensionRequest': [
    [1, 'containing_type', 'scalar', 9],
    [2, 'extension_number', 'scalar', 5],
  ],
  'grpc.reflection.v1.ServerReflectionResponse': [
    [1, 'valid_host', 'scalar', 9],
    [2, 'original_request', 'message', 'grpc.reflection.v1.ServerReflectionRequest'],
    [4, 'file_descriptor_response', 'message', 'grpc.reflection.v1.FileDescriptorResponse'],
    [5, 'all_extension_numbers_response', 'message', 'grpc.reflection.v1.ExtensionNumberResponse'],
    [6, 'list_services_response', 'message', 'grpc.reflection.v1.ListServiceResponse'],
    [7, 'error_response', 'message', 'grpc.reflection.v1.ErrorResponse'],
  ],
  'grpc.reflection.v1.FileDescriptorResponse': [
    [1, 'file_descriptor_proto', 'list', 12],
  ],
  'grpc.reflection.v1.ExtensionNumberResponse': [
    [1, 'base_type_name', 'scalar', 9],
    [2, 'extension_number', 'list', 5],
  ],
  'grpc.reflection.v1.ListServiceResponse': [
    [1, 'service', 'list', 'grpc.reflection.v1.ServiceResponse'],
  ],
  'grpc.reflection.v1.ServiceResponse': [
    [1, 'name', 'scalar', 9],
  ],
  'grpc.reflection.v1.ErrorResponse': [
    [1, 'error_code', 'scalar', 5],
    [2, 'error_message', 'scalar', 9],
  ],
  'grpc.reflection.v1alpha.ServerReflectionRequest': [
    [1, 'host', 'scalar', 9],
    [3, 'file_by_filename', 'scalar', 9],
    [4, 'file_containing_symbol', 'scalar', 9],
    [5, 'file_containing_extension', 'message', 'grpc.reflection.v1alpha.ExtensionRequest'],
    [6, 'all_extension_numbers_of_type', 'scalar', 9],
    [7, 'list_services', 'scalar', 9],
  ],
  'grpc.reflection.v1alpha.ExtensionRequest': [
    [1, 'containing_type', 'scalar', 9],
    [2, 'extension_number', 'scalar', 5],
  ],
  'grpc.reflection.v1alpha.ServerReflectionResponse': [
    [1, 'valid_host', 'scalar', 9],
    [2, 'original_request', 'message', 'grpc.reflection.v1alpha.ServerReflectionRequest'],
    [4, 'file_descriptor_response', 'message', 'grpc.reflection.v1alpha.FileDescriptorResponse'],
    [5, 'all_extension_numbers_response', 'message', 'grpc.reflection.v1alpha.ExtensionNumberResponse'],
    [6, 'list_services_response', 'message', 'grpc.reflection.v1alpha.ListServiceResponse'],
    [7, 'error_response', 'message', 'grpc.reflection.v1alpha.ErrorResponse'],
  ],
  'grpc.reflection.v1alpha.FileDescriptorResponse': [
    [1, 'file_descriptor_proto', 'list', 12],
  ],
  'grpc.reflection.v1alpha.ExtensionNumberResponse': [
    [1, 'base_type_name', 'scalar', 9],
    [2, 'extension_number', 'list', 5],
  ],
  'grpc.reflection.v1alpha.ListServiceResponse': [
    [1, 'service', 'list', 'grpc.reflection.v1alpha.ServiceResponse'],
  ],
  'grpc.reflection.v1alpha.ServiceResponse': [
    [1, 'name', 'scalar', 9],
  ],
  'grpc.reflection.v1alpha.ErrorResponse': [
    [1, 'error_code', 'scalar', 5],
    [2, 'error_message', 'scalar', 9],
  ],
  'inference.ServerLiveRequest': [
  ],
  'inference.ServerLiveResponse': [
    [1, 'live', 'scalar', 8],
  ],
  'inference.ServerReadyRequest': [
  ],
  'inference.ServerReadyResponse': [
    [1, 'ready', 'scalar', 8],
  ],
  'inference.ModelReadyRequest': [
    [1, 'name', 'scalar', 9],
    [2, 'version', 'scalar', 9],
  ],
  'inference.ModelReadyResponse': [
    [1, 'ready', 'scalar', 8],
  ],
  'inference.ServerMetadataRequest': [
  ],
  'inference.ServerMetadataResponse': [
    [1, 'name', 'scalar', 9],
    [2, 'version', 'scalar', 9],
    [3, 'extensions', 'list', 9],
  ],
  'inference.ModelMetadataRequest': [
    [1, 'name', 'scalar', 9],
    [2, 'version', 'scalar', 9],
  ],
  'inference.ModelMetadataResponse': [
    [1, 'name', 'scalar', 9],
    [2, 'versions', 'list', 9],
    [3, 'platform', 'scalar', 9],
    [4, 'inputs', 'list', 'inference.ModelMetadataResponse.TensorMetadata'],
    [5, 'outputs', 'list', 'inference.ModelMetadataResponse.TensorMetadata'],
    [6, 'properties', 'map', 9, 9],
  ],
  'inference.ModelMetadataResponse.TensorMetadata': [
    [1, 'name', 'scalar', 9],
    [2, 'datatype', 'scalar', 9],
    [3, 'shape', 'list', 3],
  ],
  'inference.ModelInferRequest': [
    [1, 'model_name', 'scalar', 9],
    [2, 'model_version', 'scalar', 9],
    [3, 'id', 'scalar', 9],
    [4, 'parameters', 'map', 'inference.InferParameter', 9],
    [5, 'inputs', 'list', 'inference.ModelInferRequest.InferInputTensor'],
    [6, 'outputs', 'list', 'inference.ModelInferRequest.InferRequestedOutputTensor'],
    [7, 'raw_input_contents', 'list', 12],
  ],
  'inference.InferParameter': [
    [1, 'bool_param', 'scalar', 8],
    [2, 'int64_param', 'scalar', 3],
    [3, 'string_param', 'scalar', 9],
    [4, 'double_param', 'scalar', 1],
    [5, 'uint64_param', 'scalar', 4],
  ],
  'inference.ModelInferRequest.InferInputTensor': [
    [1, 'name', 'scalar', 9],
    [2, 'datatype', 'scalar', 9],
    [3, 'shape', 'list', 3],
    [4, 'parameters', 'map', 'inference.InferParameter', 9],
    [5, 'contents', 'message', 'inference.InferTensorContents'],
  ],
  'inference.InferTensorContents': [
    [1, 'bool_contents', 'list', 8],
    [2, 'int_contents', 'list', 5],
    [3, 'int64_contents', 'list', 3],
    [4, 'uint_contents', 'list', 13],
    [5, 'uint64_contents', 'list', 4],
    [6, 'fp32_contents', 'list', 2],
    [7, 'fp64_contents', 'list', 1],
    [8, 'bytes_contents', 'list', 12],
  ],
  'inference.ModelInferRequest.InferRequestedOutputTensor': [
    [1, 'name', 'scalar', 9],
    [2, 'parameters', 'map', 'inference.InferParameter', 9],
  ],
  'inference.ModelInferResponse': [
    [1, 'model_name', 'scalar', 9],
    [2, 'model_version', 'scalar', 9],
    [3, 'id', 'scalar', 9],
    [4, 'parameters', 'map', 'inference.InferParameter', 9],
    [5, 'outputs', 'list', 'inference.ModelInferResponse.InferOutputTensor'],
    [6, 'raw_output_contents', 'list', 12],
  ],
  'inference.ModelInferResponse.InferOutputTensor': [
    [1, 'name', 'scalar', 9],
    [2, 'datatype', 'scalar', 9],
    [3, 'shape', 'list', 3],
    [4, 'parameters', 'map', 'inference.InferParameter', 9],
    [5, 'contents', 'message', 'inference.InferTensorContents'],
  ],
  'inference.ModelStreamInferResponse': [
    [1, 'error_message', 'scalar', 9],
    [2, 'infer_response', 'message', 'inference.ModelInferResponse'],
  ],
  'inference.ModelConfigRequest': [
    [1, 'name', 'scalar', 9],
    [2, 'version', 'scalar', 9],
  ],
  'inference.ModelConfigResponse': [
    [1, 'config', 'message', 'inference.ModelConfig'],
  ],
  'inference.ModelConfig': [
    [1, 'name', 'scalar', 9],
    [2, 'platform', 'scalar', 9],
    [3, 'version_policy', 'message', 'inference.ModelVersionPolicy'],
    [4, 'max_batch_size', 'scalar', 5],
    [5, 'input', 'list', 'inference.ModelInput'],
    [6, 'output', 'list', 'inference.ModelOutput'],
    [7, 'instance_group', 'list', 'inference.ModelInstanceGroup'],
    [8, 'default_model_filename', 'scalar', 9],
    [9, 'cc_model_filenames', 'map', 9, 9],
    [10, 'metric_tags', 'map', 9, 9],
    [12, 'optimization', 'message', 'inference.ModelOptimizationPolicy'],
    [11, 'dynamic_batching', 'message', 'inference.ModelDynamicBatching'],
    [13, 'sequence_batching', 'message', 'inference.ModelSequenceBatching'],
    [15, 'ensemble_scheduling', 'message', 'inference.ModelEnsembling'],
    [14, 'parameters', 'map', 'inference.ModelParameter', 9],
    [16, 'model_warmup', 'list', 'inference.ModelWarmup'],
    [17, 'backend', 'scalar', 9],
    [18, 'model_operations', 'message', 'inference.ModelOperations'],
    [19, 'model_transaction_policy', 'message', 'inference.ModelTransactionPolicy'],
    [20, 'batch_input', 'list', 'inference.BatchInput'],
    [21, 'batch_output', 'list', 'inference.BatchOutput'],
    [23, 'model_repository_agents', 'message', 'inference.ModelRepositoryAgents'],
    [24, 'response_cache', 'message', 'inference.ModelResponseCache'],
    [25, 'runtime', 'scalar', 9],
    [26, 'model_metrics', 'message', 'inference.ModelMetrics'],
  ],
  'inference.ModelVersionPolicy': [
    [1, 'latest', 'message', 'inference.ModelVersionPolicy.Latest'],
    [2, 'all', 'message', 'inference.ModelVersionPolicy.All'],
    [3, 'specific', 'message', 'inference.ModelVersionPolicy.Specific'],
  ],
  'inference.ModelVersionPolicy.Latest': [
    [1, 'num_versions', 'scalar', 13],
  ],
  'inference.ModelVersionPolicy.All': [
  ],
  'inference.ModelVersionPolicy.Specific': [
    [1, 'versions', 'list', 3],
  ],
  'inference.ModelInput': [
    [1, 'name', 'scalar', 9],
    [2, 'data_type', 'enum', 5],
    [3, 'format', 'enum', 5],
    [4, 'dims', 'list', 3],
    [5, 'reshape', 'message', 'inference.ModelTensorReshape'],
    [6, 'is_shape_tensor', 'scalar', 8],
    [7, 'allow_ragged_batch', 'scalar', 8],
    [8, 'optional', 'scalar', 8],
    [9, 'is_non_linear_format_io', 'scalar', 8],
  ],
  'inference.ModelTensorReshape': [
    [1, 'shape', 'list', 3],
  ],
  'inference.ModelOutput': [
    [1, 'name', 'scalar', 9],
    [2, 'data_type', 'enum', 5],
    [3, 'dims', 'list', 3],
    [4, 'label_filename', 'scalar', 9],
    [5, 'reshape', 'message', 'inference.ModelTensorReshape'],
    [6, 'is_shape_tensor', 'scalar', 8],
    [7, 'is_non_linear_format_io', 'scalar', 8],
  ],
  'inference.ModelInstanceGroup': [
    [1, 'name', 'scalar', 9],
    [2, 'count', 'scalar', 5],
    [3, 'gpus', 'list', 5],
    [4, 'kind', 'enum', 5],
    [5, 'profile', 'list', 9],
    [6, 'rate_limiter', 'message', 'inference.ModelRateLimiter'],
    [7, 'passive', 'scalar', 8],
    [8, 'secondary_devices', 'list', 'inference.ModelInstanceGroup.SecondaryDevice'],
    [9, 'host_policy', 'scalar', 9],
  ],
  'inference.ModelRateLimiter': [
    [1, 'resources', 'list', 'inference.ModelRateLimiter.Resource'],
    [2, 'priority', 'scalar', 13],
  ],
  'inference.ModelRateLimiter.Resource': [
    [1, 'name', 'scalar', 9],
    [2, 'global', 'scalar', 8],
    [3, 'count', 'scalar', 13],
  ],
  'inference.ModelInstanceGroup.SecondaryDevice': [
    [1, 'kind', 'enum', 5],
    [2, 'device_id', 'scalar', 3],
  ],
  'inference.ModelOptimizationPolicy': [
    [1, 'graph', 'message', 'inference.ModelOptimizationPolicy.Graph'],
    [2, 'priority', 'enum', 5],
    [3, 'cuda', 'message', 'inference.ModelOptimizationPolicy.Cuda'],
    [4, 'execution_accelerators', 'message', 'inference.ModelOptimizationPolicy.ExecutionAccelerators'],
    [5, 'input_pinned_memory', 'message', 'inference.ModelOptimizationPolicy.PinnedMemoryBuffer'],
    [6, 'output_pinned_memory', 'message', 'inference.ModelOptimizationPolicy.PinnedMemoryBuffer'],
    [7, 'gather_kernel_buffer_threshold', 'scalar', 13],
    [8, 'eager_batching', 'scalar', 8],
  ],
  'inference.ModelOptimizationPolicy.Graph': [
    [1, 'level', 'scalar', 5],
  ],
  'inference.ModelOptimizationPolicy.Cuda': [
    [1, 'graphs', 'scalar', 8],
    [2, 'busy_wait_events', 'scalar', 8],
    [3, 'graph_spec', 'list', 'inference.ModelOptimizationPolicy.Cuda.GraphSpec'],
    [4, 'output_copy_stream', 'scalar', 8],
  ],
  'inference.ModelOptimizationPolicy.Cuda.GraphSpec': [
    [1, 'batch_size', 'scalar', 5],
    [2, 'input', 'map', 'inference.ModelOptimizationPolicy.Cuda.GraphSpec.Shape', 9],
    [3, 'graph_lower_bound', 'message', 'inference.ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound'],
  ],
  'inference.ModelOptimizationPolicy.Cuda.GraphSpec.Shape': [
    [1, 'dim', 'list', 3],
  ],
  'inference.ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound': [
    [1, 'batch_size', 'scalar', 5],
    [2, 'input', 'map', 'inference.ModelOptimizationPolicy.Cuda.GraphSpec.Shape', 9],
  ],
  'inference.ModelOptimizationPolicy.ExecutionAccelerators': [
    [1, 'gpu_execution_accelerator', 'list', 'inference.ModelOptimizationPolicy.ExecutionAccelerators.Accelerator'],
    [2, 'cpu_execution_accelerator', 'list', 'inference.ModelOptimizationPolicy.ExecutionAccelerators.Accelerator'],
  ],
  'inference.ModelOptimizationPolicy.ExecutionAccelerators.Accelerator': [
    [1, 'name', 'scalar', 9],
    [2, 'parameters', 'map', 9, 9],
  ],
  'inference.ModelOptimizationPolicy.PinnedMemoryBuffer': [
    [1, 'enable', 'scalar', 8],
  ],
  'inference.ModelDynamicBatching': [
    [1, 'preferred_batch_size', 'list', 5],
    [2, 'max_queue_delay_microseconds', 'scalar', 4],
    [3, 'preserve_ordering', 'scalar', 8],
    [4, 'priority_levels', 'scalar', 4],
    [5, 'default_priority_level', 'scalar', 4],
    [6, 'default_queue_policy', 'message', 'inference.ModelQueuePolicy'],
    [7, 'priority_queue_policy', 'map', 'inference.ModelQueuePolicy', 4],
  ],
  'inference.ModelQueuePolicy': [
    [1, 'timeout_action', 'enum', 5],
    [2, 'default_timeout_microseconds', 'scalar', 4],
    [3, 'allow_timeout_override', 'scalar', 8],
    [4, 'max_queue_size', 'scalar', 13],
  ],
  'inference.ModelSequenceBatching': [
    [3, 'direct', 'message', 'inference.ModelSequenceBatching.StrategyDirect'],
    [4, 'oldest', 'message', 'inference.ModelSequenceBatching.StrategyOldest'],
    [1, 'max_sequence_idle_microseconds', 'scalar', 4],
    [2, 'control_input', 'list', 'inference.ModelSequenceBatching.ControlInput'],
    [5, 'state', 'list', 'inference.ModelSequenceBatching.State'],
    [6, 'iterative_sequence', 'scalar', 8],
  ],
  'inference.ModelSequenceBatching.StrategyDirect': [
    [1, 'max_queue_delay_microseconds', 'scalar', 4],
    [2, 'minimum_slot_utilization', 'scalar', 2],
  ],
  'inference.ModelSequenceBatching.StrategyOldest': [
    [1, 'max_candidate_sequences', 'scalar', 5],
    [2, 'preferred_batch_size', 'list', 5],
    [3, 'max_queue_delay_microseconds', 'scalar', 4],
    [4, 'preserve_ordering', 'scalar', 8],
  ],
  'inference.ModelSequenceBatching.ControlInput': [
    [1, 'name', 'scalar', 9],
    [2, 'control', 'list', 'inference.ModelSequenceBatching.Control'],
  ],
  'inference.ModelSequenceBatching.Control': [
    [1, 'kind', 'enum', 5],
    [2, 'int32_false_true', 'list', 5],
    [3, 'fp32_false_true', 'list', 2],
    [4, 'data_type', 'enum', 5],
    [5, 'bool_false_true', 'list', 8],
  ],
  'inference.ModelSequenceBatching.State': [
    [1, 'input_name', 'scalar', 9],
    [2, 'output_name', 'scalar', 9],
    [3, 'data_type', 'enum', 5],
    [4, 'dims', 'list', 3],
    [5, 'initial_state', 'list', 'inference.ModelSequenceBatching.InitialState'],
    [6, 'use_same_buffer_for_input_output', 'scalar', 8],
    [7, 'use_growable_memory', 'scalar', 8],
  ],
  'inference.ModelSequenceBatching.InitialState': [
    [1, 'data_type', 'enum', 5],
    [2, 'dims', 'list', 3],
    [3, 'zero_data', 'scalar', 8],
    [4, 'data_file', 'scalar', 9],
    [5, 'name', 'scalar', 9],
  ],
  'inference.ModelEnsembling': [
    [1, 'step', 'list', 'inference.ModelEnsembling.Step'],
    [2, 'max_inflight_responses', 'scalar', 13],
  ],
  'inference.ModelEnsembling.Step': [
    [1, 'model_name', 'scalar', 9],
    [2, 'model_version', 'scalar', 3],
    [3, 'input_map', 'map', 9, 9],
    [4, 'output_map', 'map', 9, 9],
    [5, 'model_namespace', 'scalar', 9],
  ],
  'inference.ModelParameter': [
    [1, 'string_value', 'scalar', 9],
  ],
  'inference.ModelWarmup': [
    [1, 'name', 'scalar', 9],
    [2, 'batch_size', 'scalar', 13],
    [3, 'inputs', 'map', 'inference.ModelWarmup.Input', 9],
    [4, 'count', 'scalar', 13],
  ],
  'inference.ModelWarmup.Input': [
    [1, 'data_type', 'enum', 5],
    [2, 'dims', 'list', 3],
    [3, 'zero_data', 'scalar', 8],
    [4, 'random_data', 'scalar', 8],
    [5, 'input_data_file', 'scalar', 9],
  ],
  'inference.ModelOperations': [
    [1, 'op_library_filename', 'list', 9],
  ],
  'inference.ModelTransactionPolicy': [
    [1, 'decoupled', 'scalar', 8],
  ],
  'inference.BatchInput': [
    [1, 'kind', 'enum', 5],
    [2, 'target_name', 'list', 9],
    [3, 'data_type', 'enum', 5],
    [4, 'source_input', 'list', 9],
  ],
  'inference.BatchOutput': [
    [1, 'target_name', 'list', 9],
    [2, 'kind', 'enum', 5],
    [3, 'source_input', 'list', 9],
  ],
  'inference.ModelRepositoryAgents': [
    [1, 'agents', 'list', 'inference.ModelRepositoryAgents.Agent'],
  ],
  'inference.ModelRepositoryAgents.Agent': [
    [1, 'name', 'scalar', 9],
    [2, 'parameters', 'map', 9, 9],
  ],
  'inference.ModelResponseCache': [
    [1, 'enable', 'scalar', 8],
  ],
  'inference.ModelMetrics': [
    [1, 'metric_control', 'list', 'inference.ModelMetrics.MetricControl'],
  ],
  'inference.ModelMetrics.MetricControl': [
    [1, 'metric_identifier', 'message', 'inference.ModelMetrics.MetricControl.MetricIdentifier'],
    [2, 'histogram_options', 'message', 'inference.ModelMetrics.MetricControl.HistogramOptions'],
  ],
  'inference.ModelMetrics.MetricControl.MetricIdentifier': [
    [1, 'family', 'scalar', 9],
  ],
  'inference.ModelMetrics.MetricControl.HistogramOptions': [
    [1, 'buckets', 'list', 1],
  ],
  'inference.ModelStatisticsRequest': [
    [1, 'name', 'scalar', 9],
    [2, 'version', 'scalar', 9],
  ],
  'inference.ModelStatisticsResponse': [
    [1, 'model_stats', 'list', 'inference.ModelStatistics'],
  ],
  'inference.ModelStatistics': [
    [1, 'name', 'scalar', 9],
    [2, 'version', 'scalar', 9],
    [3, 'last_inference', 'scalar', 4],
    [4, 'inference_count', 'scalar', 4],
    [5, 'execution_count', 'scalar', 4],
    [6, 'inference_stats', 'message', 'inference.InferStatistics'],
    [7, 'batch_stats', 'list', 'inference.InferBatchStatistics'],
    [8, 'memory_usage', 'list', 'inference.MemoryUsage'],
    [9, 'response_stats', 'map', 'inference.InferResponseStatistics', 9],
  ],
  'inference.InferStatistics': [
    [1, 'success', 'message', 'inference.StatisticDuration'],
    [2, 'fail', 'message', 'inference.StatisticDuration'],
    [3, 'queue', 'message', 'inference.StatisticDuration'],
    [4, 'compute_input', 'message', 'inference.StatisticDuration'],
    [5, 'compute_infer', 'message', 'inference.StatisticDuration'],
    [6, 'compute_output', 'message', 'inference.StatisticDuration'],
    [7, 'cache_hit', 'message', 'inference.StatisticDuration'],
    [8, 'cache_miss', 'message', 'inference.StatisticDuration'],
  ],
  'inference.StatisticDuration': [
    [1, 'count', 'scalar', 4],
    [2, 'ns', 'scalar', 4],
  ],
  'inference.InferBatchStatistics': [
    [1, 'batch_size', 'scalar', 4],
    [2, 'compute_input', 'message', 'inference.StatisticDuration'],
    [3, 'compute_infer', 'message', 'inference.StatisticDuration'],
    [4, 'compute_output', 'message', 'inference.StatisticDuration'],
  ],
  'inference.MemoryUsage': [
    [1, 'type', 'scalar', 9],
    [2, 'id', 'scalar', 3],
    [3, 'byte_size', 'scalar', 4],
  ],
  'inference.InferResponseStatistics': [
    [1, 'compute_infer', 'message', 'inference.StatisticDuration'],
    [2, 'compute_output', 'message', 'inference.StatisticDuration'],
    [3, 'success', 'message', 'inference.StatisticDuration'],
    [4, 'fail', 'message', 'inference.StatisticDuration'],
    [5, 'empty_response', 'message', 'inference.StatisticDuration'],
    [6, 'cancel', 'message', 'inference.StatisticDuration'],
  ],
  'inference.RepositoryIndexRequest': [
    [1, 'repository_name', 'scalar', 9],
    [2, 'ready', 'scalar', 8],
  ],
  'inference.RepositoryIndexResponse': [
    [1, 'models', 'list', 'inference.RepositoryIndexResponse.ModelIndex'],
  ],
  'inference.RepositoryIndexResponse.ModelIndex': [
    [1, 'name', 'scalar', 9],
    [2, 'version', 'scalar', 9],
    [3, 'state', 'scalar', 9],
    [4, 'reason', 'scalar', 9],
  ],
  'inference.RepositoryModelLoadRequest': [
    [1, 'repository_name', 'scalar', 9],
    [2, 'model_name', 'scalar', 9],
    [3, 'parameters', 'map', 'inference.ModelRepositoryParameter', 9],
  ],
  'inference.ModelRepositoryParameter': [
    [1, 'bool_param', 'scalar', 8],
    [2, 'int64_param', 'scalar', 3],
    [3, 'string_param', 'scalar', 9],
    [4, 'bytes_param', 'scalar', 12],
  ],
  'inference.RepositoryModelLoadResponse': [
  ],
  'inference.RepositoryModelUnloadRequest': [
    [1, 'repository_name', 'scalar', 9],
    [2, 'model_name', 'scalar', 9],
    [3, 'parameters', 'map', 'inference.ModelRepositoryParameter', 9],
  ],
  'inference.RepositoryModelUnloadResponse': [
  ],
  'inference.SystemSharedMemoryStatusRequest': [
    [1, 'name', 'scalar', 9],
  ],
  'inference.SystemSharedMemoryStatusResponse': [
    [1, 'regions', 'map', 'inference.SystemSharedMemoryStatusResponse.RegionStatus', 9],
  ],
  'inference.SystemSharedMemoryStatusResponse.RegionStatus': [
    [1, 'name', 'scalar', 9],
    [2, 'key', 'scalar', 9],
    [3, 'offset', 'scalar', 4],
    [4, 'byte_size', 'scalar', 4],
  ],
  'inference.SystemSharedMemoryRegisterRequest': [
    [1, 'name', 'scalar', 9],
    [2, 'key', 'scalar', 9],
    [3, 'offset', 'scalar', 4],
    [4, 'byte_size', 'scalar', 4],
  ],
  'inference.SystemSharedMemoryRegisterResponse': [
  ],
  'inference.SystemSharedMemoryUnregisterRequest': [
    [1, 'name', 'scalar', 9],
  ],
  'inference.SystemSharedMemoryUnregisterResponse': [
  ],
  'inference.CudaSharedMemoryStatusRequest': [
    [1, 'name', 'scalar', 9],
  ],
  'inference.CudaSharedMemoryStatusResponse': [
    [1, 'regions', 'map', 'inference.CudaSharedMemoryStatusResponse.RegionStatus', 9],
  ],
  'inference.CudaSharedMemoryStatusResponse.RegionStatus': [
    [1, 'name', 'scalar', 9],
    [2, 'device_id', 'scalar', 4],
    [3, 'byte_size', 'scalar', 4],
  ],
  'inference.CudaSharedMemoryRegisterRequest': [
    [1, 'name', 'scalar', 9],
    [2, 'raw_handle', 'scalar', 12],
    [3, 'device_id', 'scalar', 3],
    [4, 'byte_size', 'scalar', 4],
  ],
  'inference.CudaSharedMemoryRegisterResponse': [
  ],
  'inference.CudaSharedMemoryUnregisterRequest': [
    [1, 'name', 'scalar', 9],
  ],
  'inference.CudaSharedMemoryUnregisterResponse': [
  ],
  'inference.TraceSettingRequest': [
    [1, 'settings', 'map', 'inference.TraceSettingRequest.SettingValue', 9],
    [2, 'model_name', 'scalar', 9],
  ],
  'inference.TraceSettingRequest.SettingValue': [
    [1, 'value', 'list', 9],
  ],
  'inference.TraceSettingResponse': [
    [1, 'settings', 'map', 'inference.TraceSettingResponse.SettingValue', 9],
  ],
  'inference.TraceSettingResponse.SettingValue': [
    [1, 'value', 'list', 9],
  ],
  'inference.LogSettingsRequest': [
    [1, 'settings', 'map', 'inference.LogSettingsRequest.SettingValue', 9],
  ],
  'inference.LogSettingsRequest.SettingValue': [
    [1, 'bool_param', 'scalar', 8],
    [2, 'uint32_param', 'scalar', 13],
    [3, 'string_param', 'scalar', 9],
  ],
  'inference.LogSettingsResponse': [
    [1, 'settings', 'map', 'inference.LogSettingsResponse.SettingValue', 9],
  ],
  'inference.LogSettingsResponse.SettingValue': [
    [1, 'bool_param', 'scalar', 8],
    [2, 'uint32_param', 'scalar', 13],
    [3, 'string_param', 'scalar', 9],
  ],
};

export const methodRows: Readonly<Record<string, MethodRow>> = {
  '/generate.v3.TextGenerationService/Info': ['unary', 'generate.v3.InfoRequest', 'generate.v3.InfoResponse'],
  '/generate.v3.TextGenerationService/ServiceDiscovery': ['unary', 'generate.v3.ServiceDiscoveryRequest', 'generate.v3.ServiceDiscoveryResponse'],
  '/generate.v3.TextGenerationService/ClearCache': ['unary', 'generate.v3.ClearCacheRequest', 'generate.v3.ClearCacheResponse'],
  '/generate.v3.TextGenerationService/FilterBatch': ['unary', 'generate.v3.FilterBatchRequest', 'generate.v3.FilterBatchResponse'],
  '/generate.v3.TextGenerationService/Warmup': ['unary', 'generate.v3.WarmupRequest', 'generate.v3.WarmupResponse'],
  '/generate.v3.TextGenerationService/Prefill': ['unary', 'generate.v3.PrefillRequest', 'generate.v3.PrefillResponse'],
  '/generate.v3.TextGenerationService/Decode': ['unary', 'generate.v3.DecodeRequest', 'generate.v3.DecodeResponse'],
  '/generate.v3.TextGenerationService/Health': ['unary', 'generate.v3.HealthRequest', 'generate.v3.HealthResponse'],
  '/grpc.health.v1.Health/Check': ['unary', 'grpc.health.v1.HealthCheckRequest', 'grpc.health.v1.HealthCheckResponse'],
  '/grpc.health.v1.Health/List': ['unary', 'grpc.health.v1.HealthListRequest', 'grpc.health.v1.HealthListResponse'],
  '/grpc.health.v1.Health/Watch': ['server_streaming', 'grpc.health.v1.HealthCheckRequest', 'grpc.health.v1.HealthCheckResponse'],
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': ['bidi_streaming', 'grpc.reflection.v1.ServerReflectionRequest', 'grpc.reflection.v1.ServerReflectionResponse'],
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': ['bidi_streaming', 'grpc.reflection.v1alpha.ServerReflectionRequest', 'grpc.reflection.v1alpha.ServerReflectionResponse'],
  '/inference.GRPCInferenceService/ServerLive': ['unary', 'inference.ServerLiveRequest', 'inference.ServerLiveResponse'],
  '/inference.GRPCInferenceService/ServerReady': ['unary', 'inference.ServerReadyRequest', 'inference.ServerReadyResponse'],
  '/inference.GRPCInferenceService/ModelReady': ['unary', 'inference.ModelReadyRequest', 'inference.ModelReadyResponse'],
  '/inference.GRPCInferenceService/ServerMetadata': ['unary', 'inference.ServerMetadataRequest', 'inference.ServerMetadataResponse'],
  '/inference.GRPCInferenceService/ModelMetadata': ['unary', 'inference.ModelMetadataRequest', 'inference.ModelMetadataResponse'],
  '/inference.GRPCInferenceService/ModelInfer': ['unary', 'inference.ModelInferRequest', 'inference.ModelInferResponse'],
  '/inference.GRPCInferenceService/ModelStreamInfer': ['bidi_streaming', 'inference.ModelInferRequest', 'inference.ModelStreamInferResponse'],
  '/inference.GRPCInferenceService/ModelConfig': ['unary', 'inference.ModelConfigRequest', 'inference.ModelConfigResponse'],
  '/inference.GRPCInferenceService/ModelStatistics': ['unary', 'inference.ModelStatisticsRequest', 'inference.ModelStatisticsResponse'],
  '/inference.GRPCInferenceService/RepositoryIndex': ['unary', 'inference.RepositoryIndexRequest', 'inference.RepositoryIndexResponse'],
  '/inference.GRPCInferenceService/RepositoryModelLoad': ['unary', 'inference.RepositoryModelLoadRequest', 'inference.RepositoryModelLoadResponse'],
  '/inference.GRPCInferenceService/RepositoryModelUnload': ['unary', 'inference.RepositoryModelUnloadRequest', 'inference.RepositoryModelUnloadResponse'],
  '/inference.GRPCInferenceService/SystemSharedMemoryStatus': ['unary', 'inference.SystemSharedMemoryStatusRequest', 'inference.SystemSharedMemoryStatusResponse'],
  '/inference.GRPCInferenceService/SystemSharedMemoryRegister': ['unary', 'inference.SystemSharedMemoryRegisterRequest', 'inference.SystemSharedMemoryRegisterResponse'],
  '/inference.GRPCInferenceService/SystemSharedMemoryUnregister': ['unary', 'inference.SystemSharedMemoryUnregisterRequest', 'inference.SystemSharedMemoryUnregisterResponse'],
  '/inference.GRPCInferenceService/CudaSharedMemoryStatus': ['unary', 'inference.CudaSharedMemoryStatusRequest', 'inference.CudaSharedMemoryStatusResponse'],
  '/inference.GRPCInferenceService/CudaSharedMemoryRegister': ['unary', 'inference.CudaSharedMemoryRegisterRequest', 'inference.CudaSharedMemoryRegisterResponse'],
  '/inference.GRPCInferenceService/CudaSharedMemoryUnregister': ['unary', 'inference.CudaSharedMemoryUnregisterRequest', 'inference.CudaSharedMemoryUnregisterResponse'],
  '/inference.GRPCInferenceService/TraceSetting': ['unary', 'inference.TraceSettingRequest', 'inference.TraceSettingResponse'],
  '/inference.GRPCInferenceService/LogSettings': ['unary', 'inference.LogSettingsRequest', 'inference.LogSettingsResponse'],
};
