// Written by `make gen` from pkg/dialect/grpc/proto; do not edit by hand.
import type { FieldRow, MethodRow } from './rows.ts';

export const messageRows: Readonly<Record<string, readonly FieldRow[]>> = {
  'grpc.health.v1.HealthCheckRequest': [
    [1, 'service', 'scalar', 9],
  ],
  'grpc.health.v1.HealthCheckResponse': [
    [1, 'status', 'enum', 5],
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
};

export const methodRows: Readonly<Record<string, MethodRow>> = {
  '/grpc.health.v1.Health/Check': ['unary', 'grpc.health.v1.HealthCheckRequest', 'grpc.health.v1.HealthCheckResponse'],
  '/grpc.health.v1.Health/Watch': ['server_streaming', 'grpc.health.v1.HealthCheckRequest', 'grpc.health.v1.HealthCheckResponse'],
  '/inference.GRPCInferenceService/ServerLive': ['unary', 'inference.ServerLiveRequest', 'inference.ServerLiveResponse'],
  '/inference.GRPCInferenceService/ServerReady': ['unary', 'inference.ServerReadyRequest', 'inference.ServerReadyResponse'],
  '/inference.GRPCInferenceService/ModelReady': ['unary', 'inference.ModelReadyRequest', 'inference.ModelReadyResponse'],
  '/inference.GRPCInferenceService/ServerMetadata': ['unary', 'inference.ServerMetadataRequest', 'inference.ServerMetadataResponse'],
  '/inference.GRPCInferenceService/ModelMetadata': ['unary', 'inference.ModelMetadataRequest', 'inference.ModelMetadataResponse'],
  '/inference.GRPCInferenceService/ModelInfer': ['unary', 'inference.ModelInferRequest', 'inference.ModelInferResponse'],
  '/inference.GRPCInferenceService/ModelStreamInfer': ['bidi_streaming', 'inference.ModelInferRequest', 'inference.ModelStreamInferResponse'],
  '/inference.GRPCInferenceService/RepositoryIndex': ['unary', 'inference.RepositoryIndexRequest', 'inference.RepositoryIndexResponse'],
  '/inference.GRPCInferenceService/RepositoryModelLoad': ['unary', 'inference.RepositoryModelLoadRequest', 'inference.RepositoryModelLoadResponse'],
  '/inference.GRPCInferenceService/RepositoryModelUnload': ['unary', 'inference.RepositoryModelUnloadRequest', 'inference.RepositoryModelUnloadResponse'],
};
