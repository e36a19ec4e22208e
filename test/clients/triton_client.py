"""tritonclient: infer by HTTP with tensors in binary and in JSON, and by gRPC, unary and as a stream; lists and errors."""

import json
import os
import queue

import numpy
import tritonclient.grpc
import tritonclient.http

from client import arguments

port, token = arguments()
bundle = os.environ["SSL_CERT_FILE"]
# Copied for each call: the library adds the lengths of a request to it.
by = {"authorization": "Bearer " + token}
out = {}


def inputs(kind, text, binary=None):
    asked = kind.InferInput("text", [1], "BYTES")
    data = numpy.array([text.encode()], dtype=object)
    if binary is None:
        asked.set_data_from_numpy(data)
    else:
        asked.set_data_from_numpy(data, binary_data=binary)
    numbers = kind.InferInput("x", [3], "FP32")
    numbers.set_data_from_numpy(numpy.array([1.5, -2.0, 0.25], dtype=numpy.float32))
    return [asked, numbers]


def read(result):
    text = result.as_numpy("text")[0]
    # Of JSON it is a string already.
    return [text if isinstance(text, str) else text.decode(), result.as_numpy("score").tolist()]


def told(ask):
    try:
        ask()
    except tritonclient.utils.InferenceServerException as error:
        return [error.status(), error.message()]


http = tritonclient.http.InferenceServerClient("localhost:" + port, ssl=True, ssl_options={"ca_certs": bundle})
for binary in (True, False):
    wanted = [tritonclient.http.InferRequestedOutput(name, binary_data=binary) for name in ("text", "score")]
    answer = http.infer("m", inputs(tritonclient.http, "hello", binary), outputs=wanted, headers=dict(by))
    out["binary" if binary else "json"] = read(answer)
waiting = http.async_infer("m", inputs(tritonclient.http, "hello"), outputs=None, headers=dict(by))
out["async"] = read(waiting.get_result())
out["metadata"] = http.get_model_metadata("m", headers=dict(by))["name"]
out["ready"] = http.is_model_ready("m", headers=dict(by))
out["refused"] = told(lambda: http.infer("m", inputs(tritonclient.http, "falcon"), headers=dict(by)))
out["unload"] = told(lambda: http.unload_model("m", headers=dict(by)))
http.close()

rpc = tritonclient.grpc.InferenceServerClient("localhost:" + port, ssl=True, root_certificates=bundle)
out["rpc"] = read(rpc.infer("m", inputs(tritonclient.grpc, "hello"), headers=dict(by)))
out["rpcReady"] = rpc.is_model_ready("m", headers=dict(by))
out["rpcMetadata"] = rpc.get_model_metadata("m", headers=dict(by)).name
out["rpcRefused"] = told(lambda: rpc.infer("m", inputs(tritonclient.grpc, "falcon"), headers=dict(by)))
out["rpcUnload"] = told(lambda: rpc.unload_model("m", headers=dict(by)))

answers = queue.Queue()
rpc.start_stream(callback=lambda result, error: answers.put((result, error)), headers=dict(by))
rpc.async_stream_infer("m", inputs(tritonclient.grpc, "hello"), request_id="1")
pieces = []
while True:
    result, error = answers.get(timeout=30)
    if error is not None:
        raise error
    pieces.append(result.as_numpy("text")[0].decode())
    if result.get_response().parameters["triton_final_response"].bool_param:
        break
out["rpcStream"] = "".join(pieces)
rpc.async_stream_infer("m", inputs(tritonclient.grpc, "falcon"), request_id="2")
out["rpcStreamRefused"] = [answers.get(timeout=30)[1].message()]
rpc.stop_stream()
rpc.close()
print(json.dumps(out))
